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

async function run(mode, use) {
  const transaction = (await database()).transaction([RECORDS, ARCHIVES], mode);
  const request = use(transaction.objectStore(RECORDS), transaction.objectStore(ARCHIVES));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** All records, the oldest first: ids carry their time. */
export const records = () => run("readonly", (all) => all.getAll());

export const recordOf = (id) => run("readonly", (all) => all.get(id));

export const archiveOf = (id) => run("readonly", (_, archives) => archives.get(id));

export const remember = (record) => run("readwrite", (all) => all.put(record));

export const keep = (id, archive) => run("readwrite", (_, archives) => archives.put(archive, id));

export const forget = (id) => run("readwrite", (all, archives) => {
  archives.delete(id);
  return all.delete(id);
});
