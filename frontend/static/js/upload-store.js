// What the browser remembers of uploads that are under way, so that the next page, or the browser after a restart, goes
// on with them: in IndexedDB, a record of each upload and, where there is room for it, the archive itself.

const RECORDS = "records";
const ARCHIVES = "archives";

let opened;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("edgewise-uploads", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(RECORDS, { keyPath: "id" });
      request.result.createObjectStore(ARCHIVES);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

// Over as few stores as it needs: an archive of several GB takes its time, and nobody shall wait for it to read records.
async function run(mode, names, use) {
  const transaction = (await database()).transaction(names, mode);
  const request = use(...names.map((name) => transaction.objectStore(name)));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** All records, the oldest first: ids carry their time. */
export const records = () => run("readonly", [RECORDS], (all) => all.getAll());

export const recordOf = (id) => run("readonly", [RECORDS], (all) => all.get(id));

export const archiveOf = (id) => run("readonly", [ARCHIVES], (archives) => archives.get(id));

export function remember(record) {
  // Says to the next page, before it has loaded what reads the database, that there is something in it.
  localStorage.setItem("uploading", "yes");
  return run("readwrite", [RECORDS], (all) => all.put(record));
}

export const keep = (id, archive) => run("readwrite", [ARCHIVES], (archives) => archives.put(archive, id));

export async function forget(id) {
  await run("readwrite", [RECORDS], (all) => all.delete(id));
  await run("readwrite", [ARCHIVES], (archives) => archives.delete(id));
  if (!(await records()).length) localStorage.removeItem("uploading");
}
