// <upload-box user="id">: what is being uploaded, on every page, bottom right. The words and buttons of a row lie in its
// <template>.
import { duration } from "./relative-time.js";
import { Selection } from "./selection.js";
import * as store from "./upload-store.js";
import { Transfer, keepArchive } from "./transfer.js";

const REDRAW_MILLISECONDS = 250;

class UploadBox extends HTMLElement {
  async connectedCallback() {
    this.rows = new Map();
    const mine = (await store.records()).filter((record) => record.user === this.getAttribute("user"));
    for (const record of mine) this.follow(new Transfer(record));
  }

  /** Show an upload that has begun on the server, and send it; goes on with the same upload where there is one. */
  begin(record, archive) {
    const mine = { ...record, user: this.getAttribute("user") };
    store.remember(mine);
    keepArchive(record.id, archive);
    this.follow(new Transfer(mine, archive));
  }

  /** The unfinished upload of the same archive, if there is one. */
  unfinished(fingerprint) {
    return [...this.rows.keys()].find((transfer) => transfer.record.fingerprint === fingerprint && !isOver(transfer));
  }

  follow(transfer) {
    const row = this.querySelector("template").content.firstElementChild.cloneNode(true);
    row.querySelector("[data-name]").textContent = transfer.record.name;
    this.rows.set(transfer, row);
    this.append(row);
    this.hidden = false;
    row.addEventListener("click", (event) => this.click(event.target.closest("button")?.dataset.do, transfer, row));
    row.addEventListener("change", (event) => this.choose(event.target, transfer, row));
    transfer.addEventListener("change", () => this.schedule(transfer, row));
    this.draw(transfer, row);
    transfer.run();
  }

  click(what, transfer, row) {
    switch (what) {
      case "close":
        if (isOver(transfer)) this.drop(transfer, row);
        else ask(row, true);
        break;
      case "keep": ask(row, false); break;
      case "discard": transfer.discard(); break;
      case "again": transfer.run(); break;
    }
  }

  async choose(input, transfer, row) {
    const chosen = Selection.ofInput(input);
    if (!chosen || (await transfer.goOn(chosen))) return;
    row.querySelector("[data-words]").textContent = `This is not what was being uploaded, or it was changed: choose ${transfer.record.fileName} as it was.`;
  }

  // Progress comes many times a second.
  schedule(transfer, row) {
    if (transfer.status.state !== "sending") this.draw(transfer, row);
    else this.timer ??= setTimeout(() => {
      this.timer = undefined;
      for (const [one, its] of this.rows) this.draw(one, its);
    }, REDRAW_MILLISECONDS);
  }

  draw(transfer, row) {
    const { state, sent, message, rawData, refused } = transfer.status;
    if (state === "gone") {
      this.drop(transfer, row);
      return;
    }
    const show = row.querySelector("a[data-show]");
    if (state === "done" && rawData && location.pathname === show.pathname && !document.querySelector("dialog[open]")) {
      // The list is drawn anew, with the new raw data in it: no box has to say so then.
      location.reload();
      return;
    }
    show.hash = `raw-${rawData}`;
    row.dataset.state = state;
    const bar = row.querySelector("progress");
    Object.assign(bar, { max: transfer.record.size, value: sent });
    row.querySelector("[data-words]").textContent = words(transfer);
    row.querySelector("[data-message]").textContent = said(state, message, transfer.record);
    const input = row.querySelector("input[type=file]");
    input.webkitdirectory = transfer.record.isFolder;
    const rename = row.querySelector("a[data-rename]");
    rename.search = `?upload=${transfer.record.id}`;
    rename.hidden = !refused?.errors.some(({ field }) => field === "name");
  }

  drop(transfer, row) {
    // One that the server refused to know is still remembered here.
    store.forget(transfer.record.id);
    this.rows.delete(transfer);
    row.remove();
    this.hidden = !this.rows.size;
  }
}

const isOver = ({ status: { state, refused } }) => state === "done" || state === "gone" || refused?.status === 404;

function ask(row, whether) {
  row.toggleAttribute("data-asking", whether);
  row.querySelector(whether ? "[data-do=keep]" : "[data-do=close]").focus();
}

function words({ record: { size }, status: { state, sent, speed } }) {
  if (state === "done") return megabytes(size);
  const parts = [`${megabytes(sent, size)} of ${megabytes(size)}`];
  if (state === "sending" && speed) parts.push(`${megabytes(speed)}/s`, `${left((size - sent) / speed)} left`);
  return parts.join(" · ");
}

const left = (seconds) => (seconds < 10 ? "a few seconds" : duration(seconds));

function said(state, message, { fileName, isFolder }) {
  switch (state) {
    case "done": return "Uploaded; the import has begun.";
    case "lost": return `${message || "The connection was lost."} The upload goes on by itself.`;
    case "choose": return `${message ?? "The browser has not kept it."} Choose ${isFolder ? "the folder " : ""}${fileName} again to go on.`;
    case "failed": return message;
    default: return "";
  }
}

// Of two numbers that are compared, both have the unit of the larger one.
function megabytes(bytes, largest = bytes) {
  const [unit, name] = largest >= 1e9 ? [1e9, "GB"] : largest >= 1e6 ? [1e6, "MB"] : [1e3, "kB"];
  return `${(bytes / unit).toLocaleString("en", { maximumFractionDigits: bytes >= 100 * unit ? 0 : 1 })} ${name}`;
}

customElements.define("upload-box", UploadBox);
