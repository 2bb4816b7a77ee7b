// The flow of transactions from the engine. Only the newest are kept, so that the page does not
// grow.
import { status, number } from "./page.js";

export const kept = 200;
export const log = { transactions: [], last: 0, missed: 0, listener: null };

// connect follows the stream; the browser connects again by itself after an interruption and says
// where it was (Last-Event-ID).
export function connect(changed) {
  const flow = new EventSource("api/events/stream");
  let ended = false;
  flow.addEventListener("open", () => status("live"));
  flow.addEventListener("transactions", (message) => {
    const batch = JSON.parse(message.data);
    const fresh = batch.transactions.filter((t) => t.number > log.last);
    if (fresh.length === 0) return;
    log.transactions = log.transactions.concat(fresh).slice(-kept);
    log.last = batch.last;
    log.missed += batch.missed;
    status("live, " + number(log.last) + " transactions");
    if (log.listener) log.listener(fresh);
    changed();
  });
  flow.addEventListener("closed", () => {
    ended = true;
    flow.close();
    status("the engine is closed", true);
  });
  flow.addEventListener("error", () => {
    if (!ended) status("connection lost", true);
  });
}
