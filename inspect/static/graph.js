// Who refers to whom. The overview has a dot for each function, in blocks by the number of calls that
// lead to it from a function nobody refers to; the neighbourhood shows one function with names. Both are laid out the
// same way each time.
import { el, get, number, canvas, colour, link, redrawn } from "./page.js";

const shownAtFirst = 14; // neighbours of each side

export async function open(place, params) {
  let g = index(await get("graph")), focus = -1, hover = -1;
  const search = el("input", { type: "search", list: "names", placeholder: "Find a function", "aria-label": "Find a function", onchange: () => choose(search.value), oninput: () => draw() });
  const names = el("datalist", { id: "names" });
  const note = el("p", { class: "note" });
  const picture = el("div", { class: "figure", tabindex: "0", role: "group", "aria-label": "All functions; arrow keys go to callers (left), callees (right)", onkeydown: step });
  const near = el("div", { class: "figure", role: "group", "aria-label": "Neighbourhood" });
  place.append(el("h2", {}, "Dependence graph"), el("div", { class: "row" }, search, names), note,
    el("div", { class: "legend" }, ["accent focus", "retired it refers to", "data refers to it"].map((x) => {
      const s = el("span", { class: "swatch" });
      s.style.background = "var(--" + x.split(" ")[0] + ")";
      return el("span", {}, s, x.slice(x.indexOf(" ") + 1));
    })), picture, el("h3", {}, "Neighbourhood"), near);

  function choose(text) {
    const i = g.nodes.findIndex((n) => n.title === text || n.name === text);
    if (i >= 0) location.hash = link("graph", g.nodes[i].module, g.nodes[i].name);
  }
  function step(e) {
    const side = { ArrowLeft: g.from, ArrowRight: g.to }[e.key];
    if (!side || focus < 0 || side[focus].length === 0) return;
    e.preventDefault();
    const next = side[focus].find(([i]) => i !== focus);
    if (next) location.hash = link("graph", g.nodes[next[0]].module, g.nodes[next[0]].name);
  }
  function draw() {
    const width = Math.max(320, place.clientWidth - 2);
    const at = layout(g, width);
    const [c, pen] = canvas(width, at.height, number(g.nodes.length) + " functions, " + number(g.edges) + " references");
    const text = search.value.toLowerCase();
    const lit = hover >= 0 ? hover : focus;
    const base = colour("soft"), dots = colour("code");
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = base;
    at.blocks.forEach((b) => pen.fillText(b.title, b.x, 14));
    if (lit >= 0) {
      pen.lineWidth = 1;
      for (const [side, name] of [[g.to, "retired"], [g.from, "data"]]) {
        pen.strokeStyle = colour(name);
        pen.globalAlpha = side[lit].length > 60 ? 0.35 : 0.8;
        for (const [j] of side[lit]) {
          pen.beginPath();
          pen.moveTo(at.x[lit], at.y[lit]);
          const middle = (at.x[lit] + at.x[j]) / 2;
          pen.bezierCurveTo(middle, at.y[lit], middle, at.y[j], at.x[j], at.y[j]);
          pen.stroke();
        }
      }
    }
    const neighbours = new Map();
    if (lit >= 0) {
      for (const [j] of g.to[lit]) neighbours.set(j, "retired");
      for (const [j] of g.from[lit]) neighbours.set(j, "data");
    }
    const colours = { retired: colour("retired"), data: colour("data"), accent: colour("accent"), ink: colour("ink") };
    g.nodes.forEach((n, i) => {
      const found = text !== "" && n.title.toLowerCase().includes(text);
      pen.globalAlpha = lit >= 0 && i !== lit && !neighbours.has(i) && !found ? 0.3 : 0.9;
      pen.fillStyle = i === lit ? colours.accent : found ? colours.ink : neighbours.has(i) ? colours[neighbours.get(i)] : dots;
      pen.beginPath();
      pen.arc(at.x[i], at.y[i], i === lit ? 5 : at.r[i], 0, 7);
      pen.fill();
    });
    pen.globalAlpha = 1;
    pen.fillStyle = colour("ink");
    if (lit >= 0) {
      const name = g.nodes[lit].title;
      const w = pen.measureText(name).width;
      const x = Math.min(at.x[lit] + 8, width - w - 6);
      pen.fillStyle = colour("panel");
      pen.fillRect(x - 2, at.y[lit] - 17, w + 4, 14);
      pen.fillStyle = colour("ink");
      pen.fillText(name, x, at.y[lit] - 6);
    }
    const closest = (e) => {
      let best = -1, least = 64;
      for (let i = 0; i < g.nodes.length; i++) {
        const d = (at.x[i] - e.offsetX) ** 2 + (at.y[i] - e.offsetY) ** 2;
        if (d < least) [best, least] = [i, d];
      }
      return best;
    };
    c.addEventListener("mousemove", (e) => {
      const i = closest(e);
      if (i !== hover) { hover = i; draw(); }
    });
    c.addEventListener("mouseleave", () => { if (hover >= 0) { hover = -1; draw(); } });
    c.addEventListener("click", (e) => {
      const i = closest(e);
      if (i >= 0) location.hash = link("graph", g.nodes[i].module, g.nodes[i].name);
    });
    picture.replaceChildren(c);
  }
  function aim() {
    note.textContent = number(g.nodes.length) + " functions, " + number(g.edges) + " references between them. Blocks from left to right: how far from a function that nothing refers to.";
    names.replaceChildren(...g.nodes.slice(0, 5000).map((n) => el("option", { value: n.title })));
    focus = g.nodes.findIndex((n) => n.name === params.get("name") && n.module === params.get("module"));
    if (focus < 0 && g.nodes.length) focus = g.nodes.reduce((best, _, i) => (g.to[i].length + g.from[i].length > g.to[best].length + g.from[best].length ? i : best), 0);
    if (focus >= 0) near.replaceChildren(neighbourhood(g, focus));
    else near.replaceChildren(el("p", { class: "note" }, "No functions are loaded."));
  }
  aim();
  draw();
  const stop = redrawn(draw);
  return {
    end: stop,
    async update() {
      if (near.contains(document.activeElement)) return; // not under the hands of who is in it
      g = index(await get("graph"));
      aim();
      draw();
    },
  };
}

