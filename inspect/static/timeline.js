// Transactions as they end, the newest first.
import { el, duration, number } from "./page.js";
import { log, kept } from "./events.js";

const stages = ["parse", "prepare", "optimize", "codegen", "read", "link"];

export function open(place) {
  const list = el("ol", { class: "timeline", "aria-label": "Transactions, the newest first" });
  const note = el("p", { class: "note" });
  const pause = el("button", { type: "button", "aria-pressed": "false", onclick: toggle }, "Pause");
  let paused = false;
  place.append(
    el("div", { class: "row" }, el("h2", {}, "Transactions"), pause),
    note,
    el("div", { class: "legend" }, stages.map((s) => el("span", {}, el("span", { class: "swatch " + s }), s))),
    list,
  );
  function toggle() {
    paused = !paused;
    pause.textContent = paused ? "Resume" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) draw();
  }
  function tell() {
    note.textContent = log.last === 0 ? "Nothing has been loaded or changed since the inspector began." :
      "The last " + number(log.transactions.length) + " of " + number(log.last) + "." + (log.missed ? " " + number(log.missed) + " came faster than they can be shown." : "");
  }
  function draw() {
    list.replaceChildren(...log.transactions.slice().reverse().map(item));
    tell();
  }
  log.listener = (fresh) => {
    if (paused || document.hidden) return;
    list.prepend(...fresh.slice(-kept).reverse().map(item));
    while (list.childElementCount > kept) list.lastElementChild.remove();
    tell();
  };
  const back = () => { if (!document.hidden && !paused) draw(); };
  document.addEventListener("visibilitychange", back);
  draw();
  return { end() { log.listener = null; document.removeEventListener("visibilitychange", back); } };
}

function item(t) {
  const d = t.duration;
  const sum = stages.reduce((n, s) => n + d[s + "_ns"], 0) || 1;
  const bar = el("div", { class: "stages", role: "img", "aria-label": stages.map((s) => s + " " + duration(d[s + "_ns"])).join(", ") });
  for (const s of stages) {
    const part = el("span", { class: s, title: s + " " + duration(d[s + "_ns"]) });
    part.style.width = (100 * d[s + "_ns"]) / sum + "%";
    bar.append(part);
  }
  const outcomes = Object.entries(t.outcomes).map(([name, n]) => el("span", { class: name }, number(n) + " " + name + " "));
  const shown = t.verdicts.slice(0, 6);
  const total = Object.values(t.outcomes).reduce((a, b) => a + b, 0);
  return el("li", { "data-number": t.number },
    el("span", { class: "n soft" }, "#" + t.number),
    el("span", {}, t.operation),
    el("div", { class: "what" },
      el("span", { class: "name" }, t.subjects.join(", ") + (t.more_subjects ? " and " + t.more_subjects + " more" : "")), " ", outcomes,
      t.error ? el("div", { class: "fault" }, t.error) : null,
      el("ul", { class: "verdicts" },
        shown.map((v) => el("li", {}, el("span", { class: v.outcome }, v.outcome), " ", v.title + (v.version > 0 && !v.variable ? "@" + v.version : "") + (v.reason ? ": " + v.reason : ""))),
        total > shown.length ? el("li", { class: "soft" }, "and " + number(total - shown.length) + " more") : null)),
    el("div", { class: "when n" }, el("span", { class: "soft" }, new Date(t.time).toLocaleTimeString("en-GB") + "  "), duration(d.total_ns), bar));
}
