// The files of a drop: folders are searched, and hidden files and other kinds than pictures in them are passed over.

const PICTURES = /\.(?:jpe?g|jpe|jfif|png|webp|gif|bmp|avif|hei[cf]|tiff?|zip)$/iu;

/**
 * The dropped files, with those of dropped folders in the order of their names.
 *
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>}
 */
export async function droppedFiles(transfer) {
  // Entries have to be taken at once: after the event the transfer is empty.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = await Promise.all(entries.map((entry) => filesOf(entry, { inFolder: false })));
  return found.flat();
}

/**
 * The files of an entry; those in a folder only if their names are those of pictures.
 *
 * @param {any} entry
 * @param {{ inFolder: boolean }} options
 * @returns {Promise<File[]>}
 */
export async function filesOf(entry, { inFolder }) {
  if (inFolder && entry.name.startsWith(".")) return [];
  if (entry.isDirectory) {
    const children = await childrenOf(entry.createReader());
    const found = await Promise.all(children.map((child) => filesOf(child, { inFolder: true })));
    return found.flat();
  }
  if (inFolder && !PICTURES.test(entry.name)) return [];
  return [await promised((resolve, reject) => entry.file(resolve, reject))];
}

/** All entries of a folder, which its reader gives in parts. */
async function childrenOf(reader) {
  const children = [];
  for (;;) {
    const part = await promised((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) return children.toSorted((one, other) => one.name.localeCompare(other.name));
    children.push(...part);
  }
}

/** The result of a call that takes two callbacks. */
function promised(call) {
  return new Promise((resolve, reject) => {
    call(resolve, reject);
  });
}