// index makes lists of neighbours, by name.
function index(answer) {
  const g = { nodes: answer.nodes, edges: answer.edges.length, to: answer.nodes.map(() => []), from: answer.nodes.map(() => []) };
  for (const [a, b, call] of answer.edges) {
    g.to[a].push([b, call]);
    g.from[b].push([a, call]);
  }
  const byName = ([a], [b]) => (g.nodes[a].title < g.nodes[b].title ? -1 : 1);
  for (const side of [g.to, g.from]) for (const list of side) list.sort(byName);
  // The distance from a function that nothing else refers to, breadth first; what lies on cycles only comes last.
  g.depth = g.nodes.map(() => -1);
  let ring = g.nodes.map((_, i) => i).filter((i) => g.from[i].every(([j]) => j === i));
  for (let d = 0; ring.length; d++) {
    ring.forEach((i) => (g.depth[i] = d));
    ring = [...new Set(ring.flatMap((i) => g.to[i].map(([j]) => j)).filter((j) => g.depth[j] < 0))];
  }
  return g;
}

// layout places the dots of each depth in a block of its own, the largest functions first.
function layout(g, width) {
  const deepest = Math.max(0, ...g.depth);
  const groups = Array.from({ length: deepest + 2 }, () => []);
  g.depth.forEach((d, i) => groups[d < 0 ? deepest + 1 : d].push(i));
  const full = groups.filter((l) => l.length);
  const gap = width < 600 ? 10 : 28, cell = width < 600 ? 7 : 11;
  const room = Math.max(1, Math.floor((width - 24 - gap * (full.length - 1)) / cell));
  let rows = 12;
  while (full.reduce((n, l) => n + Math.ceil(l.length / rows), 0) > room) rows++;
  const at = { x: [], y: [], r: [], blocks: [], height: 34 + rows * cell };
  let x = 12;
  for (const list of full) {
    list.sort((a, b) => g.nodes[b].size - g.nodes[a].size || (g.nodes[a].title < g.nodes[b].title ? -1 : 1));
    const d = g.depth[list[0]];
    at.blocks.push({ x: x - 4, title: d < 0 ? "cycle" : String(d) });
    list.forEach((i, k) => {
      at.x[i] = x + Math.floor(k / rows) * cell;
      at.y[i] = 28 + (k % rows) * cell;
      at.r[i] = Math.min(cell / 2 - 0.5, 1.2 + Math.sqrt(g.nodes[i].size) / 14);
    });
    x += Math.ceil(list.length / rows) * cell + gap;
  }
  return at;
}

