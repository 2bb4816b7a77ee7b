// What all views build pages with.

// el makes an element. Attributes beginning with "on" are listeners; null children are left out.
export function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "rect", "text", "g", "title"].includes(tag) || attributes.svg;
  const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "svg" || value === null || value === undefined) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else e.setAttribute(name, value);
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined));
  return e;
}

// get asks the engine; the error says what it answered.
export async function get(path, params, options) {
  const query = params ? "?" + new URLSearchParams(params) : "";
  const answer = await fetch("api/" + path + query, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

export function status(text, lost) {
  const p = document.getElementById("status");
  p.textContent = text;
  p.classList.toggle("lost", Boolean(lost));
}

export const number = (n) => n.toLocaleString("en-US");

export function bytes(n) {
  if (n < 1024) return n + " B";
  if (n < 1 << 20) return (n / 1024).toFixed(1) + " KiB";
  return (n / (1 << 20)).toFixed(1) + " MiB";
}

export function duration(ns) {
  if (ns < 1e6) return (ns / 1e3).toFixed(0) + " µs";
  if (ns < 1e9) return (ns / 1e6).toFixed(1) + " ms";
  return (ns / 1e9).toFixed(2) + " s";
}

export const hex = (n) => "0x" + n.toString(16);

export function link(view, module, name, more) {
  return "#/" + view + "?" + new URLSearchParams({ module, name, ...more });
}

// colour reads a colour of the style sheet, for canvases.
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

// canvas makes a drawing surface of that many CSS pixels, sharp on dense screens.
export function canvas(width, height, label) {
  const c = el("canvas", { role: "img", "aria-label": label });
  const dense = window.devicePixelRatio || 1;
  c.width = Math.round(width * dense);
  c.height = Math.round(height * dense);
  c.style.width = width + "px";
  c.style.height = height + "px";
  const pen = c.getContext("2d");
  pen.scale(dense, dense);
  return [c, pen];
}

// redrawn calls draw when the scheme of colours or the width changes; it returns how to stop that.
export function redrawn(draw) {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(draw, 100);
  };
  scheme.addEventListener("change", soon);
  window.addEventListener("resize", soon);
  return () => {
    clearTimeout(timer);
    scheme.removeEventListener("change", soon);
    window.removeEventListener("resize", soon);
  };
}
