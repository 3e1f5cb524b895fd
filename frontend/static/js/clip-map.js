// The map of clips: a click on a point plays its clip and shows what lies around it.
import { play } from "./player.js";
import "./spectrogram.js";

const chart = document.getElementById("map");
const template = document.getElementById("picked-clip");

await chart.ready;
chart.on("plotly_click", ({ points: [point] }) => {
  const [id, name, label, around] = point.customdata;
  const part = template.content.cloneNode(true);
  for (const [key, text] of Object.entries({ name, label, around })) part.querySelector(`[data-${key}]`).textContent = text;
  const audio = part.querySelector("audio");
  audio.src = `${audio.dataset.audio}${id}/audio`;
  audio.setAttribute("aria-label", name);
  part.querySelector("[data-clips]").href = part.querySelector("[data-clips]").dataset.clips + encodeURIComponent(name);
  document.getElementById("picked").replaceChildren(part);
  play(audio);
});
