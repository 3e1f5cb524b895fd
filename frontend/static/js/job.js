// <job-status job="id" state="running"> follows one job.
//
// Numbers change in place, wherever on the page they stand. When the state changes, or somebody wishes to cancel, the
// server draws the part named by `refresh` anew: it knows the words, the buttons and what comes next. With `every` the
// part is also drawn anew whenever the job has got that many steps further (a run's row shows its newest validation that
// way).
import { duration } from "./relative-time.js";

const number = (value) => Math.round(value).toLocaleString("en");

export function words(job) {
  const { done, total, unit } = job.progress;
  const parts = [];
  if (total) parts.push(`${number(done)} / ${number(total)} ${unit}`.trim());
  else if (done) parts.push(`${number(done)} ${unit}`.trim());
  if (job.rate) parts.push(`${job.rate >= 10 ? number(job.rate) : job.rate.toFixed(1)} ${unit}/s`);
  if (job.seconds_left) parts.push(`${duration(job.seconds_left)} left`);
  return parts.join(" · ");
}

class JobStatus extends HTMLElement {
  connectedCallback() {
    this.listener = (event) => event.detail.id === this.getAttribute("job") && this.update(event.detail);
    this.again = () => this.refresh();
    document.addEventListener("live:job", this.listener);
    document.addEventListener("live:reconnected", this.again);
    this.shown = Number(this.getAttribute("done") ?? 0);
  }

  disconnectedCallback() {
    document.removeEventListener("live:job", this.listener);
    document.removeEventListener("live:reconnected", this.again);
  }

  update(job) {
    for (const place of document.querySelectorAll(`[data-job="${job.id}"]`)) show(place, job);
    if (job.state !== this.getAttribute("state") || job.cancel_requested !== this.hasAttribute("cancelling")) {
      this.setAttribute("state", job.state);
      this.toggleAttribute("cancelling", job.cancel_requested);
      this.refresh();
      return;
    }
    const every = Number(this.getAttribute("every") ?? 0);
    if (every && Math.floor(job.progress.done / every) > Math.floor(this.shown / every)) {
      this.shown = job.progress.done;
      this.refresh();
    }
  }

  refresh() {
    const address = this.getAttribute("refresh");
    if (address === "page") location.reload();
    else if (address) redraw(this.getAttribute("target"), address);
  }
}

// Parts that have to be drawn anew, one after the other: of requests that wait htmx would keep only the newest one. A
// part that changes while it is drawn waits once more, because the answer may be older than the change.
const changed = new Map();
let isDrawing = false;

async function redraw(target, address) {
  changed.set(target, address);
  if (isDrawing) return;
  isDrawing = true;
  try {
    while (changed.size) {
      const [[next, from]] = changed;
      changed.delete(next);
      await htmx.ajax("GET", from, { target: next, swap: "outerHTML" });
    }
  } finally {
    isDrawing = false;
  }
}

function show(place, job) {
  const { done, total } = job.progress;
  switch (place.dataset.show) {
    case "bar":
      if (total) Object.assign(place, { max: total, value: done });
      else place.removeAttribute("value");
      break;
    case "words": place.textContent = words(job); break;
    case "done": place.textContent = number(done); break;
    case "message": place.textContent = job.message; break;
    case "left": place.textContent = duration(job.seconds_left); break;
    case "lasted": lasted(place, job); break;
  }
}

// A running job has its beginning in `data-since`, and the clock below goes on from there.
function lasted(place, job) {
  if (job.started_at) place.dataset.since = job.started_at;
  if (job.started_at) place.textContent = seconds(job.started_at, job.finished_at ?? Date.now());
  if (job.state !== "running") delete place.dataset.since;
}

const seconds = (from, to) => duration(Math.max(0, (new Date(to) - new Date(from)) / 1000));

setInterval(() => {
  for (const place of document.querySelectorAll("[data-since]")) {
    place.textContent = seconds(place.dataset.since, Date.now());
  }
}, 1000);

customElements.define("job-status", JobStatus);

// "Download" builds first where needed; the link that appears then is followed by itself, once.
document.addEventListener("htmx:afterSettle", (event) => {
  const link = event.detail.elt.querySelector?.("a[data-download-now]");
  if (!link) return;
  link.removeAttribute("data-download-now");
  link.click();
});
