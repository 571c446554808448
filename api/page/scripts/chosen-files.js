// The files of a form with training pictures: sent with their paths; the service finds pictures, captions and masks.
import { formatBytes } from "./format.js";

const ARCHIVE = /\.zip$/iu;
const WHOLE_BYTES = 32_000_000;
const FIRST_BYTES = 4096;
/** The first bytes of pictures that the service reads, as characters. */
const PICTURE = /^(?:\u0089PNG|\u00FF\u00D8\u00FF|GIF8|II\*\0|MM\0\*|RIFF.{4}WEBP|.{4}ftyp(?:avi|hei|hev|mif1|msf1))/su;

/** @typedef {{ file: File, path: string }} ChosenFile */

/**
 * A file with its path; one that was chosen alone has its name.
 *
 * @param {File | ChosenFile} file
 * @returns {ChosenFile}
 */
export function chosenFile(file) {
  return file instanceof File ? { file, path: file.webkitRelativePath || file.name } : file;
}

/**
 * Append files to a form: an archive that was chosen itself as `archive`, all others as `images`.
 *
 * @param {FormData} form
 * @param {ChosenFile[]} files
 * @throws {Error} if a picture is too large; the message names it.
 */
export async function appendFiles(form, files) {
  const parent = commonFolder(files);
  const parts = await Promise.all(files.map(async ({ file, path }) => ({ content: await contentOf(file), path })));
  for (const { content, path } of parts) {
    const field = ARCHIVE.test(path) && !path.includes("/") ? "archive" : "images";
    form.append(field, content, path.slice(parent.length));
  }
}

/** The folder that was dropped, with its slash: paths are relative to it, as in an archive of it. */
function commonFolder(files) {
  const folders = new Set(files.map(({ path }) => path.slice(0, path.indexOf("/") + 1)));
  return folders.size === 1 ? [...folders][0] : "";
}

/** A file, or the first bytes of one that is too large for a picture: they are enough for the service to name it. */
async function contentOf(file) {
  if (file.size <= WHOLE_BYTES || ARCHIVE.test(file.name)) return file;
  const head = file.slice(0, FIRST_BYTES);
  const bytes = new Uint8Array(await head.arrayBuffer());
  if (PICTURE.test(String.fromCodePoint(...bytes.subarray(0, 16)))) {
    throw new Error(`${file.name} has ${formatBytes(file.size)}: at most ${formatBytes(WHOLE_BYTES)} are possible.`);
  }
  return head;
}
