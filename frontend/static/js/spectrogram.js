// <clip-spectrogram> draws the sound of the <audio> before it: time to the right, 0 to 8 kHz upwards, loud is strong.
import { ClipPicture, HIGHEST_HZ } from "./clip-picture.js";

const SIZE = 512;
const HOP = 128;
const FLOOR_DB = -80;

const hann = Float32Array.from({ length: SIZE }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / SIZE));

// Cooley and Tukey's transform in place, for lengths that are powers of two.
function transform(real, imaginary) {
  const length = real.length;
  for (let i = 1, j = 0; i < length; i += 1) {
    let bit = length >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [real[i], real[j]] = [real[j], real[i]];
  }
  for (let size = 2; size <= length; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k += 1) {
      const angle = (-2 * Math.PI * k) / size;
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      for (let i = k; i < length; i += size) {
        const re = real[i + half] * c - imaginary[i + half] * s;
        const im = real[i + half] * s + imaginary[i + half] * c;
        [real[i + half], imaginary[i + half]] = [real[i] - re, imaginary[i] - im];
        real[i] += re;
        imaginary[i] += im;
      }
    }
  }
}

class ClipSpectrogram extends ClipPicture {
  paint(sound) {
    const columns = Math.max(1, Math.floor((sound.length - SIZE) / HOP) + 1);
    const canvas = this.canvas("Spectrogram", columns, SIZE / 2);
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(columns, SIZE / 2);
    const colour = getComputedStyle(this).color.match(/\d+/g).map(Number);
    const real = new Float32Array(SIZE);
    const imaginary = new Float32Array(SIZE);
    for (let column = 0; column < columns; column += 1) {
      for (let n = 0; n < SIZE; n += 1) real[n] = (sound[column * HOP + n] ?? 0) * hann[n];
      imaginary.fill(0);
      transform(real, imaginary);
      for (let bin = 0; bin < SIZE / 2; bin += 1) {
        const decibels = 20 * Math.log10(Math.hypot(real[bin], imaginary[bin]) / (SIZE / 4) + 1e-9);
        const strength = Math.max(0, 1 - decibels / FLOOR_DB);
        image.data.set([...colour.slice(0, 3), 255 * strength], 4 * ((SIZE / 2 - 1 - bin) * columns + column));
      }
    }
    pen.putImageData(image, 0, 0);
  }
}

customElements.define("clip-spectrogram", ClipSpectrogram);
