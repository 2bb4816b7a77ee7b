// The list of functions, and one function.
import { el, get, number, hex, link } from "./page.js";

const columns = [
  ["title", "function"], ["module", "module", "wide"], ["version", "version", "n"], ["size", "bytes", "n"],
  ["callers", "callers", "n"], ["callees", "callees", "n"], ["old", "old in memory", "n"],
];
const page = 200;

export async function open(place, params) {
  if (params.has("name")) return one(place, params);
  let rows = [], order = "title", down = false, limit = page;
  const search = el("input", { type: "search", placeholder: "Search functions", "aria-label": "Search functions", oninput: () => { limit = page; draw(); } });
  search.value = params.get("search") || "";
  const count = el("span", { class: "soft" });
  const heads = columns.map(([key, title, kind]) => el("th", { class: kind, scope: "col" }, el("button", { type: "button", onclick: () => sortBy(key) }, title)));
  const body = el("tbody");
  const more = el("button", { type: "button", onclick: () => { limit += page; draw(); } }, "Show " + page + " more");
  place.append(el("h2", {}, "Functions"), el("div", { class: "row" }, search, count),
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, heads)), body)), el("p", {}, more));
  function sortBy(key) {
    down = order === key ? !down : key !== "title" && key !== "module";
    order = key;
    draw();
  }
  function draw() {
    const text = search.value.toLowerCase();
    const found = rows.filter((r) => r.title.toLowerCase().includes(text) || r.name.toLowerCase().includes(text));
    found.sort((a, b) => (a[order] < b[order] ? -1 : a[order] > b[order] ? 1 : a.title < b.title ? -1 : 1) * (down ? -1 : 1));
    heads.forEach((h, i) => h.setAttribute("aria-sort", columns[i][0] !== order ? "none" : down ? "descending" : "ascending"));
    count.textContent = number(found.length) + " of " + number(rows.length);
    const focus = document.activeElement && body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    body.replaceChildren(...found.slice(0, limit).map((r) => el("tr", {},
      el("td", { class: "name" }, el("a", { href: link("functions", r.module, r.name) }, r.title)),
      el("td", { class: "name soft wide" }, r.module),
      el("td", { class: "n" }, r.version === 0 ? "not compiled" : r.version), el("td", { class: "n" }, number(r.size)),
      el("td", { class: "n" }, r.callers), el("td", { class: "n" }, r.callees), el("td", { class: "n" }, r.old || ""))));
    if (focus) for (const a of body.querySelectorAll("a")) if (a.getAttribute("href") === focus) a.focus();
    more.hidden = found.length <= limit;
  }
  async function update() {
    rows = await get("functions");
    draw();
  }
  await update();
  return { update };
}

async function one(place, params) {
  const module = params.get("module") || "", name = params.get("name");
  const counters = await get("counters");
  async function update() {
    const f = await get("function", { module, name });
    const where = document.activeElement && place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const act = el("button", { type: "button", onclick: async () => {
      try {
        await get("invalidate", { module, name }, { method: "POST" });
        await update();
      } catch (err) { place.append(el("p", { class: "fault", role: "alert" }, err.message)); }
    } }, "Invalidate");
    place.replaceChildren(
      el("p", { class: "note" }, el("a", { href: "#/functions" }, "Functions")),
      el("h2", { class: "name" }, f.title),
      el("dl", {}, f.title !== f.name ? [el("dt", {}, "symbol"), el("dd", { class: "mono" }, f.name)] : null,
        el("dt", {}, "module"), el("dd", { class: "name" }, f.module), el("dt", {}, "type"), el("dd", { class: "mono" }, f.type || "unknown: it came as machine code"),
        el("dt", {}, "address"), el("dd", {}, f.address_taken ? "taken: its stub stays as long as the module" : "only called")),
      el("p", { class: "row" }, el("a", { href: link("code", module, name) }, "Source, IR and machine code"), el("a", { href: link("graph", module, name) }, "Show in the graph"),
        f.stack_maps ? el("a", { href: link("stackmaps", module, name) }, "Stack maps (" + f.stack_maps + ")") : null, counters.changes ? act : null),
      el("h3", {}, "Versions"),
      el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["version", "state", "address", "bytes", "pins", ""].map((h, i) => el("th", { scope: "col", class: [0, 3, 4].includes(i) ? "n" : null }, h)))),
        el("tbody", {}, f.versions.map((v, i) => el("tr", {}, el("td", { class: "n" }, v.number), el("td", {}, v.current ? "current" : v.address ? "old, in memory" : "freed"),
          el("td", { class: "mono" }, v.address ? hex(v.address) : ""), el("td", { class: "n" }, number(v.size)), el("td", { class: "n" }, v.pins || ""),
          el("td", {}, v.kept ? el("a", { href: link("code", module, name, { version: v.number }) }, "code") : null, " ",
            v.kept && f.versions[i + 1] && f.versions[i + 1].kept ? el("a", { href: link("code", module, name, { version: v.number, from: f.versions[i + 1].number }) }, "changes") : null)))))),
      f.why_alive.length ? el("section", {}, el("h3", {}, "Why old versions are in memory"), el("ul", { class: "plain mono" }, f.why_alive.map((w) => el("li", {}, w)))) : "",
      el("div", { class: "columns" }, dependences("Callers", f.callers), dependences("Callees", f.callees)));
    if (where) for (const a of place.querySelectorAll("a")) if (a.getAttribute("href") === where) a.focus();
  }
  await update();
  return { update };
}

function dependences(title, list) {
  return el("section", {}, el("h3", {}, title + " (" + number(list.length) + ")"), el("ul", { class: "plain" }, list.map((d) => el("li", { class: "name" },
    d.variable || d.host ? d.title : el("a", { href: link("functions", d.module, d.name) }, d.title),
    el("span", { class: "soft" }, (d.version ? "@" + d.version : "") + (d.host ? " host" : d.variable ? " variable" : d.call ? "" : " address"))))));
}

