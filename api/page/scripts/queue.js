// The unfinished jobs, polled while the page is visible.
import { get } from "./api.js";
import { onConnection } from "./connection.js";

const BUSY_INTERVAL_MS = 2000;
const IDLE_INTERVAL_MS = 8000;

const listeners = new Set();
let unfinished = [];
let wakeUp = null;

/**
 * Call `listener(jobs)` with the unfinished jobs, oldest first, now and after every poll, until the signal is aborted.
 *
 * @param {(jobs: Job[]) => void} listener
 * @param {AbortSignal} [signal]
 */
export function onQueueChange(listener, signal) {
  listeners.add(listener);
  signal?.addEventListener("abort", () => listeners.delete(listener));
  listener(unfinished);
}

/** Poll now, because a job was queued or cancelled. */
export function refreshQueue() {
  wakeUp?.();
}

/** Poll for as long as the page is open. */
export async function pollQueue() {
  onConnection((lost) => lost || refreshQueue());
  document.addEventListener("visibilitychange", refreshQueue);
  for (;;) {
    if (!document.hidden) await fetchUnfinished();
    await nextPoll(unfinished.length > 0 ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS);
  }
}

function nextPoll(delayMs) {
  return new Promise((resolve) => {
    wakeUp = resolve;
    setTimeout(resolve, delayMs);
  });
}

async function fetchUnfinished() {
  try {
    const pages = await Promise.all(
      ["running", "queued"].map((status) => get("/v1/jobs", { status, limit: 100, quiet: true })),
    );
    unfinished = pages.flatMap((page) => page.items.toReversed());
    for (const listener of listeners) listener(unfinished);
  } catch {
    // The connection banner reports a lost server; the next action of the user asks for a missing key.
  }
}
