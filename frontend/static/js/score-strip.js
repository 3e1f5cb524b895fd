// Draws what a network hears over time: loudness above, and below it a row for each label, the darker the surer.
//
// The canvases have one pixel for each column of time, and the lower one for each label; the stylesheet stretches them.
const WAVE_HEIGHT = 64;
const MARK_COLUMNS = 3;

export class ScoreStrip {
  constructor(wave, heat, labels) {
    Object.assign(this, { wave, heat, labels });
    this.begin(1);
  }

  // Columns that can be told apart.
  get width() {
    return Math.max(1, this.heat.clientWidth);
  }

  begin(columns) {
    this.columns = columns;
    this.scores = new Float32Array(columns * this.labels);
    this.peaks = new Float32Array(columns);
    this.marks = [];
    Object.assign(this.wave, { width: columns, height: WAVE_HEIGHT });
    Object.assign(this.heat, { width: columns, height: this.labels });
    this.draw();
  }

  // Several frames may fall into one column; the highest of each is seen.
  put(column, scores, peak) {
    const first = column * this.labels;
    scores.forEach((score, label) => { this.scores[first + label] = Math.max(this.scores[first + label], score); });
    this.peaks[column] = Math.max(this.peaks[column], peak);
    this.draw();
  }

  mark(column, label) {
    this.marks.push({ column, label });
    this.draw();
  }

  // Makes room for one more column at the end.
  advance() {
    this.scores.copyWithin(0, this.labels).fill(0, -this.labels);
    this.peaks.copyWithin(0, 1).fill(0, -1);
    for (const mark of this.marks) mark.column -= 1;
    this.marks = this.marks.filter(({ column }) => column + MARK_COLUMNS > 0);
  }

  draw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.drawWave();
      this.drawHeat();
    });
  }

  drawWave() {
    const pen = this.wave.getContext("2d");
    const style = getComputedStyle(this.wave);
    pen.clearRect(0, 0, this.columns, WAVE_HEIGHT);
    pen.fillStyle = style.outlineColor;
    for (const { column } of this.marks) pen.fillRect(column, 0, 1, WAVE_HEIGHT);
    pen.fillStyle = style.color;
    this.peaks.forEach((peak, column) => {
      const height = Math.max(1, Math.min(1, peak) * WAVE_HEIGHT);
      pen.fillRect(column, (WAVE_HEIGHT - height) / 2, 1, height);
    });
  }

  drawHeat() {
    const pen = this.heat.getContext("2d", { willReadFrequently: true });
    const style = getComputedStyle(this.heat);
    pen.fillStyle = style.color;
    pen.fillRect(0, 0, this.columns, this.labels);
    const picture = pen.getImageData(0, 0, this.columns, this.labels);
    for (let column = 0; column < this.columns; column += 1) {
      for (let label = 0; label < this.labels; label += 1) {
        const opacity = 4 * (label * this.columns + column) + 3;
        picture.data[opacity] = 255 * this.scores[column * this.labels + label];
      }
    }
    pen.putImageData(picture, 0, 0);
    pen.fillStyle = style.outlineColor;
    for (const { column, label } of this.marks) pen.fillRect(column, label, MARK_COLUMNS, 1);
  }
}
