// The arena as a picture: each pool as rows of cells of equal size.
import { el, get, bytes, number, canvas, colour, hex, redrawn } from "./page.js";

const kinds = { code: "code", stubs: "stub", "read-only data": "rodata", data: "data", slots: "slot", retired: "retired", free: "free" };
const wantedCells = 3000; // of a pool, at most

export async function open(place) {
  let m = await get("memory");
  const totals = el("div", { class: "legend" });
  const range = el("div", { class: "figure" });
  const pools = el("div");
  const detail = el("p", { class: "note name", role: "status" }, "Point at a cell, or go through a pool with the arrow keys, to see what lies there.");
  place.append(el("h2", {}, "Memory"), totals, detail, el("h3", {}, "Reserved range"), range, pools);

  function draw() {
    const sums = {};
    for (const s of m.spans) {
      const k = s.retired ? "retired" : s.kind;
      sums[k] = (sums[k] || 0) + s.size;
    }
    const pooled = m.pools.reduce((n, p) => n + p.hi - p.lo, 0);
    sums.free = pooled - m.spans.reduce((n, s) => n + s.size, 0);
    totals.replaceChildren(...Object.keys(kinds).map((k) => {
      const swatch = el("span", { class: "swatch" });
      swatch.style.background = "var(--" + kinds[k] + ")";
      return el("span", { "data-kind": k, "data-bytes": sums[k] || 0 }, swatch, k + " " + bytes(Math.max(0, sums[k] || 0)));
    }));
    const width = Math.max(300, place.clientWidth - 2);
    range.replaceChildren(drawRange(width));
    const open = new Set();
    pools.replaceChildren(...m.pools.map((p) => drawPool(p, width, open)).flat());
  }
  function drawRange(width) {
    const [c, pen] = canvas(width, 22, "Range " + hex(m.lo) + " to " + hex(m.hi) + ", of which " + m.pools.map((p) => bytes(p.hi - p.lo) + " " + p.kind).join(", ") + " in use");
    pen.fillStyle = colour("free");
    pen.fillRect(0, 0, width, 22);
    for (const p of m.pools) {
      pen.fillStyle = colour(kinds[p.kind]);
      const x = ((p.lo - m.lo) / (m.hi - m.lo)) * width;
      pen.fillRect(x, 0, Math.max(2, ((p.hi - p.lo) / (m.hi - m.lo)) * width), 22);
    }
    return c;
  }
  function drawPool(p, width) {
    const spans = m.spans.filter((s) => s.address >= p.lo && s.address < p.hi);
    const used = spans.length ? spans[spans.length - 1].address + spans[spans.length - 1].size : p.lo;
    const first = spans.length ? spans[0].address : p.lo;
    const [lo, hi] = [first - (first % 4096), Math.min(p.hi, used + 4096)]; // what lies beyond is free
    let cell = 64;
    while ((hi - lo) / cell > wantedCells) cell *= 2;
    const side = width < 600 ? 7 : 10, across = Math.floor(width / side), count = Math.ceil((hi - lo) / cell);
    const cells = Array.from({ length: count }, () => ({ bytes: {}, spans: [] }));
    for (const s of spans) {
      for (let i = Math.floor((s.address - lo) / cell); i < count && lo + i * cell < s.address + s.size; i++) {
        const part = Math.min(s.address + s.size, lo + (i + 1) * cell) - Math.max(s.address, lo + i * cell);
        const k = s.retired ? "retired" : s.kind;
        cells[i].bytes[k] = (cells[i].bytes[k] || 0) + part;
        cells[i].spans.push(s);
      }
    }
    const height = Math.ceil(count / across) * side;
    const [c, pen] = canvas(width, height, p.kind + ": " + number(spans.length) + " spans");
    const shades = Object.fromEntries(Object.entries(kinds).map(([k, v]) => [k, colour(v)]));
    const paint = (i, marked) => {
      const x = (i % across) * side, y = Math.floor(i / across) * side;
      pen.fillStyle = shades.free;
      pen.fillRect(x, y, side - 1, side - 1);
      let at = 0; // from the bottom, as full as the cell is; retired first, so that it is seen
      for (const k of ["retired", "code", "stubs", "read-only data", "data", "slots"]) {
        if (!cells[i].bytes[k]) continue;
        const h = Math.max(1, (cells[i].bytes[k] / cell) * (side - 1));
        pen.fillStyle = shades[k];
        pen.fillRect(x, Math.max(y, y + side - 1 - at - h), side - 1, Math.min(h, side - 1 - at));
        at += h;
      }
      if (marked) {
        pen.strokeStyle = colour("ink");
        pen.lineWidth = 1.5;
        pen.strokeRect(x - 0.5, y - 0.5, side, side);
      }
    };
    cells.forEach((_, i) => paint(i));
    let mark = -1;
    const tell = (i) => {
      if (i < 0 || i >= count) return;
      if (mark >= 0) for (const d of [0, 1, -1, across, -across, across + 1, across - 1, -across - 1, 1 - across]) if (cells[mark + d]) paint(mark + d);
      mark = i;
      paint(i, true);
      const names = cells[i].spans.slice(0, 6).map((s) => (s.title || s.module || "the engine's own") + (s.version ? "@" + s.version : "") + (s.retired ? " (retired)" : "") + " " + bytes(s.size));
      detail.textContent = hex(lo + i * cell) + ": " + (names.length ? names.join(", ") : "free") + (cells[i].spans.length > 6 ? " and " + (cells[i].spans.length - 6) + " more" : "");
    };
    c.addEventListener("mousemove", (e) => tell(Math.floor(e.offsetY / side) * across + Math.floor(e.offsetX / side)));
    const frame = el("div", { class: "figure", tabindex: "0", role: "group", "aria-label": p.kind + " pool, arrow keys move from cell to cell", onkeydown: (e) => {
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[e.key];
      if (by) { e.preventDefault(); tell(mark < 0 ? 0 : mark + by); }
    } }, c);
    const title = p.kind === "code" ? "Code and stubs" : p.kind === "data" ? "Data and slots" : "Read-only data";
    return [el("h3", {}, title + ": " + number(spans.length) + " spans, " + bytes(hi - lo) + " from " + hex(lo) + " on, a cell is " + bytes(cell)), frame];
  }
  draw();
  const stop = redrawn(draw);
  return {
    end: stop,
    async update() {
      if (pools.contains(document.activeElement)) return;
      m = await get("memory");
      draw();
    },
  };
}
