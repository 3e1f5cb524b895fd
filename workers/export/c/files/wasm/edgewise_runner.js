// Runs edgewise.wasm, in browsers, audio worklets and Node alike.
//
//   const spotter = await Spotter.load(bytes, labels);   // bytes of edgewise.wasm, lines of labels.txt
//   const keyword = spotter.feed(samples);               // a Float32Array of any length, at the network's rate
//
// It fetches nothing itself. Blocks may have any length; the result does not depend on how a stream is cut.

export class Spotter {
  static async load(bytes, labels) {
    const { instance } = await WebAssembly.instantiate(bytes);
    return new Spotter(instance.exports, labels);
  }

  constructor(library, labels) {
    this.library = library;
    this.labels = labels;
    this.reset();
  }

  // Begin a new stream, with the threshold that the network was measured with.
  reset() {
    this.library.edgewise_begin();
  }

  // Take samples in [-1, 1]; return the keyword that was detected last, or null.
  feed(samples) {
    const length = this.library.edgewise_block_samples();
    let keyword = null;
    for (let first = 0; first < samples.length; first += length) {
      const part = samples.subarray(first, first + length);
      this.view(this.library.edgewise_block(), part.length).set(part);
      const label = this.library.edgewise_feed_block(part.length);
      if (label >= 0) keyword = this.labels[label];
    }
    return keyword;
  }

  set threshold(value) {
    this.library.edgewise_threshold(value);
  }

  // Frames since the stream began.
  get frames() {
    return this.library.edgewise_frame_count();
  }

  // Scores of the newest frame.
  get logits() {
    return this.view(this.library.edgewise_scores(), this.labels.length).slice();
  }

  get probabilities() {
    return this.view(this.library.edgewise_shares(), this.labels.length).slice();
  }

  view(address, length) {
    return new Float32Array(this.library.memory.buffer, address, length);
  }
}
