// One generation among the results: prompt, pictures as they arrive, and actions.
import { announce, toast } from "./announce.js";
import { codeButton } from "./as-code.js";
import { cancelButton } from "./cancel-button.js";
import { element, setChildren } from "./dom.js";
import { downloadLink, fileExtension } from "./downloads.js";
import { formatAge, pluralize, progressFraction, progressText, UNFINISHED } from "./format.js";
import { icon } from "./icons.js";
import { watchJob } from "./job-stream.js";
import { imageReloader, onceVisible, pictureFrame, placeholderFrame } from "./picture.js";
import { highlightPrompt } from "./prompts.js";
import { retryButton } from "./retry-button.js";
import { linkTo } from "./router.js";
import { WarningList } from "./warnings.js";

/**
 * `reuse(job, seed)` fills the form with the job's settings; `vary(job)` submits the job again with a new seed.
 *
 * @param {Job} job
 * @param {{ reuse: (job: Job, seed: number) => void, vary: (job: Job) => void, signal: AbortSignal }} options
 */
export function generation(job, { reuse, vary, signal }) {
  const state = element("p", { class: "muted small tabular" });
  const meter = element("div", { class: "meter", "aria-hidden": "true" }, element("i"));
  const grid = element("ul", { class: "picture-grid" });
  const alert = element("p", { class: "alert", role: "alert" });
  const warnings = new WarningList();
  const actions = element("div", { class: "actions" });
  const root = element(
    "article",
    { class: "generation", "data-job": job.id },
    element(
      "header",
      {},
      element("div", {}, element("h2", {}, highlightPrompt(job.input.prompt ?? "")), state),
      actions,
    ),
    meter,
    alert,
    warnings.element,
    grid,
  );
  showPlaceholders(grid, job);
  const show = (current) => {
    const unfinished = UNFINISHED.has(current.status);
    state.textContent = unfinished
      ? progressText(current)
      : [formatAge(current.finished_at), current.model, pluralize(current.input.steps, "step")].join(" · ");
    meter.hidden = !unfinished;
    meter.firstChild.style.setProperty("--done", progressFraction(current));
    alert.textContent = current.error?.message ?? (current.status === "cancelled" ? "Cancelled." : "");
    warnings.show(current.warnings);
    grid.hidden = !unfinished && current.output.images.length === 0;
    if (current.output.images.some((image) => image.url)) showPictures(grid, current, reuse);
  };
  const retry = () => {
    const queued = { ...job, status: "queued" };
    showActions(queued);
    watch(queued, { show, showActions, alert, signal });
  };
  const showActions = (current) =>
    setChildren(
      actions,
      UNFINISHED.has(current.status)
        ? cancelButton(current.id, alert)
        : [
            current.status === "failed" && retryButton(current.id, alert, { onRetry: retry }),
            reuseButton(current, reuse),
            element(
              "button",
              { type: "button", class: "button plain compact", onclick: () => vary(current) },
              icon("dice"),
              "New seed",
            ),
            codeButton(current),
          ],
    );
  show(job);
  showActions(job);
  onceVisible(root, () => watch(job, { show, showActions, alert, signal }), signal);
  return root;
}

async function watch(job, { show, showActions, alert, signal }) {
  const unfinished = UNFINISHED.has(job.status);
  try {
    const ended = await watchJob(job.id, show, signal);
    if (signal.aborted) return;
    showActions(ended);
    if (unfinished) announce(outcome(ended));
  } catch (error) {
    if (!signal.aborted) alert.textContent = error.message;
  }
}

/** @param {Job} job */
function outcome(job) {
  if (job.status !== "succeeded") return `Generation ${job.status}.`;
  return `${pluralize(job.output.images.length, "picture")} generated.`;
}

/**
 * @param {Job} job
 * @param {(job: Job, seed: number) => void} reuse
 */
function reuseButton(job, reuse) {
  return element(
    "button",
    { type: "button", class: "button plain compact", onclick: () => reuse(job, job.input.seed) },
    icon("reuse"),
    "Reuse settings",
  );
}

/**
 * @param {HTMLElement} grid
 * @param {Job} job
 */
function showPlaceholders(grid, job) {
  const count = job.input.num_images ?? 1;
  setChildren(
    grid,
    Array.from({ length: count }, () => element("li", {}, placeholderFrame(job.input.width, job.input.height))),
  );
}

/**
 * Replace placeholders by pictures; pictures that are shown already stay.
 *
 * @param {HTMLElement} grid
 * @param {Job} job
 * @param {(job: Job, seed: number) => void} reuse
 */
function showPictures(grid, job, reuse) {
  const cells = grid.querySelectorAll("li");
  for (const [index, image] of job.output.images.entries()) {
    const cell = cells[index] ?? element("li");
    if (!cells[index]) grid.append(cell);
    if (cell.dataset.image === image.id) continue;
    cell.dataset.image = image.id;
    setChildren(cell, figure(image, job, reuse));
  }
}

/**
 * @param {JobImage} image
 * @param {Job} job
 * @param {(job: Job, seed: number) => void} reuse
 */
function figure(image, job, reuse) {
  const save = downloadLink(
    image.url,
    `${job.input.prompt
      .replaceAll(/[^a-z0-9]+/giu, "-")
      .replaceAll(/^-|-$/gu, "")
      .slice(0, 60)}-${image.seed}.${fileExtension(image)}`,
  );
  save.className = "button quiet icon compact";
  save.ariaLabel = `Download the picture of seed ${image.seed}`;
  save.title = "Download";
  save.append(icon("download"));
  const seed = element(
    "button",
    {
      type: "button",
      class: "seed tabular",
      title: "Use this picture's prompt, settings and seed",
      onclick: () => reuse(job, image.seed),
    },
    `seed ${image.seed}`,
  );
  return element(
    "figure",
    {},
    element(
      "a",
      { href: linkTo(`images/${image.id}`) },
      pictureFrame(image, `${image.prompt}, seed ${image.seed}`, imageReloader(job.id)),
    ),
    element("figcaption", {}, seed, save),
  );
}

/** Announce that the form was filled; nothing is submitted yet. */
export function announceReuse() {
  toast("Prompt, settings and seed were copied into the form.");
}
