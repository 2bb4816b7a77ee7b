// The stack maps of one function: where its values are at its calls.
import { el, get, number, hex, link } from "./page.js";

export async function open(place, params) {
  const module = params.get("module") || "", name = params.get("name") || "";
  async function update() {
    const f = await get("stackmaps", { module, name });
    place.replaceChildren(
      el("p", { class: "note" }, el("a", { href: "#/functions" }, "Functions"), " / ", el("a", { href: link("functions", module, name) }, f.title)),
      el("h2", { class: "name" }, f.title + "@" + f.version),
      el("p", { class: "note" }, f.records.length ? "Stack map records, in the order of the code. [r+n]: in memory there; &[r+n]: that address itself; $n: a constant." : "LLVM has noted no stack map for it."),
      ...f.records.map(record));
  }
  await update();
  return { update };
}

function record(r) {
  const s = r.statepoint;
  return el("section", { "data-record": r.id }, el("h3", {}, "Record " + r.id + (s ? ", a statepoint" : "")),
    el("dl", {}, el("dt", {}, "place"), el("dd", { class: "mono" }, "+" + hex(r.offset) + " (" + hex(r.address) + ")"),
      el("dt", {}, "frame"), el("dd", {}, r.stack_size < 0 ? "not of a fixed size" : number(r.stack_size) + " bytes"),
      s ? [el("dt", {}, "roots"), el("dd", { class: "mono" }, s.roots.map((x) => (x.base.text === x.derived.text ? x.base.text : x.derived.text + " from " + x.base.text)).join(", ") || "none"),
        el("dt", {}, "deoptimisation"), el("dd", { class: "mono" }, texts(s.deopt)), el("dt", {}, "stack objects"), el("dd", { class: "mono" }, texts(s.allocas))] : null,
      el("dt", {}, "live-outs"), el("dd", { class: "mono" }, r.live_outs.map((l) => l.register + ":" + l.size).join(" ") || "none")),
    r.locations.length ? el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["", "kind", "bytes", "where"].map((h, i) => el("th", { scope: "col", class: i % 2 ? null : "n" }, h)))),
      el("tbody", {}, r.locations.map((l, i) => el("tr", {}, el("td", { class: "n soft" }, i + 1), el("td", {}, l.kind), el("td", { class: "n" }, l.size), el("td", { class: "mono" }, l.text)))))) : "");
}

const texts = (list) => list.map((l) => l.text).join(", ") || "none";
