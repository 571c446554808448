// The concept view: training pictures, training, nearest tokens, actions and generated pictures.
import { announce } from "./announce.js";
import { apiPath, get } from "./api.js";
import { exportMenu, moreMenu } from "./concept-actions.js";
import { tagLink } from "./concept-card.js";
import { conceptGallery } from "./concept-gallery.js";
import { invalidateConcept, refreshConcepts } from "./concept-store.js";
import { showVersions } from "./concept-versions.js";
import { element, setChildren } from "./dom.js";
import { icon } from "./icons.js";
import { nearestTokens, neighbourList } from "./neighbours.js";
import { hueAttributes, trigger } from "./prompts.js";
import { linkTo } from "./router.js";
import { trainingPanel } from "./training-panel.js";
import { showTrainingPictures } from "./training-pictures.js";

const NEIGHBOURS = 8;
const EXCLUSION_REASONS = {
  near_duplicate: "Excluded: nearly the same as another",
  blurred: "Excluded: blurred",
  odd_one_out: "Excluded: unlike the others",
};

export async function conceptView({ main, segments, signal }) {
  const load = () => get(apiPath("concepts", segments[1]), { signal });
  let concept = await load();
  const alert = element("p", { class: "alert", role: "alert" });
  const heading = element("div", { class: "heading" });
  const neighbours = element("section", { class: "panel", "aria-label": "Nearest tokens", hidden: true });
  const training = element("div", {});
  const pictures = element("section", { "aria-label": "Training pictures" });
  const versions = element("section", { class: "panel", "aria-label": "Versions", hidden: true });
  const generated = element("div", {});
  setChildren(
    main,
    element(
      "div",
      { class: "concept", ...hueAttributes(concept.name) },
      heading,
      alert,
      element("div", { class: "columns" }, training, element("div", { class: "side" }, pictures, neighbours, versions)),
      generated,
    ),
  );

  const onSelection = (selection) => showExclusions(pictures, selection);
  showTrainingPictures(pictures, concept, load);

  function show() {
    showHeading(heading, concept, alert, reload);
    if (concept.ready) showNeighbours(neighbours, concept);
    showVersions(versions, concept, { onChanged: reload, signal }).catch(() => {});
  }
  async function reload() {
    concept = await load();
    show();
    watchTraining();
  }
  function watchTraining() {
    if (!concept.job) return;
    setChildren(training, trainingPanel(concept, { onEnd, onSelection, signal }));
  }
  async function onEnd(job) {
    invalidateConcept(concept.id);
    refreshConcepts();
    concept = await load();
    const focusIsHere =
      document.activeElement === document.body ||
      training.contains(document.activeElement) ||
      heading.contains(document.activeElement);
    show();
    announce(job.status === "succeeded" ? `${concept.name} is trained.` : `Training ${job.status}.`);
    // The next step is at hand, unless the focus was moved elsewhere meanwhile.
    if (concept.ready && focusIsHere) heading.querySelector(".primary")?.focus();
  }
  show();
  watchTraining();
  conceptGallery(concept, signal)
    .then((gallery) => setChildren(generated, gallery))
    .catch(() => {});
  return concept.name;
}

/**
 * Dim the pictures that were excluded from training, with the reason below each.
 *
 * @param {HTMLElement} pictures
 * @param {TrainingImage[]} selection
 */
function showExclusions(pictures, selection) {
  for (const { id, kept, reason } of selection) {
    const tile = pictures.querySelector(`[data-image="${CSS.escape(id)}"]`);
    if (!tile || kept || tile.querySelector(".exclusion-reason")) continue;
    tile.classList.add("excluded");
    tile.append(element("p", { class: "exclusion-reason" }, EXCLUSION_REASONS[reason]));
  }
}

/**
 * @param {HTMLElement} heading
 * @param {Concept} concept
 * @param {HTMLElement} alert
 * @param {() => void} reload
 */
function showHeading(heading, concept, alert, reload) {
  const about = [
    concept.class_word,
    concept.learnable_property === "style" ? "a style" : null,
    `model ${concept.model}`,
    `method ${concept.method.toUpperCase()}`,
  ];
  const generate = element(
    "a",
    { class: "button primary", href: linkTo("create", { prompt: startingPrompt(concept) }) },
    icon("create"),
    "Generate",
  );
  setChildren(
    heading,
    element(
      "div",
      {},
      element("h1", {}, trigger(concept.name)),
      element("p", { class: "lead" }, about.filter(Boolean).join(" · ")),
      concept.tags.length > 0 && element("p", { class: "tags small" }, concept.tags.map(tagLink)),
    ),
    element(
      "div",
      { class: "actions" },
      concept.ready && generate,
      concept.ready && exportMenu(concept, alert),
      moreMenu(concept, reload),
    ),
  );
}

/** @param {Concept} concept */
function startingPrompt(concept) {
  return concept.learnable_property === "style"
    ? `a picture in the style of <${concept.name}>`
    : `a photo of <${concept.name}>`;
}

/**
 * @param {HTMLElement} section
 * @param {Concept} concept
 */
async function showNeighbours(section, concept) {
  const tokens = await nearestTokens(concept, NEIGHBOURS);
  section.hidden = tokens.length === 0;
  setChildren(
    section,
    element("h2", {}, "Nearest tokens"),
    element("p", { class: "muted small" }, "The vocabulary tokens with the smallest angle to the concept's direction."),
    neighbourList(tokens),
  );
}
