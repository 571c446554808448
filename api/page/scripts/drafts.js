// Drafts: what is typed or chosen survives views, reloads and a server that is away. Files are kept in IndexedDB.

const PREFIX = "dti-draft-";
const DATABASE = "dti-drafts";
const STORE = "files";
const SAVE_DELAY_MS = 150;
const HISTORY = "dti-prompts";
const HISTORY_LENGTH = 50;

/**
 * Fill a form with its draft, and keep its values from now on.
 *
 * @param {string} name
 * @param {HTMLFormElement} form
 * @param {AbortSignal} signal
 * @param {{ restored?: boolean }} [options] false: an address says what is in the form.
 */
export function keepDraft(name, form, signal, { restored = true } = {}) {
  const values = restored ? read(PREFIX + name) : null;
  for (const control of controlsOf(form)) restore(control, values?.[control.name]);
  let timer = null;
  const save = () => {
    if (timer === null) return;
    clearTimeout(timer);
    timer = null;
    write(PREFIX + name, Object.fromEntries(valuesOf(form)));
  };
  const saveSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(save, SAVE_DELAY_MS);
  };
  form.addEventListener("input", saveSoon, { signal });
  form.addEventListener("change", saveSoon, { signal });
  // The last letters before a reload or another view are kept as well.
  addEventListener("pagehide", save, { signal });
  signal.addEventListener("abort", save);
}

/** Forget a draft, because it was sent. */
export function dropDraft(name) {
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // Without storage there was no draft.
  }
}

/** The prompts that were sent, newest first. */
export function promptHistory() {
  return read(HISTORY) ?? [];
}

/** Remember a prompt that was sent. */
export function rememberPrompt(prompt) {
  const others = promptHistory().filter((other) => other !== prompt);
  write(HISTORY, [prompt, ...others].slice(0, HISTORY_LENGTH));
}

/**
 * Keep the files of a draft; none forget it.
 *
 * @param {string} name
 * @param {import("./chosen-files.js").ChosenFile[]} files
 */
export async function keepFiles(name, files) {
  const store = await openStore("readwrite").catch(() => null);
  if (store) await settled(files.length > 0 ? store.put(files, name) : store.delete(name)).catch(() => {});
}

/**
 * The kept files of a draft.
 *
 * @param {string} name
 * @returns {Promise<import("./chosen-files.js").ChosenFile[]>}
 */
export async function keptFiles(name) {
  const store = await openStore("readonly").catch(() => null);
  return store ? ((await settled(store.get(name)).catch(() => null)) ?? []) : [];
}

function controlsOf(form) {
  return [...form.querySelectorAll("input[name], select[name], textarea[name]")].filter(
    (control) => control.type !== "file",
  );
}

function valuesOf(form) {
  const kept = controlsOf(form).filter((control) => control.type !== "radio" || control.checked);
  return kept.map((control) => [control.name, control.type === "checkbox" ? control.checked : control.value]);
}

function restore(control, value) {
  // What was typed while the form was being made is newer than the draft.
  const typed = control.value !== (control.defaultValue ?? control.value);
  if (value === undefined || (typed && control.type !== "radio")) return;
  if (control.type === "radio") control.checked = control.value === value;
  else if (control.type === "checkbox") control.checked = value;
  else control.value = value;
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // A browser without storage, or a full one, keeps no drafts.
  }
}

async function openStore(mode) {
  const opening = indexedDB.open(DATABASE, 1);
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(STORE));
  const database = await settled(opening);
  const transaction = database.transaction(STORE, mode);
  transaction.addEventListener("complete", () => database.close());
  return transaction.objectStore(STORE);
}

/** The result of a request of IndexedDB. */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}
