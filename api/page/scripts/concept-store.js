// The caller's concepts: pages of the list, and listeners for changes.
import { apiPath, get } from "./api.js";

/** Signed URLs expire after an hour; concepts with URLs are cached for less. */
const CACHE_MS = 20 * 60 * 1000;
const PAGE_SIZE = 100;

const listeners = new Set();
const cache = new Map();

/** The query of a search; empty words are no search. */
export function wordsQuery(words) {
  return Object.fromEntries([["q", words || null]]);
}

/**
 * A page of concepts with the URLs of their covers.
 *
 * @param {Record<string, any>} query
 * @returns {Promise<{ items: Concept[], next: ?string }>}
 */
export function conceptPage(query) {
  return get("/v1/concepts", { cover_urls: true, ...query });
}

/**
 * The newest ready concepts, and whether there are others.
 *
 * @returns {Promise<{ items: Concept[], next: ?string }>}
 */
export function readyConcepts() {
  return get("/v1/concepts", { ready: true, limit: PAGE_SIZE });
}

/**
 * Ready concepts whose names contain some letters.
 *
 * @param {string} letters
 * @returns {Promise<Concept[]>}
 */
export async function searchReady(letters) {
  const { items } = await get("/v1/concepts", { ...wordsQuery(letters), ready: true, sort: "name", limit: PAGE_SIZE });
  return items.filter((concept) => concept.name.includes(letters));
}

/** Call the listeners, because concepts have changed. */
export function refreshConcepts() {
  for (const listener of listeners) listener();
}

/**
 * Call `listener()` after every change, until the signal is aborted.
 *
 * @param {() => void} listener
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
