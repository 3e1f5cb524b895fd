// A bar that shows how loud the microphone is, in decibels; red when it clips.
import { decibels } from "./word-finder.js";

const FLOOR_DB = -60;
const CLIPPED = 0.99;

export function showLevel(place, samples) {
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  const share = 1 - decibels(peak * peak) / FLOOR_DB;
  place.firstElementChild.style.transform = `scaleX(${Math.min(1, Math.max(0, share))})`;
  place.classList.toggle("clipped", peak >= CLIPPED);
}
