// The connection's state. After a failed request, one loop polls the server's readiness until it is ready.

const INITIAL_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 4000;

const listeners = new Set();
let lost = false;
let restored = Promise.resolve();

/** Call `listener(true)` when the connection is lost and `listener(false)` when it is restored. */
export function onConnection(listener) {
  listeners.add(listener);
}

/** A promise that resolves when the server is reachable; at once while the connection stands. */
export function whenReachable() {
  return restored;
}

/** Report a request that did not reach the server. */
export function reportUnreachable() {
  if (lost) return;
  lost = true;
  notify();
  restored = reconnect();
}

async function reconnect() {
  await pollReadiness();
  lost = false;
  notify();
}

async function pollReadiness() {
  for (let delay = INITIAL_BACKOFF_MS; ; delay = Math.min(delay * 1.6, MAX_BACKOFF_MS)) {
    await sleep(delay);
    if (await isReady()) return;
  }
}

async function isReady() {
  try {
    return (await fetch("/health/ready", { cache: "no-store" })).status !== 503;
  } catch {
    return false;
  }
}

/** Resolve after a time, or early when the signal is aborted. */
export function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

function notify() {
  for (const listener of listeners) listener(lost);
}
