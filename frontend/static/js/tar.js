// Packs files into an uncompressed tar (POSIX.1-2001: ustar headers, and pax headers for long or non-ASCII names).
//
// The result is a Blob made of the headers and of the files themselves, which the browser reads only when it is sent:
// a folder of several GB costs half a kilobyte of memory for each file. The same folder always gives the same bytes, so
// an upload of it can be resumed.

const BLOCK = 512;
const LONGEST_NAME = 100;
const text = new TextEncoder();

/**
 * @param {{path: string, file: File}[]} files
 * @returns {Blob}
 */
export function tar(files) {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const parts = sorted.flatMap(({ path, file }) => [...paxHeader(path), header(path, file, "0"), file, padding(file.size)]);
  return new Blob([...parts, new Uint8Array(2 * BLOCK)], { type: "application/x-tar" });
}

function header(path, { size, lastModified }, type) {
  const block = new Uint8Array(BLOCK);
  const put = (offset, value) => block.set(text.encode(value), offset);
  const octal = (offset, length, number) => put(offset, number.toString(8).padStart(length - 1, "0"));
  block.set(text.encode(path).subarray(0, LONGEST_NAME), 0);
  octal(100, 8, 0o644);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, size);
  octal(136, 12, Math.max(0, Math.trunc(lastModified / 1000)));
  put(148, " ".repeat(8));
  put(156, type);
  put(257, "ustar\0" + "00");
  octal(148, 7, block.reduce((sum, byte) => sum + byte, 0));
  return block;
}

function paxHeader(path) {
  const bytes = text.encode(path);
  if (bytes.length === path.length && bytes.length <= LONGEST_NAME) return [];
  const content = text.encode(record("path", path));
  return [header("pax", { size: content.length, lastModified: 0 }, "x"), content, padding(content.length)];
}

// "30 path=…\n": the number is the length of the record, its own digits included.
function record(key, value) {
  const rest = ` ${key}=${value}\n`;
  const length = text.encode(rest).length;
  let total = length + String(length).length;
  if (length + String(total).length > total) total += 1;
  return total + rest;
}

function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}