// neighbourhood draws one function between those that refer to it and those it refers to.
function neighbourhood(g, focus, more = { from: shownAtFirst, to: shownAtFirst }) {
  const sides = { from: g.from[focus], to: g.to[focus] };
  const shown = { from: sides.from.slice(0, more.from), to: sides.to.slice(0, more.to) };
  const line = 26, box = 230, width = 860, x = { from: 10, focus: 315, to: 620 };
  const rows = (s) => shown[s].length + (sides[s].length > shown[s].length ? 1 : 0);
  const height = Math.max(rows("from"), rows("to"), 1) * line + 40;
  const svg = el("svg", { width, height, viewBox: "0 0 " + width + " " + height });
  const middle = 26 + (height - 40) / 2;
  const cut = (t) => (t.length > 28 ? t.slice(0, 27) + "…" : t);
  const node = (i, left, y, kind) => el("a", { svg: true, href: kind ? link("functions", g.nodes[i].module, g.nodes[i].name) : link("graph", g.nodes[i].module, g.nodes[i].name), class: kind },
    el("title", {}, g.nodes[i].title), el("rect", { class: "box", x: left, y: y - 10, width: box, height: 20, rx: 3 }), el("text", { x: left + 8, y: y + 4 }, cut(g.nodes[i].title)));
  const paths = [], nodes = [];
  for (const s of ["from", "to"]) {
    const start = 26 + (height - 40 - rows(s) * line) / 2 + line / 2;
    nodes.push(el("text", { x: x[s], y: 16 }, (s === "from" ? "referred to by " : "refers to ") + number(sides[s].length)));
    shown[s].forEach(([i, call], k) => {
      const y = start + k * line;
      const [a, b] = s === "from" ? [[x.from + box, y], [x.focus, middle]] : [[x.focus + box, middle], [x.to, y]];
      paths.push(el("path", { class: call ? null : "address", d: `M${a[0]} ${a[1]} C${a[0] + 40} ${a[1]} ${b[0] - 40} ${b[1]} ${b[0]} ${b[1]}` }));
      nodes.push(node(i, x[s], y));
    });
    if (sides[s].length > shown[s].length) {
      const all = () => svg.replaceWith(neighbourhood(g, focus, { ...more, [s]: Infinity }));
      const y = start + shown[s].length * line;
      nodes.push(el("a", { svg: true, tabindex: "0", role: "button", onclick: all, onkeydown: (e) => { if (e.key === "Enter") all(); } },
        el("rect", { class: "box", x: x[s], y: y - 10, width: box, height: 20, rx: 3 }), el("text", { x: x[s] + 8, y: y + 4 }, "and " + number(sides[s].length - shown[s].length) + " more")));
    }
  }
  svg.append(...paths, ...nodes, node(focus, x.focus, middle, "focus"));
  return svg;
}
