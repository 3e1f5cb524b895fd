// <clip-recorder takes="address" worklet="address" milliseconds="1000">: records one word after the other.
//
//   off → starting → listening (a word is found and cut out) → review (keep or re-take) → listening …
//                  → noise (ten seconds as they are) ────────↗
//
// A take that is kept is sent at once; until the server has it, it stays here and is sent again.
import { warnings, WordFinder } from "./word-finder.js";
import { showLevel } from "./level.js";
import { obstacle, offer, open } from "./microphone.js";
import { wav } from "./wav.js";

const NOISE_SECONDS = 10;
const PATIENCE_SECONDS = 8;
const TRIES = 4;
const RETRY_MILLISECONDS = 1000;

const wait = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });

class ClipRecorder extends HTMLElement {
  connectedCallback() {
    const part = (name) => this.querySelector(`[data-${name}]`);
    this.parts = Object.fromEntries(
      ["trouble", "state", "prompt", "level", "wave", "warnings", "record", "review", "keep", "again", "player", "speaker",
        "microphones", "hands-free", "waiting", "none", "takes"].map((name) => [name, part(name)]),
    );
    this.clipSeconds = Number(this.getAttribute("milliseconds")) / 1000;
    this.mode = "off";
    this.unsent = new Set();
    this.remember("speaker", this.parts.speaker);
    this.parts.record.addEventListener("click", () => this.press());
    this.parts.keep.addEventListener("click", () => this.keep());
    this.parts.again.addEventListener("click", () => this.listen());
    this.parts.microphones.addEventListener("change", () => this.close());
    this.parts.takes.addEventListener("click", (event) => this.remove(event.target.closest("[data-delete]")));
    this.addEventListener("change", (event) => event.target.name === "word" && this.choose());
    this.onKey = (event) => this.key(event);
    this.onLeave = (event) => this.unsent.size && event.preventDefault();
    document.addEventListener("keydown", this.onKey);
    addEventListener("beforeunload", this.onLeave);
    this.say("trouble", obstacle());
    this.choose();
    this.parts.record.disabled = false;
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.onKey);
    removeEventListener("beforeunload", this.onLeave);
    this.close();
  }

  // What a person typed is there again on the next visit. Who was quicker than this module typed already.
  remember(name, field) {
    const keep = () => localStorage.setItem(name, field.value);
    if (field.value) keep();
    else field.value = localStorage.getItem(name) ?? "";
    field.addEventListener("input", keep);
  }

  // --- what to record ------------------------------------------------------------------------------------------------

  get word() {
    return this.querySelector("input[name=word]:checked");
  }

  get isNoise() {
    return "noise" in this.word.dataset;
  }

  choose() {
    this.parts.prompt.textContent = this.isNoise ? "Background noise" : this.word.value.replaceAll("_", " ");
    if (this.mode === "off") {
      this.say("state", this.isNoise ? `Press Record and be silent for ${NOISE_SECONDS} s.` : "Press Record, then say it.");
    } else if (this.mode !== "starting") this.stop();
  }

  count(kind, label, change) {
    const selector = kind === "noise" ? "[data-noise]" : `[value="${CSS.escape(label)}"]`;
    const word = this.querySelector(`input[name=word]${selector}`);
    const waiting = this.parts.waiting;
    waiting.dataset.count = Number(waiting.dataset.count) + change;
    waiting.textContent = Number(waiting.dataset.count).toLocaleString("en");
    if (!word) return;
    const clips = Number(word.dataset.clips) + change;
    word.dataset.clips = clips;
    const row = word.closest("label");
    row.querySelector("[data-count-of]").textContent = `${clips} of ${word.dataset.target}`;
    row.querySelector("progress").value = clips;
  }

  // The next word that lacks clips, once this one has enough.
  advance() {
    const lacks = (word) => Number(word.dataset.clips) < Number(word.dataset.target);
    if (lacks(this.word)) return true;
    const next = [...this.querySelectorAll("input[name=word]:not([data-noise])")].find(lacks);
    if (!next) return false;
    next.checked = true;
    this.choose();
    return true;
  }

  // --- the microphone ------------------------------------------------------------------------------------------------

  async start() {
    this.mode = "starting";
    this.say("trouble", "");
    this.say("state", "Switching the microphone on …");
    try {
      const device = this.parts.microphones.querySelector("select").value;
      this.microphone = await open(this.getAttribute("worklet"), device, (block) => this.hear(block));
    } catch (error) {
      this.mode = "off";
      this.say("trouble", error.message);
      this.say("state", "The microphone is off.");
      return;
    }
    this.finder = new WordFinder(this.microphone.rate, this.clipSeconds);
    this.microphone.track.addEventListener("ended", () => {
      this.close();
      this.say("trouble", "The microphone was taken away. Plug it in or choose another one, then press Record again.");
    });
    await offer(this.parts.microphones, this.microphone.track);
    this.listen();
  }

  close() {
    this.microphone?.close();
    this.microphone = null;
    this.show("off");
    showLevel(this.parts.level, []);
  }

  hear(block) {
    showLevel(this.parts.level, block);
    if (this.mode === "noise") this.hearNoise(block);
    const take = this.finder?.push(block);
    if (this.mode !== "listening") return;
    if (take) this.review({ ...take, kind: "word", label: this.word.value });
    else if (this.finder.measured - this.began > PATIENCE_SECONDS * this.microphone.rate && !this.finder.word) {
      this.stop();
      this.say("state", "Nothing was heard. Look whether the bar moves when you speak; then press Record again.");
    }
  }

  hearNoise(block) {
    this.noise.push(block);
    const seconds = (this.noise.length * block.length) / this.microphone.rate;
    this.say("state", `Be silent: ${Math.max(0, Math.ceil(NOISE_SECONDS - seconds))} s`);
    if (seconds < NOISE_SECONDS) return;
    const samples = Float32Array.from(this.noise.flatMap((part) => [...part]));
    this.review({ samples, rate: this.microphone.rate, kind: "noise", label: "" });
  }

  // --- from take to take ---------------------------------------------------------------------------------------------

  press() {
    if (this.mode === "off") this.start();
    else if (this.mode === "listening" || this.mode === "noise") this.stop();
    else if (this.mode !== "starting") this.listen();
  }

  listen() {
    this.take = null;
    this.say("warnings", "");
    if (this.isNoise) {
      this.noise = [];
      this.show("noise");
      return;
    }
    this.finder.listen();
    this.began = this.finder.measured;
    this.show("listening");
    this.say("state", "Say it now.");
  }

  stop() {
    this.finder?.stop();
    this.take = null;
    this.show("ready");
    this.say("state", "Stopped. Press Record to go on.");
  }

  review(take) {
    this.take = take;
    const found = take.kind === "word" ? warnings(take) : [];
    this.draw(take.samples);
    this.say("warnings", found.join(" "));
    this.show("review");
    this.say("state", found.length ? "Keep it all the same?" : "Keep it?");
    URL.revokeObjectURL(this.parts.player.src);
    this.parts.player.src = URL.createObjectURL(wav(take.samples, take.rate));
    if (!this.parts["hands-free"].checked) return;
    if (!found.length) {
      this.keep();
      return;
    }
    this.listen();
    this.say("warnings", `Not kept. ${found.join(" ")}`);
  }

  async keep() {
    const { take } = this;
    if (!take) return;
    this.take = null;
    const form = new FormData();
    form.set("file", wav(take.samples, take.rate), "take.wav");
    form.set("kind", take.kind);
    form.set("label", take.label);
    form.set("speaker", this.parts.speaker.value);
    const stored = this.store(form);
    this.count(take.kind, take.label, 1);
    if (!this.advance()) {
      this.show("ready");
      this.say("state", "All words have enough clips. Press Done, or go on.");
    } else if (take.kind === "noise") this.stop();
    else this.listen();
    const row = await stored;
    if (row) this.add(row);
    else this.count(take.kind, take.label, -1);
  }

  // --- the server ----------------------------------------------------------------------------------------------------

  request(method, address, options = {}) {
    const headers = { ...JSON.parse(document.body.getAttribute("hx-headers")), ...options.headers };
    return fetch(address, { method, ...options, headers });
  }

  // Sends a take until the server has it or refuses it; the key keeps it from being stored twice.
  async store(form) {
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    this.unsent.add(form);
    let answer;
    for (let attempt = 1; !answer; attempt += 1) {
      try {
        answer = await this.request("POST", this.getAttribute("takes"), { body: form, headers });
        // 409 also says that the server is still at the first of two requests with one key.
        if ((answer.status >= 500 || answer.status === 409) && attempt < TRIES) answer = null;
      } catch {
        this.say("trouble", "The server cannot be reached. Takes stay on this page and are sent when it answers; do not close the page.");
      }
      if (!answer) await wait(RETRY_MILLISECONDS * Math.min(attempt, 10));
    }
    this.unsent.delete(form);
    if (!answer.ok) {
      const { detail, remedy } = await answer.json().catch(() => ({ detail: `The server failed (${answer.status}).` }));
      this.say("trouble", `The take was not stored. ${detail} ${remedy ?? ""}`);
      return null;
    }
    if (!this.unsent.size) this.say("trouble", "");
    return answer.json();
  }

  async remove(button) {
    if (!button) return;
    const row = button.closest("tr");
    const answer = await this.request("DELETE", `${this.getAttribute("takes")}/${row.dataset.take}`);
    if (!answer.ok && answer.status !== 404) {
      const { detail, remedy } = await answer.json();
      this.say("trouble", `${detail} ${remedy ?? ""}`);
      return;
    }
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    this.count(row.dataset.kind, row.dataset.label, -1);
    this.showTakes();
    (neighbour?.querySelector("[data-delete]") ?? this.parts.record).focus();
  }

  // --- what is shown -------------------------------------------------------------------------------------------------

  show(mode) {
    this.mode = mode;
    this.dataset.mode = mode;
    const isOn = mode === "listening" || mode === "noise";
    this.parts.review.hidden = mode !== "review";
    this.parts.record.hidden = mode === "review";
    this.parts.record.firstChild.textContent = isOn ? "Stop " : "Record ";
    this.parts.record.setAttribute("aria-pressed", String(isOn));
  }

  say(part, text) {
    const place = this.parts[part];
    if (place.textContent !== text) place.textContent = text;
    if (part === "trouble") place.hidden = !text;
  }

  draw(samples) {
    const { wave } = this.parts;
    const pen = wave.getContext("2d");
    const middle = wave.height / 2;
    const step = samples.length / wave.width;
    pen.clearRect(0, 0, wave.width, wave.height);
    pen.fillStyle = getComputedStyle(wave).color;
    for (let x = 0; x < wave.width; x += 1) {
      const part = samples.subarray(Math.floor(x * step), Math.floor((x + 1) * step) + 1);
      const peak = part.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
      pen.fillRect(x, middle - peak * middle, 1, Math.max(1, 2 * peak * middle));
    }
  }

  add(take) {
    const row = this.querySelector("template").content.firstElementChild.cloneNode(true);
    Object.assign(row.dataset, { take: take.id, label: take.label, kind: take.kind });
    const texts = { label: take.label, speaker: take.speaker, seconds: `${(take.length / take.sample_rate).toFixed(1)} s` };
    for (const [name, text] of Object.entries(texts)) row.querySelector(`[data-fill=${name}]`).textContent = text;
    row.querySelector("audio").src = `${this.getAttribute("takes")}/${take.id}/audio`;
    this.parts.takes.tBodies[0].prepend(row);
    this.showTakes();
  }

  showTakes() {
    const any = this.parts.takes.tBodies[0].rows.length > 0;
    this.parts.takes.hidden = !any;
    this.parts.none.hidden = any;
  }

  // Space records and stops, Enter keeps, R takes again; where somebody types, keys are letters.
  key(event) {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=radio], [type=checkbox]), select, textarea, audio, dialog, a, [popover]")) return;
    const isButton = event.target.closest("button, [type=checkbox]");
    if (event.key === " " && !isButton) this.press();
    else if (event.key === "Enter" && !isButton && this.mode === "review") this.keep();
    else if (event.key === "r" && this.mode === "review") this.listen();
    else return;
    event.preventDefault();
  }
}

customElements.define("clip-recorder", ClipRecorder);
