// The caller's concepts: cached requests, and listeners for changes.
import { apiPath, get } from "./api.js";

const PAGE_SIZE = 100;
/** Signed URLs expire after an hour; concepts with URLs are cached for less. */
const CACHE_MS = 20 * 60 * 1000;

const listeners = new Set();
const cache = new Map();
let pending = null;

/**
 * All concepts, newest first; concurrent calls share one request.
 *
 * @returns {Promise<Concept[]>}
 */
export function listConcepts() {
  pending ??= fetchAll().finally(() => (pending = null));
  return pending;
}

/** Fetch the concepts again and call the listeners; a failed request leaves the lists as they are. */
export async function refreshConcepts() {
  pending = null;
  try {
    const concepts = await listConcepts();
    for (const listener of listeners) listener(concepts);
  } catch {
    // The connection banner reports a lost server.
  }
}

/**
 * Call `listener(concepts)` after every refresh, until the signal is aborted.
 *
 * @param {(concepts: Concept[]) => void} listener
 * @param {AbortSignal} signal
 */
export function onConceptsChange(listener, signal) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

/**
 * A concept with the URLs of its training pictures, cached.
 *
 * @param {string} reference
 * @returns {Promise<Concept>}
 */
export function conceptWithImages(reference) {
  const cached = cache.get(reference);
  if (cached && Date.now() - cached.fetchedAt < CACHE_MS) return cached.concept;
  const concept = get(apiPath("concepts", reference));
  cache.set(reference, { fetchedAt: Date.now(), concept });
  concept.catch(() => cache.delete(reference));
  return concept;
}

/**
 * Drop a concept from the cache, because it changed.
 *
 * @param {string} reference
 */
export function invalidateConcept(reference) {
  cache.delete(reference);
}

/** @returns {Promise<Concept[]>} */
async function fetchAll() {
  const items = [];
  for (let cursor = null; ;) {
    const page = await get("/v1/concepts", { limit: PAGE_SIZE, cursor });
    items.push(...page.items);
    cursor = page.next;
    if (cursor === null) return items;
  }
}
