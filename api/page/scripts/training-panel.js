// The panel of a training: progress, loss chart, angle gauge, previews and a cancel button.
import { AngleGauge } from "./angle-gauge.js";
import { announce } from "./announce.js";
import { apiPath, get } from "./api.js";
import { cancelButton } from "./cancel-button.js";
import { element } from "./dom.js";
import { progressFraction, progressText, UNFINISHED } from "./format.js";
import { watchJob } from "./job-stream.js";
import { LossChart } from "./loss-chart.js";
import { notify, notifyButton } from "./notifications.js";
import { imageReloader, pictureFrame } from "./picture.js";
import { retryButton } from "./retry-button.js";
import { oncePerFrame, throttled } from "./throttle.js";
import { WarningList } from "./warnings.js";

const METRICS_INTERVAL_MS = 900;

/**
 * The panel of a concept's newest training.
 *
 * `onEnd(job)` is called when the training ends while the panel is shown, `onSelection(images)` with the selection of
 * its training pictures.
 *
 * @param {Concept} concept
 * @param {{ onEnd: (job: Job) => any, onSelection: (selection: TrainingImage[]) => void, signal: AbortSignal }} options
 */
export function trainingPanel(concept, { onEnd, onSelection, signal }) {
  const chart = new LossChart();
  const gauge = new AngleGauge(concept.class_word);
  const state = element("p", { class: "state tabular" }, "…");
  const alert = element("p", { class: "alert", role: "alert" });
  const warnings = new WarningList();
  const range = { "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": "Training" };
  const meter = element("div", { class: "meter", role: "progressbar", ...range }, element("i"));
  const cancel = cancelButton(concept.job, alert);
  const retry = retryButton(concept.job, alert, { onRetry: () => start() });
  retry.hidden = true;
  const announcement = element("div", { hidden: true }, notifyButton());
  const previews = element("ol", { class: "previews", "aria-label": "Previews" });
  const root = element(
    "section",
    { class: "panel training", "aria-label": "Training" },
    element("header", {}, element("div", {}, element("h2", {}, "Training"), state), announcement, cancel, retry),
    meter,
    alert,
    warnings.element,
    element("div", { class: "charts" }, chart.element, gauge.element),
    previews,
  );

  const metrics = throttled(METRICS_INTERVAL_MS, async (job) => {
    const curve = await get(`${apiPath("jobs", concept.job)}/metrics`, { signal });
    chart.show(curve, job.progress.total);
    gauge.show(curve.angle.findLast((angle) => angle !== null) ?? 0);
  });
  const announceQuarter = quarterAnnouncer();

  function show(job) {
    const fraction = progressFraction(job);
    state.textContent = progressText(job);
    meter.hidden = !UNFINISHED.has(job.status);
    meter.setAttribute("aria-valuenow", Math.round(100 * fraction));
    meter.firstChild.style.setProperty("--done", fraction);
    cancel.hidden = !UNFINISHED.has(job.status);
    announcement.hidden = cancel.hidden;
    retry.hidden = job.status !== "failed";
    cancel.disabled = job.cancel_requested;
    alert.textContent = job.error?.message ?? "";
    warnings.show(job.warnings);
    showPreviews(previews, job);
    announceQuarter(fraction);
    if (job.output.training_images) onSelection(job.output.training_images);
    metrics.call(job).catch(() => {});
  }

  const watch = async () => {
    let wasUnfinished = false;
    const onUpdate = oncePerFrame((job) => {
      wasUnfinished ||= UNFINISHED.has(job.status);
      show(job);
    });
    const job = await watchJob(concept.job, onUpdate, signal);
    if (signal.aborted) return;
    await metrics.flush(job).catch(() => {});
    if (!wasUnfinished) return;
    notify(
      job.status === "succeeded" ? `${concept.name} is trained.` : `The training of ${concept.name} ${job.status}.`,
    );
    await onEnd(job);
  };
  const start = () => watch().catch((error) => (alert.textContent = error.message));
  start();
  return root;
}

/**
 * Append the previews that are not shown yet.
 *
 * @param {HTMLElement} list
 * @param {Job} job
 */
function showPreviews(list, job) {
  const { images } = job.output;
  for (const image of images.slice(list.children.length)) {
    list.append(element("li", {}, pictureFrame(image, `Preview: ${image.prompt}`, imageReloader(job.id))));
  }
}

/** Announce 25, 50 and 75 % to screen readers. */
function quarterAnnouncer() {
  let quarter = null;
  return (fraction) => {
    const current = Math.floor(4 * fraction);
    if (quarter !== null && current > quarter && current < 4) announce(`${25 * current} % trained.`);
    quarter = current;
  };
}
