// <try-it>: a run's WebAssembly artifact at the microphone or on a recording. Nothing that is heard leaves the browser:
// it goes to spotter-worker.js, whose policy lets it talk to nobody but this server.
import { showLevel } from "./level.js";
import { obstacle, offer, open } from "./microphone.js";
import { play } from "./player.js";
import { ScoreStrip } from "./score-strip.js";

const PARTS = [
  "trouble", "state", "heard", "level", "listen", "microphones", "file", "strip", "pictures", "wave", "heat", "playhead",
  "from", "to", "player", "threshold", "chosen", "reset", "count", "none", "detections", "cost",
];
const LIVE_DETECTIONS = 50;
const FRESH_MILLISECONDS = 1500;
const SETTLED_SECONDS = 1;

// 75.25 → 1:15.2
function clock(seconds) {
  const tenths = Math.floor(10 * seconds);
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
}

// The mean of all channels.
function mono(sound) {
  const samples = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    sound.getChannelData(channel).forEach((sample, n) => { samples[n] += sample / sound.numberOfChannels; });
  }
  return samples;
}

class TryIt extends HTMLElement {
  connectedCallback() {
    this.parts = Object.fromEntries(PARTS.map((name) => [name, this.querySelector(`[data-${name}]`)]));
    this.labels = JSON.parse(this.getAttribute("labels"));
    for (const name of ["rate", "window", "stride"]) this[name] = Number(this.getAttribute(name));
    this.clipSeconds = Number(this.getAttribute("milliseconds")) / 1000;
    this.rows = [...this.querySelectorAll("[data-label]")];
    this.strip = new ScoreStrip(this.parts.wave, this.parts.heat, this.labels.length);
    this.stream = 0;
    this.wish = null; // The microphone or recording that was asked for last: both take their time.
    this.life = new AbortController();
    this.connect();
    const hasWebAssembly = typeof WebAssembly !== "undefined";
    for (const part of [this.parts.listen, this.parts.file]) part.disabled = !hasWebAssembly;
    this.say("trouble", hasWebAssembly ? obstacle() : "This browser has no WebAssembly, or it is switched off. Use a current Firefox, Chrome, Edge or Safari.");
    this.toggleAttribute("data-ready", true);
    this.show("off");
    this.choose(); // Where the browser kept what the slider said.
  }

  disconnectedCallback() {
    this.life.abort();
    this.wish = null;
    this.microphone?.close();
    this.worker?.terminate();
    URL.revokeObjectURL(this.parts.player.src);
  }

  connect() {
    const on = (place, name, listener) => place.addEventListener(name, listener, { signal: this.life.signal });
    const { listen, file, microphones, threshold, reset, pictures, player, detections } = this.parts;
    on(listen, "click", () => (this.microphone ? this.stop() : this.listen()));
    on(microphones, "change", () => this.listen());
    on(file, "change", () => {
      this.take(file.files[0]);
      file.value = ""; // So that the same one can be chosen again.
    });
    on(threshold, "input", () => this.choose());
    on(reset, "click", () => this.choose(threshold.defaultValue));
    on(pictures, "click", ({ clientX }) => {
      const { left, width } = pictures.getBoundingClientRect();
      this.play(((clientX - left) / width) * this.seconds);
    });
    on(detections, "click", ({ target: { dataset } }) => dataset.at && this.play(dataset.at));
    for (const event of ["play", "seeked"]) on(player, event, () => this.follow());
    // Over the whole page: a file that falls beside its place would replace the page.
    on(document, "dragover", (event) => this.hover(event, true));
    on(document, "dragleave", (event) => this.hover(event, event.relatedTarget !== null));
    on(document, "drop", (event) => {
      this.hover(event, false);
      this.take(event.dataTransfer.files[0]);
    });
  }

  hover(event, whether) {
    event.preventDefault();
    this.toggleAttribute("data-over", whether);
  }

  // --- the network ---------------------------------------------------------------------------------------------------

