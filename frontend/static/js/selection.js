// What people choose to upload: one archive as it is, or files and folders, which are packed into a tar.
import { tar } from "./tar.js";

const HEAD_BYTES = 262;
const USTAR = "ustar";

export class Selection {
  constructor(archive, { name, title, fileName, isFolder, fingerprint }) {
    Object.assign(this, { archive, name, title, fileName, isFolder, fingerprint });
  }

  /**
   * @param {{path: string, file: File}[]} files
   * @returns {Selection | null} null where there are no files
   */
  static of(files) {
    if (!files.length) return null;
    const [{ path, file }] = files;
    if (files.length === 1 && !path.includes("/")) {
      const name = file.name.replace(/(\.tar)?\.\w+$/i, "");
      const fingerprint = `${file.name} ${file.size} ${file.lastModified}`;
      return new Selection(file, { name, title: file.name, fileName: file.name, isFolder: false, fingerprint });
    }
    const tops = new Set(files.map((one) => one.path.split("/")[0]));
    const name = tops.size === 1 ? [...tops][0] : "Recordings";
    const packed = tar(files);
    const newest = files.reduce((latest, one) => Math.max(latest, one.file.lastModified), 0);
    return new Selection(packed, {
      name, isFolder: true, fileName: name, fingerprint: `${name} ${packed.size} ${newest}`,
      title: `${name}: ${files.length.toLocaleString("en")} files`,
    });
  }

  /** What was chosen by a field for a file or a folder. */
  static ofInput(input) {
    return Selection.of([...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file })));
  }

  /** Whether it begins as archives do; a tar from before 1988 is known by its name alone. */
  async isArchive() {
    const head = String.fromCharCode(...new Uint8Array(await this.archive.slice(0, HEAD_BYTES).arrayBuffer()));
    const begins = ["PK\x03\x04", "PK\x05\x06", "\x1f\x8b"].some((magic) => head.startsWith(magic));
    return begins || head.endsWith(USTAR) || this.fileName.endsWith(".tar");
  }
}

/** All files of what was dropped, folders included. Call it while the event is handled. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry);
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ path: entry.fullPath.slice(1), file }];
  }
  const found = [];
  const reader = entry.createReader();
  // A reader gives a hundred entries at a time, and none at the end.
  for (;;) {
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return found;
    for (const one of entries) found.push(...(await filesOf(one)));
  }
}
