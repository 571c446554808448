// Formats numbers, times and job states.

/** A count with its noun: "1 picture", "1,200 pictures". */
export function pluralize(count, singular, plural = `${singular}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? singular : plural}`;
}

/** A share, 0 to 1, as a percentage. */
export function formatPercent(share) {
  return `${Math.round(100 * share)} %`;
}

/** A duration in seconds, rounded to its largest unit: "2 min". */
function formatDuration(seconds) {
  if (seconds < 1) return "< 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** The age of an ISO 8601 time: "3 min ago"; after a day, its date. */
export function formatAge(time, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString("en", { day: "numeric", month: "short" });
}

/** A size in bytes as kB or MB. */
export function formatBytes(count) {
  return count < 1e6 ? `${Math.max(1, Math.round(count / 1e3))} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

export const STATUS_LABELS = {
  queued: "Queued",
  running: "Running",
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
};

/** The states of a job that has not ended. */
export const UNFINISHED = new Set(["queued", "running"]);

/**
 * A job's progress: its place in the queue, its steps and the time left, or its final state.
 *
 * @param {Job} job
 */
export function progressText(job) {
  const { step, total, eta_s: eta, queue_position: ahead, workers } = job.progress;
  if (job.status === "queued" && workers === 0) return `Queued, no worker serves ${job.model}`;
  if (job.status === "queued") return ahead ? `Queued, ${ahead} ahead` : "Queued";
  if (job.status !== "running") return STATUS_LABELS[job.status];
  const left = eta === null || eta === undefined ? "" : ` · ${formatDuration(eta)} left`;
  return `${step.toLocaleString("en")} of ${pluralize(total, "step")}${left}`;
}

/**
 * The completed fraction of a job's steps, 0 to 1.
 *
 * @param {Job} job
 */
export function progressFraction(job) {
  return job.progress.total ? Math.min(1, job.progress.step / job.progress.total) : 0;
}