  // It is loaded by whoever tries it first.
  tell(task, values, transfer = []) {
    if (!this.worker) {
      this.worker = new Worker(this.getAttribute("worker"), { type: "module" });
      this.worker.onmessage = ({ data }) => (data.trouble ? this.giveUp(data.trouble) : this.hear(data));
      this.worker.onerror = ({ message }) => this.giveUp(message ?? "its program could not be loaded");
      const [runner, library] = ["runner", "library"].map((name) => this.getAttribute(name));
      this.worker.postMessage({ task: "load", runner, library, labels: this.labels, stride: this.stride });
    }
    this.worker.postMessage({ task, ...values }, transfer);
  }

  giveUp(reason) {
    this.stop();
    this.worker.terminate();
    this.worker = null;
    this.say("trouble", `The network cannot be run here: ${reason}. Load this page again.`);
  }

  // Begins a stream: what older ones still answer is not looked at.
  begin(columns) {
    this.stream += 1;
    this.frames = 0;
    this.milliseconds = 0;
    this.strip.begin(columns);
    this.parts.detections.replaceChildren();
    this.showCount();
    return { stream: this.stream, threshold: Number(this.parts.threshold.value) };
  }

  hear({ stream, heard, frames, milliseconds }) {
    if (stream !== this.stream) return;
    for (const frame of frames) this.add(frame);
    this.milliseconds += milliseconds;
    const seconds = heard / this.rate;
    if (seconds >= SETTLED_SECONDS) this.say("cost", `Computed here, with ${(this.milliseconds / 10 / seconds).toPrecision(2)}% of one core.`);
    if (!this.microphone) this.say("state", this.judged(seconds));
    else if (frames.length) this.showScores(frames.at(-1).scores);
  }

  add({ scores, peak, keyword }) {
    // Heard when its window has been.
    const second = (this.window + this.frames * this.stride) / this.rate;
    let column = this.strip.columns - 1;
    if (this.microphone) this.strip.advance();
    else column = Math.min(column, Math.floor((second / this.seconds) * this.strip.columns));
    this.strip.put(column, scores, peak);
    this.frames += 1;
    if (keyword === null) return;
    this.strip.mark(column, this.labels.indexOf(keyword));
    this.list(second, keyword);
  }

  choose(value) {
    const { threshold, chosen } = this.parts;
    if (value !== undefined) threshold.value = value;
    chosen.value = Number(threshold.value).toFixed(2);
    if (this.microphone) this.tell("threshold", { threshold: Number(threshold.value) });
    else if (this.seconds) this.judge();
  }

  // --- the microphone ------------------------------------------------------------------------------------------------

  async listen() {
    if (this.dataset.mode === "starting") return;
    this.stop();
    const wish = this.wish = {};
    this.seconds = 0;
    this.show("starting");
    this.say("trouble", "");
    this.say("state", "Switching the microphone on …");
    let microphone;
    try {
      const device = this.parts.microphones.querySelector("select").value;
      microphone = await open(this.getAttribute("worklet"), device, (block) => this.pass(block), this.rate);
    } catch (error) {
      if (wish !== this.wish) return;
      this.show("off");
      this.say("trouble", error.message);
      this.say("state", "The microphone is off.");
      return;
    }
    if (wish !== this.wish) {
      microphone.close();
      return;
    }
    this.microphone = microphone;
    microphone.track.addEventListener("ended", () => {
      this.stop();
      this.say("trouble", "The microphone was taken away. Plug it in or choose another one, then press Listen again.");
    });
    this.show("listening");
    this.tell("listen", this.begin(this.strip.width));
    this.say("state", "Listening. Say one of the words.");
    await offer(this.parts.microphones, microphone.track);
  }

  pass(samples) {
    if (!this.microphone) return;
    showLevel(this.parts.level, samples);
    this.tell("hear", { samples }, [samples.buffer]);
  }

  stop() {
    this.parts.player.pause();
    if (!this.microphone) return;
    this.microphone.close();
    this.microphone = null;
    this.stream += 1;
    showLevel(this.parts.level, []);
    this.showScores(this.labels.map(() => 0));
    this.say("heard", "");
    this.say("state", "Stopped.");
    this.show("off");
  }

  // --- a recording ---------------------------------------------------------------------------------------------------

