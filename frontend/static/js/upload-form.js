// <archive-picker> in the dialog: an archive or a folder, chosen or dropped. Its form is sent by tus; without scripts it
// is an ordinary form with a file.
import { Selection, dropped } from "./selection.js";
import * as tus from "./tus.js";

// The same archive is on its way already, under another name.
class Underway extends Error {
  constructor(name) {
    super();
    const message = `This is being uploaded already, as “${name}”. Take that name to go on with it, or discard that upload first, in the box at the bottom.`;
    this.errors = [{ field: "name", message }];
  }
}

class ArchivePicker extends HTMLElement {
  connectedCallback() {
    const [button, folder] = this.querySelectorAll("[data-folder] > *");
    for (const part of this.querySelectorAll("[data-scripted]")) part.hidden = false;
    this.toggleAttribute("data-ready", true);
    button.addEventListener("click", () => folder.click());
    this.addEventListener("change", (event) => this.take(Selection.ofInput(event.target)));
    this.closest("form").addEventListener("submit", (event) => this.submit(event));
    // Over the whole dialog: a file that falls beside its place would replace the page.
    const place = this.closest("dialog") ?? this;
    this.life = new AbortController();
    const on = (name, listener) => place.addEventListener(name, listener, { signal: this.life.signal });
    on("dragover", (event) => this.hover(event, true));
    on("dragleave", (event) => this.hover(event, place.contains(event.relatedTarget)));
    on("drop", (event) => this.drop(event));
    // Whoever was quicker than this module.
    const early = [...this.querySelectorAll("input")].find((input) => input.files.length);
    if (early) this.take(Selection.ofInput(early));
  }

  disconnectedCallback() {
    this.life.abort();
  }

  hover(event, whether) {
    event.preventDefault();
    this.toggleAttribute("data-over", whether);
  }

  async drop(event) {
    this.hover(event, false);
    this.take(Selection.of(await dropped(event.dataTransfer)));
  }

  async take(chosen) {
    const form = this.closest("form");
    this.chosen = chosen;
    // A field that shows an earlier choice, and takes the same one again.
    for (const input of this.querySelectorAll("input")) input.value = "";
    this.querySelector("[data-chosen]").textContent = chosen?.title ?? "";
    complain(form, "file", chosen ? "" : "There are no files in it. Choose the archive or the folder with the recordings.");
    if (!chosen) return;
    const name = form.elements.name;
    const suggestion = chosen.name.slice(0, name.maxLength);
    if (!name.value || name.value === this.suggestion) name.value = suggestion;
    this.suggestion = suggestion;
    if (!(await chosen.isArchive())) {
      this.chosen = null;
      complain(form, "file", `${chosen.fileName} is no archive. Choose a .zip, .tar or .tar.gz, or the folder with the recordings, which is packed here.`);
    }
  }

  async submit(event) {
    event.preventDefault();
    const form = event.target;
    if (!this.chosen) {
      const place = form.querySelector("#error-file");
      if (place.hidden) complain(form, "file", "Choose the archive or the folder to upload.");
      return;
    }
    const button = form.querySelector("button.primary");
    button.disabled = true;
    try {
      await this.begin(form);
      form.reset();
      this.chosen = null;
      this.querySelector("[data-chosen]").textContent = "";
      document.getElementById("dialog").close();
    } catch (error) {
      if (![tus.Refused, tus.Unreachable, Underway].some((kind) => error instanceof kind)) throw error;
      show(form, error);
    } finally {
      button.disabled = false;
    }
  }

  async begin(form) {
    const box = document.querySelector("upload-box");
    const { archive, fileName, isFolder, fingerprint, name: suggestion } = this.chosen;
    const name = form.elements.name.value.trim() || suggestion;
    const unfinished = box.unfinished(fingerprint);
    if (unfinished) {
      if (![suggestion, unfinished.record.name].includes(name)) throw new Underway(unfinished.record.name);
      await unfinished.goOn(this.chosen);
      return;
    }
    const metadata = { name, filename: isFolder ? `${fileName}.tar` : fileName };
    const begun = await tus.begin(this.getAttribute("uploads"), archive.size, metadata);
    box.begin({ ...begun, name, fileName, isFolder, fingerprint, size: archive.size }, archive);
  }
}

function show(form, error) {
  complain(form, "name", "");
  const ofName = error.errors?.find(({ field }) => field === "name");
  if (ofName) complain(form, "name", ofName.message);
  else complain(form, "file", error.message || "The server cannot be reached. Check your connection, then try again.");
}

function complain(form, name, message) {
  const place = form.querySelector(`#error-${name}`);
  place.textContent = message;
  place.hidden = !message;
  const field = form.querySelector(`#field-${name}`);
  field.setAttribute("aria-invalid", String(Boolean(message)));
  if (message) field.focus();
}

customElements.define("archive-picker", ArchivePicker);
