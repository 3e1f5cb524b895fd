// Runs the clips in clips.raw: node run_clips.mjs SAMPLES FEATURES LABELS. Writes the features of each frame and the last
// scores of each clip to results.raw.
import { readFileSync, writeFileSync } from "node:fs";
import { Spotter } from "./edgewise_runner.mjs";

const [samples, features, labels] = process.argv.slice(2).map(Number);
const audio = new Float32Array(new Uint8Array(readFileSync("clips.raw")).buffer);
const spotter = await Spotter.load(readFileSync("edgewise.wasm"), Array(labels).fill(""));
const stride = spotter.library.edgewise_block_samples();
const results = [];
for (let first = 0; first < audio.length; first += samples) {
  const clip = audio.subarray(first, first + samples);
  spotter.reset();
  for (let begin = 0, frames = 0; begin < samples; begin += stride) {
    spotter.feed(clip.subarray(begin, begin + stride));
    if (spotter.frames > frames) results.push(...spotter.view(spotter.library.edgewise_heard(), features));
    frames = spotter.frames;
  }
  results.push(...spotter.logits);
}
writeFileSync("results.raw", new Float32Array(results));
