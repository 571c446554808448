// The interpolations view: two concepts, a prompt, and the newest interpolations.
import { get, post } from "./api.js";
import { conceptWithImages, readyConcepts, searchReady } from "./concept-store.js";
import { element, setChildren, uniqueId } from "./dom.js";
import { clearFieldErrors, field, formValues, numberField, selectField, showApiError } from "./fields.js";
import { UNFINISHED } from "./format.js";
import { icon } from "./icons.js";
import { interpolationCard } from "./interpolation.js";
import { pictureFrame } from "./picture.js";
import { hueAttributes } from "./prompts.js";
import { refreshQueue } from "./queue.js";
import { debounced } from "./throttle.js";

const RECENT = 4;
const SUGGEST_DELAY_MS = 150;

export async function interpolationsView({ main, signal }) {
  const heading = element(
    "div",
    { class: "heading" },
    element(
      "div",
      {},
      element("h1", {}, "Morph"),
      element(
        "p",
        { class: "lead" },
        "Interpolate between two concepts along the sphere, and blend them at any frame.",
      ),
    ),
  );
  const { items: ready, next } = await readyConcepts();
  if (signal.aborted) return "Morph";
  if (ready.length < 2) {
    setChildren(main, heading, tooFew(ready.length));
    return "Morph";
  }
  const alert = element("p", { class: "alert", role: "alert" });
  const submit = element("button", { class: "button primary" }, icon("morph"), "Interpolate");
  const form = element(
    "form",
    { class: "interpolation-form", noValidate: true },
    endpoints(ready, next === null),
    settings(),
    alert,
    element("div", { class: "actions" }, submit),
  );
  const cards = element("div", { class: "interpolations", role: "region", "aria-label": "Interpolations" });
  setChildren(main, heading, form, cards);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearFieldErrors(form);
    alert.textContent = "";
    submit.ariaBusy = "true";
    try {
      cards.prepend(interpolationCard(await post("/v1/interpolations", formValues(form)), signal));
      refreshQueue();
    } catch (error) {
      showApiError(form, error, alert);
    } finally {
      submit.ariaBusy = null;
    }
  });
  const { items } = await get("/v1/jobs", { kind: "interpolate", limit: RECENT, signal });
  cards.append(
    ...items
      .filter((job) => job.output.images.length > 0 || UNFINISHED.has(job.status))
      .map((job) => interpolationCard(job, signal)),
  );
  return "Morph";
}

function tooFew(count) {
  return element(
    "section",
    { class: "empty" },
    element("h2", {}, count === 1 ? "One more concept is needed" : "Two concepts are needed"),
    element("p", { class: "muted" }, "An interpolation connects two trained concepts of the same model."),
    element(
      "div",
      { class: "actions" },
      element("a", { class: "button primary", href: "#/concepts/new" }, icon("plus"), "Train a concept"),
    ),
  );
}

function endpoints(ready, complete) {
  const choose = complete ? (label, name) => conceptSelect(label, name, ready) : conceptInput;
  const arrow = element("span", { class: "arrow", "aria-hidden": "true" }, icon("arrow"));
  return element(
    "div",
    { class: "endpoints" },
    endpoint("From", "from", ready[1], choose),
    arrow,
    endpoint("To", "to", ready[0], choose),
  );
}

/** A select of all ready concepts. */
function conceptSelect(label, name, ready) {
  return selectField(
    label,
    name,
    ready.map((concept) => [concept.name, concept.name]),
  );
}

/** A text field that suggests ready concepts, for more of them than a select can show. */
function conceptInput(label, name) {
  const list = element("datalist", { id: uniqueId("concept-names") });
  const input = element("input", { class: "input", name, list: list.id, autocomplete: "off", spellcheck: false });
  const suggest = debounced(async () => {
    const found = await searchReady(input.value.trim()).catch(() => []);
    setChildren(
      list,
      found.map((concept) => element("option", { value: concept.name })),
    );
  }, SUGGEST_DELAY_MS);
  input.addEventListener("input", suggest);
  suggest();
  const labelled = field(label, input);
  labelled.append(list);
  return labelled;
}

/** A choice of a concept, with its cover. */
function endpoint(label, name, first, choose) {
  const choice = choose(label, name);
  const control = choice.querySelector("select, input");
  control.value = first.name;
  const frame = element("div", { class: "frame" });
  const root = element("div", { class: "endpoint" }, frame, choice);
  const show = async () => {
    const { style } = hueAttributes(control.value);
    root.style.setProperty("--hue", style["--hue"]);
    const { cover } = await conceptWithImages(control.value).catch(() => ({ cover: null }));
    setChildren(frame, cover && pictureFrame(cover, ""));
  };
  root.dataset.hue = "";
  control.addEventListener("change", show);
  show();
  return root;
}

function settings() {
  const prompt = element("input", { class: "input", name: "prompt", value: "a photo of {}" });
  return element(
    "div",
    { class: "grid-fields" },
    field("Prompt", prompt, "{} stands for the concept."),
    numberField("Frames", "frames", { min: 2, max: 64, value: 12 }),
    numberField("Steps", "steps", { min: 1, max: 150, placeholder: "model default" }),
    numberField("Seed", "seed", { min: 0, placeholder: "random" }),
  );
}
