// One version of a function as source, IR and machine code, or two versions compared.
import { el, get, link } from "./page.js";

export async function open(place, params) {
  const module = params.get("module") || "", name = params.get("name") || "";
  const ask = (version) => get("code", version ? { module, name, version } : { module, name });
  const f = await get("function", { module, name });
  const now = await ask(params.get("version"));
  const from = params.get("from");
  const kept = f.versions.filter((v) => v.kept);
  const pick = (label, chosen, set, none) => el("label", {}, label + " ", el("select", { onchange: (e) => { location.hash = link("code", module, name, set(e.target.value)); } },
    none ? el("option", { value: "" }, none) : null,
    kept.map((v) => el("option", { value: v.number, selected: String(v.number) === String(chosen) ? "" : null }, "@" + v.number + (v.current ? " (current)" : "")))));
  place.append(
    el("p", { class: "note" }, el("a", { href: "#/functions" }, "Functions"), " / ", el("a", { href: link("functions", module, name) }, f.title)),
    el("h2", { class: "name" }, f.title + "@" + now.version + (from ? " compared with @" + from : "")),
    el("div", { class: "row" }, pick("Version", now.version, (v) => (from ? { version: v, from } : { version: v })),
      pick("Compare with", from, (v) => (v ? { version: now.version, from: v } : { version: now.version }), "nothing")));
  const panes = el("div", { class: "panes" });
  place.append(panes);
  if (from) {
    const old = await ask(from);
    panes.append(pane("IR", difference(old.ir, now.ir), now.ir_note || old.ir_note),
      pane("Machine code", difference(old.assembly.map(settled), now.assembly.map(settled)), now.assembly_note || old.assembly_note));
    return null;
  }
  const lines = new Map(); // of the source, to all that belongs to them
  const belongs = (line, e) => {
    if (!line) return e;
    if (!lines.has(line)) lines.set(line, []);
    lines.get(line).push(e);
    e.addEventListener("mouseenter", () => lines.get(line).forEach((x) => x.classList.add("lit")));
    e.addEventListener("mouseleave", () => lines.get(line).forEach((x) => x.classList.remove("lit")));
    return e;
  };
  const source = now.source ? now.source.lines.map((text, i) => belongs(now.source.first + i, el("div", {}, el("span", { class: "num" }, now.source.first + i), text))) : null;
  if (source) panes.append(pane("Source: " + now.source.file, source));
  panes.append(pane("IR", now.ir.map((text, i) => el("div", {}, el("span", { class: "num" }, i + 1), text)), now.ir_note),
    pane("Machine code", now.assembly.map((l) => belongs(l.line, el("div", { title: l.bytes }, el("span", { class: "num" }, l.address.toString(16)), l.text))), now.assembly_note));
  const body = now.ir.findIndex((text) => text.startsWith("define "));
  const ir = panes.querySelectorAll(".listing")[source ? 1 : 0];
  if (body > 0 && ir && ir.children[body]) ir.scrollTop = ir.children[body].offsetTop - ir.offsetTop - 6;
  if (!source) place.append(el("p", { class: "note" }, "Source: " + now.source_note));
  return null;
}

function pane(title, lines, note) {
  return el("section", { class: "pane" }, el("h3", {}, title), note ? el("p", { class: "note" }, note) : el("div", { class: "listing", tabindex: "0", role: "group", "aria-label": title }, lines));
}

// settled is an instruction without the addresses that differ from version to version.
const settled = (l) => l.text.replace(/-?0x[0-9a-f]+\(%rip\)/g, "…(%rip)").replace(/\b(j\w+|call)q?\s+\.?[+-]?0x[0-9a-f]+/g, "$1 …");

// difference compares two lists of lines by their longest common subsequence, after what is equal at both ends.
function difference(a, b) {
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const x = a.slice(start, a.length - end), y = b.slice(start, b.length - end);
  const out = [];
  const put = (kind, text) => out.push(el("div", { class: kind }, el("span", { class: "num" }, { add: "+", del: "−" }[kind] || ""), text));
  a.slice(0, start).forEach((t) => put("same", t));
  if (x.length * y.length > 4e6) { // too long to compare line by line
    x.forEach((t) => put("del", t));
    y.forEach((t) => put("add", t));
  } else {
    const w = y.length + 1, n = new Uint32Array((x.length + 1) * w); // common lines from i, j on
    for (let i = x.length - 1; i >= 0; i--) for (let j = y.length - 1; j >= 0; j--) n[i * w + j] = x[i] === y[j] ? n[(i + 1) * w + j + 1] + 1 : Math.max(n[(i + 1) * w + j], n[i * w + j + 1]);
    let i = 0, j = 0;
    while (i < x.length || j < y.length) {
      if (i < x.length && j < y.length && x[i] === y[j]) { put("same", x[i]); i++; j++; }
      else if (i < x.length && (j === y.length || n[(i + 1) * w + j] >= n[i * w + j + 1])) put("del", x[i++]);
      else put("add", y[j++]);
    }
  }
  a.slice(a.length - end).forEach((t) => put("same", t));
  return out;
}
