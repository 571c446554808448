// The list of the gallery: pages of images under the filters of an address, kept while other views are shown.
import { get } from "./api.js";

const PAGE_SIZE = 60;
const FILTERS = ["q", "concept", "job", "favourite", "before"];

/**
 * The filters of an address, without empty ones.
 *
 * @param {URLSearchParams} query
 * @returns {Record<string, string>}
 */
export function filtersOf(query) {
  return Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]).filter(([, value]) => value));
}

/**
 * The query of the API for filters; `before` is the end of a day.
 *
 * @param {Record<string, string>} filters
 * @returns {Record<string, string>}
 */
export function apiQuery({ before, ...filters }) {
  return before ? { ...filters, before: endOfDay(before) } : filters;
}

/** A list of images that grows by pages. */
class ImageList {
  constructor(filters) {
    this.filters = filters;
    /** @type {GalleryImage[]} */
    this.items = [];
    this.cursor = null;
    this.complete = false;
    this.scroll = 0;
    this.loadedAt = Date.now();
    this.pending = null;
  }

  /** Fetch the next page; resolves with its images. */
  more() {
    this.pending ??= this.#fetch().finally(() => (this.pending = null));
    return this.pending;
  }

  /** Forget an image, because it was deleted. */
  remove(id) {
    this.items = this.items.filter((item) => item.id !== id);
  }

  async #fetch() {
    const page = await get("/v1/images", { ...apiQuery(this.filters), limit: PAGE_SIZE, cursor: this.cursor });
    this.items.push(...page.items);
    this.cursor = page.next;
    this.complete = page.next === null;
    return page.items;
  }
}

/** Signed URLs expire after an hour; lists are kept for less. */
const KEPT_MS = 20 * 60 * 1000;
/** @type {?ImageList} */
let kept = null;

/** The list of filters: the one that was shown last, if its filters are the same, or else a new one. */
export function imageList(filters, { fresh = false } = {}) {
  const same = kept && JSON.stringify(kept.filters) === JSON.stringify(filters);
  if (!fresh && same && Date.now() - kept.loadedAt < KEPT_MS) return kept;
  kept = new ImageList(filters);
  return kept;
}

/** Change or forget an image in the kept list. */
export function updateKept(id, changed) {
  if (!kept) return;
  if (changed === null) kept.remove(id);
  else Object.assign(kept.items.find((item) => item.id === id) ?? {}, changed);
}

/** Drop the kept list, because there are new images. */
export function dropKept() {
  kept = null;
}

function endOfDay(day) {
  const end = new Date(`${day}T00:00:00`);
  end.setDate(end.getDate() + 1);
  return end.toISOString();
}
