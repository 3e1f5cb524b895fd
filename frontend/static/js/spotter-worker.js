// Runs a WebAssembly artifact apart from the page, so that neither makes the other stutter.
//
// Code and network are the artifact's own files: what a program of the user would load. Tasks, one after the other:
//   load {runner, library, labels, stride}
//   listen {stream, threshold}, then hear {samples} again and again: a stream of the microphone
//   keep {samples}, then judge {stream, threshold}: a whole recording, as often as one likes
//   threshold {threshold}: for the frames that follow
// Each piece of audio is answered as {stream, heard, frames, milliseconds}, trouble as {trouble}. A stream is a number;
// the newest ends those before it.

const PIECE_FRAMES = 1000;

let labels;
let stride; // samples from frame to frame
let spotter;
let stream;
let newest;
let heard; // samples of the stream so far
let peak; // since the newest frame
let recording;

const tasks = {
  async load({ runner, library, ...network }) {
    ({ labels, stride } = network);
    const [{ Spotter }, answer] = await Promise.all([import(runner), fetch(library)]);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    spotter = await Spotter.load(await answer.arrayBuffer(), labels);
  },
  listen: begin,
  hear({ samples }) {
    answer(samples);
  },
  keep({ samples }) {
    recording = samples;
  },
  async judge(wish) {
    begin(wish);
    const piece = PIECE_FRAMES * stride;
    for (let first = 0; first < recording.length; first += piece) {
      if (stream !== newest) return;
      answer(recording.subarray(first, first + piece));
      await new Promise((done) => { setTimeout(done); }); // Hear of newer wishes.
    }
  },
  threshold({ threshold }) {
    spotter.threshold = threshold;
  },
};

function begin(wish) {
  ({ stream } = wish);
  heard = 0;
  peak = 0;
  spotter.reset();
  spotter.threshold = wish.threshold;
}

// In parts of a stride each frame is seen: none completes more than one.
function answer(samples) {
  const began = performance.now();
  const frames = [];
  for (let first = 0; first < samples.length; first += stride) {
    const part = samples.subarray(first, first + stride);
    const known = spotter.frames;
    const keyword = spotter.feed(part);
    peak = part.reduce((most, sample) => Math.max(most, Math.abs(sample)), peak);
    if (spotter.frames === known) continue;
    frames.push({ scores: spotter.probabilities, peak, keyword });
    peak = 0;
  }
  heard += samples.length;
  postMessage({ stream, heard, frames, milliseconds: performance.now() - began });
}

let before = Promise.resolve();

onmessage = ({ data }) => {
  newest = data.stream ?? newest;
  before = before.then(() => tasks[data.task](data)).catch(({ message }) => postMessage({ trouble: message }));
};
