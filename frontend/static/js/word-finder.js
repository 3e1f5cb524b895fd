// Finds one spoken word in the sound of a microphone and cuts it out, and says what is wrong with a take.
//
// Voice activity by energy over the noise floor, in frames of 10 ms: a word begins when the level rises 12 dB above the
// floor, and ends when it has been less than 8 dB above it for 300 ms, so that the closure before a final "p" does not
// end it. What is loud for less than 80 ms is a click of the keyboard. The clip has the word in its middle.

const FRAME_SECONDS = 0.01;
const FLOOR_FRAMES = 150;
const FEWEST_FLOOR_FRAMES = 20;
const FLOOR_QUANTILE = 0.2;
const LOWEST_DB = -90;
const BEGIN_DB = 12;
const END_DB = 8;
const FAINTEST_DB = -55;
const HANGOVER_FRAMES = 30;
const SHORTEST_FRAMES = 8;
const LONGEST_FRAMES = 400;
const PREROLL_FRAMES = 10;
const MARGIN_SECONDS = 0.05;

const CLIPPED = 0.99;
const CLIPPED_SAMPLES = 3;
const QUIET_DB = -38;
const NOISY_DB = 20;
const HUM_FLOOR_DB = -65;
const HUM_SHARE = 0.5;

export const decibels = (power) => Math.max(LOWEST_DB, 10 * Math.log10(power + 1e-12));

function power(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return samples.length ? sum / samples.length : 0;
}

// The last samples of a stream, addressed by their number since its beginning.
class History {
  constructor(capacity) {
    this.samples = new Float32Array(capacity);
    this.end = 0;
  }

  push(block) {
    for (const sample of block) {
      this.samples[this.end % this.samples.length] = sample;
      this.end += 1;
    }
  }

  // Before the beginning of the stream there was silence.
  slice(first, last) {
    const oldest = Math.max(0, this.end - this.samples.length);
    return Float32Array.from({ length: last - first }, (_, n) =>
      first + n < oldest ? 0 : this.samples[(first + n) % this.samples.length]);
  }
}

export class WordFinder {
  constructor(rate, clipSeconds) {
    this.rate = rate;
    this.frame = Math.round(FRAME_SECONDS * rate);
    this.length = Math.round(clipSeconds * rate);
    this.history = new History(2 * this.length + Math.ceil((LONGEST_FRAMES + 200) * this.frame));
    this.levels = [];
    this.measured = 0;
    this.word = null;
    this.listening = false;
  }

  listen() {
    this.listening = true;
    this.word = null;
    this.from = this.measured - PREROLL_FRAMES * this.frame;
  }

  stop() {
    this.listening = false;
    this.word = null;
  }

  get floor() {
    const sorted = [...this.levels].sort((a, b) => a - b);
    return sorted.length ? sorted[Math.floor(FLOOR_QUANTILE * (sorted.length - 1))] : LOWEST_DB;
  }

  // Takes a block and returns the take that it completes, or null.
  push(block) {
    this.history.push(block);
    while (this.measured + this.frame <= this.history.end) {
      const level = decibels(power(this.history.slice(this.measured, this.measured + this.frame)));
      this.hear(level);
      this.measured += this.frame;
    }
    return this.listening && this.word?.ended && this.history.end >= this.last() ? this.cut() : null;
  }

  hear(level) {
    if (this.word?.ended) return;
    if (!this.word) {
      // Before the floor is known, every room would seem to speak.
      const ready = this.listening && this.measured >= this.from && this.levels.length >= FEWEST_FLOOR_FRAMES;
      if (ready && level > Math.max(this.floor + BEGIN_DB, FAINTEST_DB)) {
        this.word = { first: this.measured, last: this.measured, loud: 1, loudest: level, floor: this.floor, ended: false };
        return;
      }
      this.levels.push(level);
      if (this.levels.length > FLOOR_FRAMES) this.levels.shift();
      return;
    }
    if (level > Math.max(this.word.floor + END_DB, FAINTEST_DB)) {
      this.word.last = this.measured;
      this.word.loud += 1;
      this.word.loudest = Math.max(this.word.loudest, level);
    }
    const silent = (this.measured - this.word.last) / this.frame;
    const long = (this.measured - this.word.first) / this.frame;
    if (silent < HANGOVER_FRAMES && long < LONGEST_FRAMES) return;
    if (this.word.loud < SHORTEST_FRAMES) this.word = null;
    else this.word.ended = true;
  }

  // The word in the middle; of one that is longer than the clip, the beginning.
  first() {
    const { first, last } = this.word;
    const spoken = last + this.frame - first;
    const margin = MARGIN_SECONDS * this.rate;
    return Math.round(spoken > this.length ? first - margin : first + (spoken - this.length) / 2);
  }

  last() {
    return this.first() + this.length;
  }

  cut() {
    const { first, last, loudest, floor } = this.word;
    const samples = this.history.slice(this.first(), this.last());
    const before = this.history.slice(Math.max(0, first - Math.round(this.rate / 2)), Math.max(0, first - this.frame));
    const take = {
      samples,
      rate: this.rate,
      level: loudest,
      floor,
      isCut: last + this.frame - first > this.length,
      hum: floor > HUM_FLOOR_DB && humShare(before, this.rate) > HUM_SHARE,
    };
    this.stop();
    return take;
  }
}

// Power of one tone by Goertzel's algorithm, as a share of all power.
function toneShare(samples, rate, hertz) {
  const turn = 2 * Math.cos((2 * Math.PI * hertz) / rate);
  let [one, two] = [0, 0];
  for (const sample of samples) [one, two] = [sample + turn * one - two, one];
  const tone = one * one + two * two - turn * one * two;
  return samples.length ? (2 * tone) / (samples.length ** 2 * (power(samples) + 1e-12)) : 0;
}

// Mains hum: 50 or 60 Hz and its first harmonics.
function humShare(samples, rate) {
  const share = (mains) => [1, 2, 3].reduce((sum, n) => sum + toneShare(samples, rate, n * mains), 0);
  return Math.max(share(50), share(60));
}

// What is wrong with a take, each with what to do.
export function warnings(take) {
  const found = [];
  const clipped = take.samples.reduce((count, sample) => count + (Math.abs(sample) >= CLIPPED), 0);
  if (clipped >= CLIPPED_SAMPLES) found.push("It is clipped: move away from the microphone, or lower its level.");
  else if (take.level < QUIET_DB) found.push("It is very quiet: come closer to the microphone, or raise its level.");
  if (take.hum) found.push("There is mains hum: move the microphone away from power supplies and cables.");
  else if (take.level - take.floor < NOISY_DB) found.push("The background is loud: find a quieter place, or come closer.");
  if (take.isCut) found.push("The word is longer than the clip, so its end is missing: say it faster, or record with a longer clip duration.");
  return found;
}
