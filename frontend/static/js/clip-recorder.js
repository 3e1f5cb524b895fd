// <clip-recorder takes="address" worklet="address" milliseconds="1000">: records one word after the other.
//
//   off → starting → listening (a word is found and cut out) → review (keep or re-take) → listening …
//                  → noise (ten seconds as they are) ────────↗
//
// A take that is kept is sent at once; until the server has it, it stays here and is sent again. One that is refused
// stays as a row, to be tried again or deleted.
import { warnings, WordFinder } from "./word-finder.js";
import { showLevel } from "./level.js";
import { obstacle, offer, open } from "./microphone.js";
import { wav } from "./wav.js";

const NOISE_SECONDS = 10;
const PATIENCE_SECONDS = 8;
const TRIES = 4;
const RETRY_MILLISECONDS = 1000;

const wait = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });

// What an answer that is no success says, and of which fields.
async function problem(answer) {
  const { detail, remedy, errors } = await answer.json().catch(() => ({ detail: `The server failed (${answer.status}).` }));
  return { reason: `${detail} ${remedy ?? ""}`, fields: (errors ?? []).map(({ field }) => field) };
}

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
    this.refused = new Map();
    this.remember("speaker", this.parts.speaker);
    this.parts.record.addEventListener("click", () => this.press());
    this.parts.keep.addEventListener("click", () => this.keep());
    this.parts.again.addEventListener("click", () => this.listen());
    this.parts.microphones.addEventListener("change", () => {
      this.close();
      this.choose();
    });
    this.parts.takes.addEventListener("click", ({ target }) => {
      if (target.closest("[data-delete]")) this.remove(target.closest("[data-delete]"));
      else if (target.closest("[data-retry]")) this.retry(target.closest("tr"));
    });
    this.addEventListener("change", (event) => event.target.name === "word" && this.choose());
    this.onKey = (event) => this.key(event);
    this.onLeave = (event) => this.unsent.size + this.refused.size && event.preventDefault();
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

  keep() {
    const { take } = this;
    if (!take) return;
    this.take = null;
    const form = new FormData();
    form.set("file", wav(take.samples, take.rate), "take.wav");
    form.set("kind", take.kind);
    form.set("label", take.label);
    form.set("speaker", this.parts.speaker.value);
    this.deliver({ take, form, key: crypto.randomUUID() });
    if (!this.advance()) {
      this.show("ready");
      this.say("state", "All words have enough clips. Press Done, or go on.");
    } else if (take.kind === "noise") this.stop();
    else this.listen();
  }

  async deliver(delivery) {
    const { take: { kind, label, samples, rate }, form } = delivery;
    this.count(kind, label, 1);
    const stored = await this.store(delivery);
    if (stored) {
      this.add({ ...stored, seconds: stored.length / stored.sample_rate, sound: `${this.getAttribute("takes")}/${stored.id}/audio` });
      return;
    }
    this.count(kind, label, -1);
    const sound = URL.createObjectURL(form.get("file"));
    const row = this.add({ id: "", kind, label: label || "Background noise", speaker: form.get("speaker"), seconds: samples.length / rate, sound });
    this.refused.set(row, delivery);
  }

  // The name of who speaks can be mended; else the take is sent as it was.
  retry(row) {
    const delivery = this.refused.get(row);
    if (delivery.isSpeakerRefused) delivery.form.set("speaker", this.parts.speaker.value);
    this.drop(row);
    this.deliver(delivery);
  }

  // --- the server ----------------------------------------------------------------------------------------------------

  request(method, address, options = {}) {
    const headers = { ...JSON.parse(document.body.getAttribute("hx-headers")), ...options.headers };
    return fetch(address, { method, ...options, headers });
  }

  // Sends a take until the server has it or refuses it; the key keeps it from being stored twice.
  async store(delivery) {
    const { form, key } = delivery;
    const headers = { "Idempotency-Key": key };
    this.unsent.add(form);
    let answer;
    let refusals = 0;
    for (let attempt = 1; !answer; attempt += 1) {
      try {
        answer = await this.request("POST", this.getAttribute("takes"), { body: form, headers });
        // 409 also says that the server is still at the first of two requests with one key.
        if ((answer.status >= 500 || answer.status === 409) && (refusals += 1) < TRIES) answer = null;
      } catch {
        this.say("trouble", "The server cannot be reached. Takes stay on this page and are sent when it answers; do not close the page.");
      }
      if (!answer) await wait(RETRY_MILLISECONDS * Math.min(attempt, 10));
    }
    this.unsent.delete(form);
    if (!answer.ok) {
      const { reason, fields } = await problem(answer);
      delivery.isSpeakerRefused = fields.includes("speaker");
      this.say("trouble", `The take was not stored. ${reason}`);
      return null;
    }
    if (!this.unsent.size) this.say("trouble", "");
    return answer.json();
  }

  async remove(button) {
    button.disabled = true;
    const row = button.closest("tr");
    const wasRefused = this.refused.has(row);
    const trouble = wasRefused ? "" : await this.forget(row.dataset.take);
    if (trouble) {
      this.say("trouble", trouble);
      button.disabled = false;
      return;
    }
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    this.drop(row);
    if (!wasRefused) this.count(row.dataset.kind, row.dataset.label, -1);
    (neighbour?.querySelector("[data-delete]") ?? this.parts.record).focus();
  }

  // Says why the server did not delete a take, or "".
  async forget(id) {
    try {
      const answer = await this.request("DELETE", `${this.getAttribute("takes")}/${id}`);
      return answer.ok || answer.status === 404 ? "" : (await problem(answer)).reason;
    } catch {
      return "The server cannot be reached. Check your connection, then try again.";
    }
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

  // A take without an id is one that was refused.
  add({ id, kind, label, speaker, seconds, sound }) {
    const row = this.querySelector("template").content.firstElementChild.cloneNode(true);
    Object.assign(row.dataset, { take: id, label, kind });
    const texts = { label, speaker, seconds: `${seconds.toFixed(1)} s` };
    for (const [name, text] of Object.entries(texts)) row.querySelector(`[data-fill=${name}]`).textContent = text;
    row.querySelector("audio").src = sound;
    row.querySelector("[data-retry]").hidden = Boolean(id);
    this.parts.takes.tBodies[0].prepend(row);
    this.showTakes();
    return row;
  }

  drop(row) {
    if (this.refused.delete(row)) URL.revokeObjectURL(row.querySelector("audio").src);
    row.remove();
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
