// A concept's card in the gallery: training pictures, name, training status and nearest tokens.
import { conceptWithImages, refreshConcepts } from "./concept-store.js";
import { element, setChildren } from "./dom.js";
import { progressFraction, progressText } from "./format.js";
import { watchJob } from "./job-stream.js";
import { nearestTokens } from "./neighbours.js";
import { onceVisible, pictureFrame } from "./picture.js";
import { hueAttributes, trigger } from "./prompts.js";
import { linkTo } from "./router.js";

const MAX_PICTURES = 4;

/**
 * @param {Concept} concept
 * @param {AbortSignal} signal
 */
export function conceptCard(concept, signal) {
  const mosaic = element(
    "div",
    { class: "mosaic", "data-count": Math.min(MAX_PICTURES, concept.images.length) },
    concept.images.slice(0, MAX_PICTURES).map(() => element("div", { class: "frame waiting" })),
  );
  const status = element("div", { class: "status" });
  const card = element(
    "article",
    { class: "card", ...hueAttributes(concept.name) },
    mosaic,
    element(
      "div",
      { class: "about" },
      element("h2", {}, element("a", { href: linkTo(`concepts/${concept.name}`) }, trigger(concept.name))),
      element("p", { class: "muted small" }, `${concept.class_word} · ${concept.model}`),
      status,
    ),
  );
  onceVisible(
    card,
    () => Promise.all([showPictures(concept, mosaic), showState(concept, status, signal)]).catch(() => {}),
    signal,
  );
  return card;
}

/**
 * @param {Concept} concept
 * @param {HTMLElement} mosaic
 */
async function showPictures(concept, mosaic) {
  const { images } = await conceptWithImages(concept.id);
  setChildren(
    mosaic,
    images.slice(0, MAX_PICTURES).map((image) => pictureFrame(image, "")),
  );
}

/**
 * @param {Concept} concept
 * @param {HTMLElement} status
 * @param {AbortSignal} signal
 */
async function showState(concept, status, signal) {
  if (!concept.job) return showNeighbours(concept, status);
  const progress = element("p", { class: "chip running" }, "…");
  const meter = element("div", { class: "meter", "aria-hidden": "true" }, element("i"));
  let seenUnfinished = false;
  const job = await watchJob(
    concept.job,
    (current) => {
      seenUnfinished ||= current.status === "queued" || current.status === "running";
      if (!seenUnfinished) return;
      if (!status.contains(meter)) setChildren(status, progress, meter);
      progress.textContent = progressText(current);
      meter.firstChild.style.setProperty("--done", progressFraction(current));
    },
    signal,
  );
  if (signal.aborted) return;
  if (seenUnfinished) return refreshConcepts();
  if (concept.ready) return showNeighbours(concept, status);
  setChildren(
    status,
    element("p", { class: `chip ${job.status}` }, job.status === "failed" ? "Training failed" : "Training cancelled"),
  );
}

/**
 * @param {Concept} concept
 * @param {HTMLElement} status
 */
async function showNeighbours(concept, status) {
  setChildren(status, element("p", { class: "chip succeeded" }, "Ready"));
  const tokens = await nearestTokens(concept, 4);
  if (tokens.length === 0) return;
  const label = element("span", { class: "visually-hidden" }, "Nearest tokens: ");
  const chips = tokens.map(({ token }) => element("span", {}, token));
  status.append(element("p", { class: "neighbours small" }, label, chips));
}
