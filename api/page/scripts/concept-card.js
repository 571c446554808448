// A concept's card in the list: cover, name, tags, training status and nearest tokens.
import { conceptWithImages, refreshConcepts } from "./concept-store.js";
import { element, setChildren } from "./dom.js";
import { progressFraction, progressText } from "./format.js";
import { watchJob } from "./job-stream.js";
import { nearestTokens } from "./neighbours.js";
import { onceVisible, pictureFrame } from "./picture.js";
import { hueAttributes, trigger } from "./prompts.js";
import { linkTo } from "./router.js";

/**
 * @param {Concept} concept
 * @param {AbortSignal} signal
 */
export function conceptCard(concept, signal) {
  const { cover } = concept;
  const picture = element("div", { class: "mosaic", "data-count": cover ? 1 : 0 });
  if (cover) picture.append(coverFrame(concept));
  const status = element("div", { class: "status" });
  const card = element(
    "article",
    { class: "card", ...hueAttributes(concept.name) },
    picture,
    element(
      "div",
      { class: "about" },
      element("h2", {}, element("a", { href: linkTo(`concepts/${concept.name}`) }, trigger(concept.name))),
      element("p", { class: "muted small" }, `${concept.class_word} · ${concept.model}`),
      concept.tags.length > 0 && element("p", { class: "tags small" }, concept.tags.map(tagLink)),
      status,
    ),
  );
  onceVisible(card, () => showState(concept, status, signal).catch(() => {}), signal);
  return card;
}

/** A tag, as a link to all concepts that have it. */
export function tagLink(tag) {
  return element("a", { class: "tag", href: linkTo("", { tag }) }, tag);
}

/** @param {Concept} concept */
function coverFrame(concept) {
  const frame = pictureFrame(concept.cover, "", async () => (await conceptWithImages(concept.id)).cover);
  frame.querySelector("img").loading = "lazy";
  return frame;
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
