// <clip-waveform> draws the sound of the <audio> before it: the smallest and the largest sample of each column.
import { ClipPicture } from "./clip-picture.js";

const COLUMNS = 240;
const HEIGHT = 80;

class ClipWaveform extends ClipPicture {
  paint(sound) {
    const pen = this.canvas("Waveform", COLUMNS, HEIGHT).getContext("2d");
    pen.fillStyle = getComputedStyle(this).color;
    const step = sound.length / COLUMNS;
    for (let column = 0; column < COLUMNS; column += 1) {
      const part = sound.subarray(Math.floor(column * step), Math.max(Math.floor((column + 1) * step), Math.floor(column * step) + 1));
      const [top, bottom] = [Math.max(0, ...part), Math.min(0, ...part)].map((value) => (HEIGHT / 2) * (1 - value));
      pen.fillRect(column, top, 1, Math.max(1, bottom - top));
    }
  }
}

customElements.define("clip-waveform", ClipWaveform);
