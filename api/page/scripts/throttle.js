// Limits on how often a callback runs.

/** Call back once a frame with the newest value: a stream that catches up delivers hundreds of events at once. */
export function oncePerFrame(callback) {
  let newest = null;
  function run() {
    const value = newest;
    newest = null;
    callback(value);
  }
  return (value) => {
    if (newest === null) requestAnimationFrame(run);
    newest = value;
  };
}

/** Limit calls to one at a time and one per interval; `flush` makes a last call after the running one. */
export function throttled(intervalMs, callback) {
  let running = null;
  let startedAt = 0;
  async function call(value) {
    if (running || performance.now() - startedAt < intervalMs) return;
    startedAt = performance.now();
    running = callback(value).finally(() => (running = null));
    await running;
  }
  async function flush(value) {
    await running?.catch(() => {});
    await callback(value);
  }
  return { call, flush };
}

/** Call back once, when no further call has come for a while. */
export function debounced(callback, delayMs) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(callback, delayMs);
  };
}
