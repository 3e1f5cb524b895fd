// The Progress tab: curves, figures and log grow with the run's events.
import { follow } from "./events.js";

const page = document.getElementById("progress");
const chart = document.getElementById("curves");
const list = document.querySelector("[data-log]");
const MOST_POINTS = 6000;
const LINES_SHOWN = 20;

// --- curves ----------------------------------------------------------------------------------------------------------

// Points arrive in batches; they are drawn once for each frame of the screen.
let waiting = [];

function draw() {
  const points = waiting;
  waiting = [];
  const indices = [];
  const x = [];
  const y = [];
  chart.data.forEach((trace, index) => {
    const { series, value } = trace.meta;
    const last = trace.x.at(-1) ?? -1;
    const fresh = points.filter((point) => point.series === series && point.step > last);
    if (!fresh.length) return;
    indices.push(index);
    x.push(fresh.map((point) => point.step));
    y.push(fresh.map((point) => point[value]));
  });
  if (indices.length) {
    Plotly.extendTraces(chart, { x, y }, indices);
    chart.querySelector("[data-empty]")?.setAttribute("hidden", "");
    if (!chart.layout.yaxis.showticklabels) Plotly.relayout(chart, { "yaxis.showticklabels": true });
  }
  markBest();
  if (chart.data.some((trace) => trace.x.length > MOST_POINTS)) chart.load();
}

// Of equally accurate checkpoints the one with the least loss is the best, as it is for the server.
function markBest() {
  const { x: steps, y: accuracies } = validation("accuracy");
  const { y: losses } = validation("loss");
  if (!steps.length) return;
  const better = (a, b) => accuracies[a] > accuracies[b] || (accuracies[a] === accuracies[b] && losses[a] < losses[b]);
  const best = [...steps.keys()].reduce((found, index) => (better(index, found) ? index : found));
  const star = chart.data.findIndex(({ meta }) => meta.series === "best");
  if (chart.data[star].x[0] === steps[best]) return;
  Plotly.restyle(chart, { x: [[steps[best]]], y: [[accuracies[best]]] }, [star]);
  fact("best", `${(100 * accuracies[best]).toFixed(2)}%`);
  fact("best-step", `at step ${steps[best].toLocaleString("en")}`);
}

function validation(value) {
  return chart.data.find(({ meta }) => meta.series === "validation" && meta.value === value);
}

// A run that lost its worker goes on from its last checkpoint; what came after that never happened.
function rewind(step) {
  waiting = waiting.filter((point) => point.step <= step);
  const x = [];
  const y = [];
  for (const trace of chart.data) {
    const kept = trace.x.filter((one) => one <= step).length;
    x.push(trace.x.slice(0, kept));
    y.push(trace.y.slice(0, kept));
  }
  Plotly.restyle(chart, { x, y });
}

for (const button of document.querySelectorAll("[data-scale]")) {
  button.addEventListener("click", () => {
    Plotly.relayout(chart, { "yaxis.type": button.dataset.scale });
    for (const other of document.querySelectorAll("[data-scale]")) other.setAttribute("aria-pressed", String(other === button));
  });
}

// --- figures beside --------------------------------------------------------------------------------------------------

function fact(name, text) {
  page.querySelector(`[data-fact="${name}"]`).textContent = text;
}

document.addEventListener("live:metrics", ({ detail: points }) => {
  if (!waiting.length) requestAnimationFrame(draw);
  waiting.push(...points);
  const newest = points.filter((point) => point.series === "training").at(-1);
  if (!newest) return;
  if (newest.steps_per_second) fact("rate", newest.steps_per_second.toFixed(1));
  if (newest.learning_rate !== null) fact("learning-rate", Number(newest.learning_rate.toPrecision(3)).toString());
});
document.addEventListener("live:job", ({ detail: job }) => fact("step", job.progress.done.toLocaleString("en")));
document.addEventListener("live:rewind", ({ detail }) => rewind(detail.step));

// --- log -------------------------------------------------------------------------------------------------------------

const unfold = document.querySelector("[data-unfold]");

function fold() {
  const more = list.children.length - LINES_SHOWN;
  unfold.hidden = more <= 0;
  const folded = list.parentElement.classList.contains("folded");
  unfold.textContent = folded ? `Show ${more} earlier lines` : `Show the last ${LINES_SHOWN}`;
}

unfold.addEventListener("click", () => {
  list.parentElement.classList.toggle("folded");
  fold();
});

document.addEventListener("live:log", ({ detail: line }) => {
  if (list.querySelector(`[data-id="${line.id}"]`)) return;
  const item = document.createElement("li");
  item.className = line.level;
  item.dataset.id = line.id;
  const time = document.createElement("time");
  time.dateTime = line.time;
  time.textContent = line.time.slice(11, 19);
  const text = document.createElement("span");
  text.textContent = line.text;
  item.append(time, text);
  list.append(item);
  fold();
});

fold();

// The figure holds the past up to an id; the events go on after it.
const { newest_id: newest } = await chart.ready;
follow(page.dataset.eventsOfRun, newest);
