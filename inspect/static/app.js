// The inspector's page: which view is shown, and what the views share.
import * as timeline from "./timeline.js";
import * as functions from "./functions.js";
import * as graph from "./graph.js";
import * as memory from "./memory.js";
import * as code from "./code.js";
import * as stackmaps from "./stackmaps.js";
import * as counters from "./counters.js";
import { el, status } from "./page.js";
import { connect } from "./events.js";

const views = { timeline, functions, graph, memory, code, stackmaps, counters };
const main = document.getElementById("main");
let shown = null; // what the present view wants to be told and ended by: {update, end}
let turn = 0; // counts views, so that a slow answer does not appear in the next one

// route reads "#/functions?module=m&name=f".
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { name: path in views ? path : "timeline", params: new URLSearchParams(query || "") };
}

async function show() {
  if (location.hash === "#main") return;
  const { name, params } = route();
  const mine = ++turn;
  if (shown && shown.end) shown.end();
  shown = null;
  for (const a of document.querySelectorAll("nav a")) {
    const tab = name === "code" || name === "stackmaps" ? "functions" : name;
    if (a.getAttribute("href") === "#/" + tab) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  const place = el("div", { class: "view", "data-view": name });
  main.replaceChildren(place);
  try {
    const view = await views[name].open(place, params);
    if (mine !== turn) {
      if (view && view.end) view.end();
      return;
    }
    shown = view;
    place.dataset.ready = "1";
  } catch (err) {
    place.append(el("p", { class: "fault", role: "alert" }, String(err.message || err)));
    place.dataset.ready = "1";
  }
}

// Views that show what changes are told of new transactions, at most every two seconds.
let waiting = false;
function changed() {
  if (waiting) return;
  waiting = true;
  setTimeout(async () => {
    waiting = false;
    if (!shown || !shown.update || document.hidden) return;
    try {
      await shown.update();
    } catch (err) {
      status(String(err.message || err), true);
    }
  }, 2000);
}

window.addEventListener("hashchange", show);
connect(changed);
show();
