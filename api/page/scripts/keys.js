// Storage of the API key: sessionStorage, or localStorage on request; never a cookie.

const STORAGE_KEY = "dti-key";

/** The stored API key, or null. */
export function currentKey() {
  return sessionStorage.getItem(STORAGE_KEY) ?? localStorage.getItem(STORAGE_KEY);
}

/** Store a key for this tab, or for this browser with `remember`. */
export function storeKey(key, { remember }) {
  clearKey();
  (remember ? localStorage : sessionStorage).setItem(STORAGE_KEY, key);
}

/** Remove the key from both storages. */
export function clearKey() {
  sessionStorage.removeItem(STORAGE_KEY);
  localStorage.removeItem(STORAGE_KEY);
}