  async take(file) {
    if (!file) return;
    this.stop();
    const wish = this.wish = {};
    if (this.dataset.mode === "starting") this.show("off");
    this.say("trouble", "");
    this.say("state", `Reading ${file.name} …`);
    let samples;
    try {
      samples = mono(await new OfflineAudioContext(1, 1, this.rate).decodeAudioData(await file.arrayBuffer()));
    } catch {
      if (wish !== this.wish) return;
      this.say("state", "");
      this.say("trouble", `${file.name} is no sound that this browser can read. Choose a wav, flac, mp3, ogg or m4a file.`);
      return;
    }
    if (wish !== this.wish) return;
    this.seconds = samples.length / this.rate;
    this.name = file.name;
    URL.revokeObjectURL(this.parts.player.src);
    this.parts.player.src = URL.createObjectURL(file);
    this.tell("keep", { samples }, [samples.buffer]);
    this.show("recording");
    this.judge();
  }

  judge() {
    const strides = Math.ceil((this.seconds * this.rate) / this.stride);
    this.tell("judge", this.begin(Math.min(strides, this.strip.width)));
  }

  judged(seconds) {
    const share = seconds / this.seconds;
    if (share < 1) return `${this.name}: ${Math.floor(100 * share)}% heard`;
    if (!this.frames) return `${this.name} is shorter than one window of the network. Choose a longer recording.`;
    const found = this.parts.detections.childElementCount;
    return `${this.name}: ${found} ${found === 1 ? "detection" : "detections"} in ${clock(this.seconds)}`;
  }

  play(second) {
    if (!this.seconds) return;
    this.parts.player.currentTime = second;
    play(this.parts.player);
  }

  follow() {
    const share = this.parts.player.currentTime / this.seconds;
    this.parts.playhead.style.left = `${Math.min(1, share || 0) * 100}%`;
    this.following ??= requestAnimationFrame(() => {
      this.following = null;
      if (!this.parts.player.paused) this.follow();
    });
  }

  // --- what is shown -------------------------------------------------------------------------------------------------

  show(mode) {
    this.dataset.mode = mode;
    const { listen, level, strip, player, playhead, from, to } = this.parts;
    const isOn = mode === "listening";
    const isRecording = mode === "recording";
    listen.textContent = isOn ? "Stop" : "Listen";
    listen.setAttribute("aria-pressed", String(isOn));
    level.hidden = !isOn;
    if (isOn || isRecording) strip.hidden = false;
    player.hidden = playhead.hidden = !isRecording;
    from.textContent = isRecording ? clock(0) : `${Math.round((this.strip.width * this.stride) / this.rate)} s ago`;
    to.textContent = isRecording ? clock(this.seconds) : "now";
  }

  say(part, text) {
    const place = this.parts[part];
    if (place.textContent !== text) place.textContent = text;
    if (part === "trouble") place.hidden = !text;
  }

  showScores(scores) {
    this.rows.forEach((row, label) => row.style.setProperty("--score", scores[label]));
  }

  showCount() {
    const { detections, count, none } = this.parts;
    count.textContent = detections.childElementCount || "";
    none.hidden = detections.childElementCount > 0;
  }

  // Of a recording from its begin, live the newest first.
  list(second, keyword) {
    const { detections } = this.parts;
    const item = document.createElement("li");
    const time = document.createElement(this.microphone ? "span" : "button");
    time.textContent = clock(second);
    if (!this.microphone) {
      Object.assign(time, { type: "button", className: "link", ariaLabel: `Play ${keyword} at ${clock(second)}` });
      time.dataset.at = Math.max(0, second - this.clipSeconds);
    }
    item.append(time, " ", Object.assign(document.createElement("strong"), { textContent: keyword }));
    if (this.microphone) {
      detections.prepend(item);
      if (detections.childElementCount > LIVE_DETECTIONS) detections.lastElementChild.remove();
      this.flash(keyword);
    } else detections.append(item);
    this.showCount();
  }

  flash(keyword) {
    const { heard } = this.parts;
    heard.textContent = keyword;
    heard.toggleAttribute("data-fresh", true);
    clearTimeout(this.fresh);
    this.fresh = setTimeout(() => heard.toggleAttribute("data-fresh", false), FRESH_MILLISECONDS);
  }
}

customElements.define("try-it", TryIt);
