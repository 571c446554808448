// The files of a drop, with their paths; folders are searched.
import { chosenFile } from "./chosen-files.js";

/** @typedef {import("./chosen-files.js").ChosenFile} ChosenFile */

/**
 * The dropped files, with those of dropped folders in the order of their paths.
 *
 * @param {DataTransfer} transfer
 * @returns {Promise<ChosenFile[]>}
 */
export function droppedFiles(transfer) {
  // Entries have to be taken at once: after the event the transfer is empty.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return Promise.resolve([...transfer.files].map(chosenFile));
  return filesOf(entries);
}

/**
 * The files of entries, and of the folders among them.
 *
 * @param {any[]} entries
 * @param {string} [folder] their path, with a slash at its end
 * @returns {Promise<ChosenFile[]>}
 */
export async function filesOf(entries, folder = "") {
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = folder + entry.name;
      if (entry.isDirectory) return filesOf(await childrenOf(entry.createReader()), `${path}/`);
      return [{ file: await promised((resolve, reject) => entry.file(resolve, reject)), path }];
    }),
  );
  return found.flat();
}

/** All entries of a folder, which its reader gives in parts. */
async function childrenOf(reader) {
  const children = [];
  for (;;) {
    const part = await promised((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) return children.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    children.push(...part);
  }
}

/** The result of a call that takes two callbacks. */
function promised(call) {
  return new Promise((resolve, reject) => {
    call(resolve, reject);
  });
}
