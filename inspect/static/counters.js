// What the engine counts.
import { el, get, number, bytes, duration } from "./page.js";

export async function open(place) {
  const body = el("div");
  place.append(el("h2", {}, "Counters"), body);
  async function update() {
    const c = await get("counters");
    const rows = Object.entries(c.engine).filter(([, v]) => typeof v === "number");
    body.replaceChildren(
      el("dl", {}, rows.flatMap(([k, v]) => [el("dt", {}, k.replaceAll("_", " ")), el("dd", { "data-counter": k, "data-value": v }, k.endsWith("bytes") ? bytes(v) : number(v))])),
      el("h3", {}, "Memory"),
      table(["kind", "spans", "in use", "resident", "free", "writes"], Object.entries(c.engine.memory).map(([k, m]) => [k, number(m.spans), bytes(m.bytes), m.resident ? bytes(m.resident) : "", m.resident ? bytes(m.free) : "", number(m.writes)])),
      el("h3", {}, "Modules"),
      table(["module", "functions", "pieces", "code", "constants", "data", "IR kept", "relocations", "loaded in"], c.modules.map((m) => [m.name, number(m.functions), number(m.pieces), bytes(m.code_bytes), bytes(m.const_bytes), bytes(m.data_bytes), bytes(m.kept_bytes), number(m.edges), duration(m.load.total_ns)])));
  }
  await update();
  const timer = setInterval(() => { if (!document.hidden) update().catch(() => clearInterval(timer)); }, 2000);
  return { end: () => clearInterval(timer) };
}

function table(heads, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": heads[0] }, el("table", {}, el("thead", {}, el("tr", {}, heads.map((h, i) => el("th", { scope: "col", class: i ? "n" : null }, h)))),
    el("tbody", {}, rows.map((r) => el("tr", {}, r.map((c, i) => el("td", { class: i ? "n" : "name" }, c)))))));
}
