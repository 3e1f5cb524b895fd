// One EventSource for each page. Every server-sent event `x` becomes a DOM event `live:x` on the document.
//
// The browser reconnects by itself and sends the last id that it saw, so nothing is lost; where it gives up (the server
// answered with an error), a new source begins after that id.

const KINDS = ["job", "metrics", "log", "rewind"];
const RETRY_MILLISECONDS = 3000;
const PATIENCE_MILLISECONDS = 1500;

let lastId = "";

export function follow(address, after = "") {
  lastId ||= String(after || "");
  const url = new URL(address, location.href);
  if (lastId) url.searchParams.set("last_event_id", lastId);
  const source = new EventSource(url);
  let silence;
  source.addEventListener("open", () => {
    clearTimeout(silence);
    showConnection(true);
  });
  source.addEventListener("error", () => {
    clearTimeout(silence);
    silence = setTimeout(() => showConnection(false), PATIENCE_MILLISECONDS);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(address), RETRY_MILLISECONDS);
  });
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      if (event.lastEventId) lastId = event.lastEventId;
      document.dispatchEvent(new CustomEvent(`live:${kind}`, { detail: JSON.parse(event.data) }));
    });
  }
  // Chrome reports an error while it leaves the page. Back may bring the very page again: then it catches up.
  addEventListener("pagehide", () => {
    if (source.readyState === EventSource.CLOSED) return;
    source.close();
    addEventListener("pageshow", () => {
      wasLost = true;
      follow(address);
    }, { once: true });
  }, { once: true });
}

let wasLost = false;

function showConnection(connected) {
  document.getElementById("connection").hidden = connected;
  if (connected && wasLost) document.dispatchEvent(new Event("live:reconnected"));
  wasLost = !connected;
}
