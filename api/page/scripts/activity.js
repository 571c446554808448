// The activity view: unfinished jobs with a cancel button, finished jobs page by page.
import { announce } from "./announce.js";
import { get } from "./api.js";
import { cancelButton } from "./cancel-button.js";
import { element, setChildren } from "./dom.js";
import { formatAge, progressFraction, progressText, STATUS_LABELS, UNFINISHED } from "./format.js";
import { watchJob } from "./job-stream.js";
import { highlightPrompt, trigger } from "./prompts.js";
import { onQueueChange } from "./queue.js";
import { retryButton } from "./retry-button.js";
import { linkTo } from "./router.js";

const PAGE_SIZE = 25;
const TITLES = { train: "Training", generate: "Generation", interpolate: "Interpolation" };

export async function activityView({ main, signal }) {
  const unfinishedList = element("ul", { class: "jobs" });
  const finishedList = element("ul", { class: "jobs" });
  const more = element("button", { type: "button", class: "button plain", hidden: true }, "Show older");
  const emptyNote = element("p", { class: "muted" }, "No unfinished jobs. New jobs appear here.");
  setChildren(
    main,
    element("div", { class: "heading" }, element("h1", {}, "Activity")),
    element(
      "section",
      { class: "panel", "aria-label": "Unfinished" },
      element("h2", {}, "Unfinished"),
      emptyNote,
      unfinishedList,
    ),
    element("section", { class: "panel", "aria-label": "Finished" }, element("h2", {}, "Finished"), finishedList, more),
  );
  let cursor = null;
  let unfinishedIds = null;
  async function load(from) {
    const page = await get("/v1/jobs", { limit: PAGE_SIZE, cursor: from, signal });
    cursor = page.next;
    more.hidden = cursor === null;
    const finished = page.items.filter((job) => !UNFINISHED.has(job.status));
    return finished.map((job) => finishedRow(job, () => followRetry(job)));
  }
  const loadMore = async () => finishedList.append(...(await load(cursor)));
  const reload = async () => setChildren(finishedList, ...(await load(null)));
  // A short job may have ended before the queue is read again: it is watched until its end.
  async function followRetry(job) {
    try {
      await watchJob(job.id, () => {}, signal);
      await reload();
    } catch (error) {
      if (!signal.aborted) announce(error.message);
    }
  }
  more.addEventListener("click", () => loadMore().catch((error) => announce(error.message)));
  await loadMore();
  onQueueChange((jobs) => {
    emptyNote.hidden = jobs.length > 0;
    updateRows(unfinishedList, jobs);
    const ids = jobs.map((job) => job.id).join(",");
    if (unfinishedIds !== null && unfinishedIds !== ids) reload().catch(() => {});
    unfinishedIds = ids;
  }, signal);
  return "Activity";
}

/**
 * Rows are updated in place, so that a focused button keeps its focus.
 *
 * @param {HTMLElement} list
 * @param {Job[]} jobs
 */
function updateRows(list, jobs) {
  const rows = new Map([...list.querySelectorAll("li")].map((row) => [row.dataset.job, row]));
  for (const job of jobs) {
    const row = rows.get(job.id) ?? unfinishedRow(job);
    if (!rows.delete(job.id)) list.append(row);
    row.querySelector(".state").textContent = progressText(job);
    row.querySelector(".state").className = `state chip tabular ${job.status}`;
    row.querySelector(".meter > i").style.setProperty("--done", progressFraction(job));
    row.querySelector(".interruption").textContent = job.interruption?.message ?? "";
    row.querySelector("button").disabled = job.cancel_requested;
  }
  for (const row of rows.values()) row.remove();
}

/** @param {Job} job */
function unfinishedRow(job) {
  const failure = element("p", { class: "field-error", role: "alert" });
  return element(
    "li",
    { class: "job", "data-job": job.id },
    element(
      "div",
      { class: "summary" },
      title(job),
      element("p", { class: "state" }),
      element("div", { class: "meter", "aria-hidden": "true" }, element("i")),
      element("p", { class: "interruption muted small" }),
      failure,
    ),
    cancelButton(job.id, failure, `Cancel: ${titleText(job)}`),
  );
}

/**
 * @param {Job} job
 * @param {() => any} onRetry
 */
function finishedRow(job, onRetry) {
  const failure = element("p", { class: "field-error", role: "alert" }, job.error?.message ?? "");
  return element(
    "li",
    { class: "job" },
    element("div", { class: "summary" }, title(job), failure),
    element(
      "div",
      { class: "end" },
      element("p", { class: `chip ${job.status}` }, STATUS_LABELS[job.status]),
      element("p", { class: "muted small" }, formatAge(job.finished_at)),
      job.status === "failed" && retryButton(job.id, failure, { label: `Run again: ${titleText(job)}`, onRetry }),
    ),
  );
}

/** @param {Job} job */
function title(job) {
  const view = { train: `concepts/${job.concepts[0]?.name}`, generate: "create", interpolate: "morph" }[job.kind];
  const triggers = job.concepts.flatMap((concept, index) => [index ? " " : "", trigger(concept.name)]);
  const subject =
    job.kind === "generate" ? element("span", { class: "muted" }, highlightPrompt(job.input.prompt ?? "")) : triggers;
  return element("h3", {}, element("a", { href: linkTo(view) }, TITLES[job.kind]), " ", subject);
}

/** @param {Job} job */
function titleText(job) {
  return `${TITLES[job.kind]} ${job.concepts.map((concept) => concept.name).join(", ")}`;
}
