// A client of tus 1.0 (https://tus.io/protocols/resumable-upload), as far as the upload box needs it.

/** The server answered that it will not; `problem` is its problem+json (RFC 9457). */
export class Refused extends Error {
  constructor(request) {
    let problem = {};
    // HEAD has no body, and a proxy may answer with a page.
    try { problem = JSON.parse(request.responseText); } catch { /* the status must do */ }
    const said = `The server answered with ${request.status}.`;
    super([problem.detail ?? said, problem.remedy].filter(Boolean).join(" "));
    this.status = request.status;
    this.errors = problem.errors ?? [];
  }
}

/** No answer: the connection was lost, or the file cannot be read any more. */
export class Unreachable extends Error {}

/**
 * @param {string} address of the uploads
 * @param {number} size in bytes
 * @param {Record<string, string>} metadata
 * @returns {Promise<{id: string, url: string}>}
 */
export async function begin(address, size, metadata) {
  const values = Object.entries(metadata).map(([key, value]) => `${key} ${base64(value)}`);
  const answer = await call("POST", address, { headers: { "Upload-Length": size, "Upload-Metadata": values.join(",") } });
  return { id: JSON.parse(answer.responseText).id, url: answer.getResponseHeader("Location") };
}

/** How many bytes the server has. */
export async function offsetOf(url, signal) {
  return offset(await call("HEAD", url, { signal }));
}

/** Send the bytes behind `start`; returns how many the server has then. */
export async function send(url, start, bytes, { signal, onProgress }) {
  const headers = { "Upload-Offset": start, "Content-Type": "application/offset+octet-stream" };
  return offset(await call("PATCH", url, { headers, body: bytes, signal, onProgress }));
}

/** The upload as the server describes it. */
export async function read(url, signal) {
  return JSON.parse((await call("GET", url, { signal })).responseText);
}

export async function discard(url) {
  await call("DELETE", url);
}

const offset = (answer) => Number(answer.getResponseHeader("Upload-Offset"));
const base64 = (value) => btoa(String.fromCharCode(...new TextEncoder().encode(value)));

// XMLHttpRequest, because fetch() tells nothing of the progress of a body.
function call(method, url, { headers = {}, body = null, signal, onProgress } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    request.open(method, url);
    const csrf = JSON.parse(document.body.getAttribute("hx-headers"));
    for (const [name, value] of Object.entries({ "Tus-Resumable": "1.0.0", ...csrf, ...headers })) {
      request.setRequestHeader(name, value);
    }
    if (onProgress) request.upload.addEventListener("progress", (event) => onProgress(event.loaded));
    request.addEventListener("load", () => (request.status < 400 ? resolve(request) : reject(new Refused(request))));
    request.addEventListener("error", () => reject(new Unreachable()));
    request.addEventListener("abort", () => reject(signal.reason));
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}
