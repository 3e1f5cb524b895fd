// <clip-list>: hear clips, select them with mouse or keyboard. Without scripts the same form has players and checkboxes.
import { play } from "./player.js";
import "./spectrogram.js";
import "./waveform.js";

const KEYS = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

class ClipList extends HTMLElement {
  connectedCallback() {
    this.rows = [...this.querySelectorAll("[data-clip]")];
    for (const row of this.rows) this.addPlayer(row);
    if (this.rows.length) this.current().tabIndex = 0;
    this.addEventListener("click", (event) => this.click(event));
    this.addEventListener("change", (event) => this.change(event));
    this.addEventListener("keydown", (event) => this.key(event));
    this.addEventListener("focusin", (event) => this.remember(event.target.closest("[data-clip]")));
    this.count();
  }

  // Where the keyboard is; it stays at the same place of the list when the list is drawn anew.
  current() {
    return this.rows[Math.min(ClipList.place, this.rows.length - 1)];
  }

  remember(row) {
    if (!row) return;
    this.current().tabIndex = -1;
    ClipList.place = this.rows.indexOf(row);
    row.tabIndex = 0;
  }

  addPlayer(row) {
    const audio = row.querySelector("audio");
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "play" });
    const show = () => {
      button.setAttribute("aria-label", `${audio.paused ? "Play" : "Stop"} ${audio.getAttribute("aria-label")}`);
      button.toggleAttribute("data-playing", !audio.paused);
    };
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, show);
    button.addEventListener("click", () => this.play(row));
    audio.removeAttribute("controls");
    audio.before(button);
    show();
  }

  play(row) {
    const audio = row.querySelector("audio");
    const wasPlaying = !audio.paused;
    for (const other of this.querySelectorAll("audio")) other.pause();
    if (wasPlaying) return;
    audio.currentTime = 0;
    play(audio);
  }

  key(event) {
    const row = event.target.closest("[data-clip]");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const onRow = event.target === row;
    if (event.key in KEYS) this.rows[this.rows.indexOf(row) + KEYS[event.key]]?.focus();
    else if (event.key === " " && onRow) this.play(row);
    else if (event.key === "x") row.querySelector("[name=clip]").click();
    else return;
    event.preventDefault();
  }

  click(event) {
    if (!event.target.matches("[name=clip]")) return;
    const [from, to] = [this.rows.indexOf(this.last), this.rows.indexOf(event.target.closest("[data-clip]"))].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) {
      for (const row of this.rows.slice(from, to + 1)) row.querySelector("[name=clip]").checked = event.target.checked;
    }
    this.last = event.target.closest("[data-clip]");
  }

  change(event) {
    if (event.target.matches("[data-every]")) {
      for (const box of this.boxes()) box.checked = event.target.checked;
    }
    this.count();
  }

  boxes() {
    return [...this.querySelectorAll("[name=clip]")];
  }

  count() {
    const words = this.querySelector("[data-count]");
    if (!words) return;
    const all = this.querySelector("[name=all]").checked;
    const ticked = this.boxes().filter((box) => box.checked).length;
    const chosen = all ? Number(this.querySelector("[name=matching]").value) : ticked;
    words.textContent = chosen ? `${chosen.toLocaleString("en")} selected` : "";
    this.querySelector("[data-every]").checked = ticked === this.rows.length;
    for (const button of this.querySelectorAll("button[name=action]")) button.disabled = !chosen;
  }
}

ClipList.place = 0;
customElements.define("clip-list", ClipList);

// After an edit the keyboard goes on where it was.
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.requestConfig?.verb === "post" && detail.target.id === "clips") document.getElementById("clips").current?.()?.focus({ preventScroll: true });
});
