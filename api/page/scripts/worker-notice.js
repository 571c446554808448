// A notice while jobs wait for a worker that is not running.
import { get } from "./api.js";
import { onQueueChange } from "./queue.js";

/** A worker that starts needs some seconds to load its model. */
const GRACE_MS = 15_000;

/**
 * Show the notice in an element whenever it applies.
 *
 * @param {HTMLElement} notice
 */
export function watchWorkers(notice) {
  onQueueChange(async (jobs) => {
    const models = await idleModels(jobs).catch(() => []);
    notice.hidden = models.length === 0;
    const text = `No worker is running for ${models.join(", ")}: jobs wait. Start one with “dti worker”.`;
    if (!notice.hidden && notice.textContent !== text) notice.textContent = text;
  });
}

/**
 * The models with jobs that have waited for a while, and no worker.
 *
 * @param {Job[]} jobs
 * @returns {Promise<string[]>}
 */
async function idleModels(jobs) {
  const waiting = jobs.filter((job) => job.status === "queued" && Date.now() - Date.parse(job.created_at) > GRACE_MS);
  if (waiting.length === 0) return [];
  const { workers } = await get("/health/ready", { quiet: true });
  return [...new Set(waiting.map((job) => job.model))].filter((model) => !workers[model]);
}
