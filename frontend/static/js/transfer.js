// One upload on its way, whichever page and tab does the work.
//
// A page that is left takes its requests with it. The server keeps what has arrived, and the next page finds record and
// archive in IndexedDB and goes on. Of several tabs the one that holds the upload's lock sends; the others show what it
// tells them, and the next one takes over when it is closed. Where a browser has no locks (a page without TLS that is
// not on this machine), tabs get in each other's way, which costs time and nothing else: the server takes each byte once.
import * as store from "./upload-store.js";
import * as tus from "./tus.js";

const CHUNK_BYTES = 32 * 2 ** 20;
const LONGEST_WAIT_SECONDS = 30;
const SPEED_WINDOW_MILLISECONDS = 8000;

/**
 * States: `queued`, `sending`, `lost` (the connection; goes on by itself), `choose` (the archive is not here), `failed`
 * (`message`, `remedy`), `done` (`rawData`), `gone` (discarded, here or in another tab).
 */
export class Transfer extends EventTarget {
  constructor(record, archive = null) {
    super();
    this.record = record;
    this.archive = archive;
    this.status = { state: "queued", sent: 0 };
    this.received = 0;
    this.samples = [];
    this.channel = new BroadcastChannel(`edgewise-upload-${record.id}`);
    this.channel.addEventListener("message", ({ data }) => this.hear(data));
  }

  /** Send what is missing, until all is there or somebody has to decide. */
  async run() {
    this.stopping = new AbortController();
    const { signal } = this.stopping;
    try {
      await alone(`edgewise-upload-${this.record.id}`, signal, async () => {
        if (!(await store.recordOf(this.record.id))) return this.settleElsewhere();
        this.archive ??= await store.archiveOf(this.record.id);
        await this.persist(signal);
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  // Another tab has ended it while this one waited.
  settleElsewhere() {
    if (this.status.state !== "done") this.take({ state: "gone" });
  }

  async persist(signal) {
    for (let failures = 0; ; failures += 1) {
      const before = this.received;
      try {
        return await this.send(signal);
      } catch (error) {
        if (signal.aborted) throw error;
        if (!isTemporary(error)) return this.show({ state: "failed", message: error.message, refused: error });
        if (!(await isReadable(this.archive, this.received))) {
          this.archive = null;
          return this.show({ state: "choose", sent: this.received, message: "The file was changed, moved or deleted." });
        }
        if (this.received > before) failures = 0;
        // Another tab may have sent these bytes: then there is nothing to wait for.
        if (error.status === 409) continue;
        this.show({ state: "lost", sent: this.received, message: error.message });
        await pause(Math.min(2 ** failures, LONGEST_WAIT_SECONDS), signal);
      }
    }
  }

  async send(signal) {
    const { url, size } = this.record;
    this.received = await tus.offsetOf(url, signal);
    if (this.received < size && !this.archive) return this.show({ state: "choose", sent: this.received });
    this.samples = [];
    // At least once, if only with nothing: the answer to the last byte says what became of the import.
    do {
      const from = this.received;
      this.progress(from);
      const bytes = from < size ? this.archive.slice(from, from + CHUNK_BYTES) : null;
      this.received = await tus.send(url, from, bytes, { signal, onProgress: (loaded) => this.progress(from + loaded) });
    } while (this.received < size);
    const { raw_data: rawData } = await tus.read(url, signal);
    await store.forget(this.record.id);
    return this.show({ state: "done", sent: size, rawData });
  }

  /** Tell the server to forget what has arrived; what cannot be told now expires by itself. */
  async discard() {
    this.stopping?.abort();
    const told = tus.discard(this.record.url).catch((error) => console.info("The server keeps it until it expires:", error));
    await store.forget(this.record.id);
    this.show({ state: "gone" });
    await told;
  }

  /** The bytes again, from a person: the same file or folder, or not. */
  async goOn(chosen) {
    if (chosen.fingerprint !== this.record.fingerprint) return false;
    this.archive = chosen.archive;
    keepArchive(this.record.id, this.archive);
    this.run();
    return true;
  }

  progress(sent) {
    const now = performance.now();
    this.samples = [...this.samples.filter(({ at }) => now - at < SPEED_WINDOW_MILLISECONDS), { at: now, sent }];
    const [first] = this.samples;
    const speed = now > first.at ? (1000 * (sent - first.sent)) / (now - first.at) : 0;
    this.show({ state: "sending", sent, speed });
  }

  show(status) {
    this.take(status);
    const { refused, ...told } = this.status;
    this.channel.postMessage(told);
  }

  hear(status) {
    if (status.state === "gone") this.stopping?.abort();
    this.take(status);
  }

  take(status) {
    this.status = { sent: this.status.sent, ...status };
    this.dispatchEvent(new Event("change"));
  }
}

/** Keep the archive for the next page. Without room for it the next page asks for the file again. */
export function keepArchive(id, archive) {
  store.keep(id, archive).catch((error) => console.info("The archive cannot be kept for the next page:", error));
}

function pause(seconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, 1000 * seconds);
    addEventListener("online", resolve, { once: true });
    signal.addEventListener("abort", resolve, { once: true });
  });
}

function alone(name, signal, work) {
  return navigator.locks ? navigator.locks.request(name, { signal }, work) : work();
}

function isTemporary(error) {
  return error instanceof tus.Unreachable || error.status >= 502 || error.status === 409 || error.status === 500;
}

async function isReadable(archive, offset) {
  try {
    await archive?.slice(offset, offset + 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
