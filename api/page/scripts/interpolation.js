// One interpolation between two concepts: progress, then player, export and blending.
import { announce, toast } from "./announce.js";
import { post } from "./api.js";
import { codeButton } from "./as-code.js";
import { cancelButton } from "./cancel-button.js";
import { renderCover } from "./concept-edit.js";
import { refreshConcepts } from "./concept-store.js";
import { openDialog } from "./dialogs.js";
import { element, setChildren } from "./dom.js";
import { downloadLink, fileExtension } from "./downloads.js";
import { field } from "./fields.js";
import { formatPercent, pluralize, progressFraction, progressText, UNFINISHED } from "./format.js";
import { icon } from "./icons.js";
import { watchJob } from "./job-stream.js";
import { menuButton } from "./menus.js";
import { placeholderFrame } from "./picture.js";
import { player } from "./player.js";
import { toConceptName, trigger } from "./prompts.js";
import { refreshQueue } from "./queue.js";
import { retryButton } from "./retry-button.js";
import { navigate } from "./router.js";
import { WarningList } from "./warnings.js";

const FORMATS = [
  ["gif", "GIF", "Plays everywhere"],
  ["webp", "WebP", "Smaller, all colours"],
  ["mp4", "MP4", "For film and phones"],
];

/**
 * The card of an interpolation job, updated until the job ends.
 *
 * @param {Job} job
 * @param {AbortSignal} signal
 */
export function interpolationCard(job, signal) {
  const state = element("p", { class: "muted small tabular" });
  const meter = element("div", { class: "meter", "aria-hidden": "true" }, element("i"));
  const alert = element("p", { class: "alert", role: "alert" });
  const warnings = new WarningList();
  const placeholder = element(
    "div",
    { class: "player" },
    element("div", { class: "stage" }, placeholderFrame()),
    element(
      "div",
      { class: "thumbnails" },
      Array.from({ length: job.input.shares?.length ?? job.input.frames ?? 8 }, () => placeholderFrame()),
    ),
  );
  const actions = element("div", { class: "actions" });
  const [from, to] = job.concepts.map((concept) => trigger(concept.name));
  const heading = element("h2", {}, from, element("span", { class: "muted" }, " to "), to);
  const root = element(
    "article",
    { class: "interpolation" },
    element("header", {}, element("div", {}, heading, state), actions),
    meter,
    alert,
    warnings.element,
    placeholder,
  );
  const wasUnfinished = UNFINISHED.has(job.status);

  const show = (current) => {
    state.textContent = progressText(current);
    meter.hidden = !UNFINISHED.has(current.status);
    meter.firstChild.style.setProperty("--done", progressFraction(current));
    alert.textContent = current.error?.message ?? (current.status === "cancelled" ? "Cancelled." : "");
    warnings.show(current.warnings);
  };
  setChildren(actions, wasUnfinished && cancelButton(job.id, alert));
  const watch = async () => {
    const ended = await watchJob(job.id, show, signal);
    if (signal.aborted) return;
    setChildren(actions, ended.status === "failed" && retryButton(job.id, alert, { onRetry: retry }));
    placeholder.hidden = ended.status !== "succeeded";
    if (placeholder.hidden) return;
    showResult(ended, { placeholder, state, actions, alert, signal });
    if (wasUnfinished) announce("Interpolation finished.");
  };
  const start = () => watch().catch((error) => (alert.textContent = error.message));
  const retry = () => {
    placeholder.hidden = false;
    setChildren(actions, cancelButton(job.id, alert));
    start();
  };
  start();
  return root;
}

/** @param {Job} job */
function showResult(job, { placeholder, state, actions, alert, signal }) {
  let [currentImage] = job.output.images;
  const result = player(job, { signal, onFrame: (image) => (currentImage = image) });
  placeholder.replaceWith(result);
  state.textContent = `${pluralize(job.output.images.length, "frame")} · ${job.model} · seed ${job.input.seed}`;
  const blend = element(
    "button",
    { type: "button", class: "button plain", onclick: () => blendAtFrame(job, currentImage.share) },
    "Blend at this frame …",
  );
  setChildren(actions, exportMenu(job, alert, signal), blend, codeButton(job));
}

/**
 * @param {Job} job
 * @param {HTMLElement} alert
 * @param {AbortSignal} signal
 */
function exportMenu(job, alert, signal) {
  const items = FORMATS.map(([format, label, hint]) => ({
    label,
    hint,
    onSelect: () => exportAnimation(job, format, signal).catch((error) => (alert.textContent = error.message)),
  }));
  return menuButton("Export", [icon("download"), "Export"], items);
}

/**
 * Export an animation: the service encodes it, so the job is submitted again with its seed and a format.
 *
 * @param {Job} job
 * @param {string} format
 * @param {AbortSignal} signal
 */
async function exportAnimation(job, format, signal) {
  const existing = job.output.animation;
  const name = job.concepts.map((concept) => concept.name).join("-to-");
  let animation = existing && fileExtension(existing) === format ? existing : null;
  if (!animation) {
    toast(`Exporting ${format.toUpperCase()} …`);
    const input = Object.fromEntries(Object.entries(job.input).filter(([, value]) => value !== null));
    const resubmitted = await post("/v1/interpolations", { ...input, animation: format });
    refreshQueue();
    const ended = await watchJob(resubmitted.id, () => {}, signal);
    if (ended.status !== "succeeded") throw new Error(ended.error?.message ?? "The export was cancelled.");
    ({ animation } = ended.output);
  }
  downloadLink(animation.url, `${name}.${format}`).click();
  toast(`${name}.${format} was saved.`);
}

/**
 * Create a concept from a frame: the two concepts blended with the frame's weights.
 *
 * @param {Job} job
 * @param {number} share
 */
async function blendAtFrame(job, share) {
  const [from, to] = job.concepts;
  const name = element("input", {
    class: "input",
    name: "name",
    value: `${from.name}-${to.name}`.slice(0, 63),
    autocapitalize: "none",
    spellcheck: false,
  });
  const blended = await openDialog({
    title: "Blend into a new concept",
    body: [
      element(
        "p",
        { class: "muted" },
        `${formatPercent(1 - share)} `,
        trigger(from.name),
        ` and ${formatPercent(share)} `,
        trigger(to.name),
        " are blended into a new concept, ready at once.",
      ),
      field("Name", name),
    ],
    accept: "Blend",
    onAccept: () =>
      post("/v1/concepts/blend", {
        name: toConceptName(name.value),
        parts: [
          { concept: from.id, weight: 1 - share },
          { concept: to.id, weight: share },
        ].filter((part) => part.weight > 0),
      }),
  });
  if (!blended) return;
  refreshConcepts();
  renderCover(blended);
  toast(`${blended.name} was created.`);
  navigate(`concepts/${blended.name}`);
}
