// The interpolations view: two concepts, a prompt, and the newest interpolations.
import { get, post } from "./api.js";
import { conceptWithImages, listConcepts } from "./concept-store.js";
import { element, setChildren } from "./dom.js";
import { clearFieldErrors, field, formValues, numberField, selectField, showApiError } from "./fields.js";
import { UNFINISHED } from "./format.js";
import { icon } from "./icons.js";
import { interpolationCard } from "./interpolation.js";
import { pictureFrame } from "./picture.js";
import { hueAttributes } from "./prompts.js";
import { refreshQueue } from "./queue.js";

const RECENT = 4;

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
  const ready = (await listConcepts()).filter((concept) => concept.ready);
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
    endpoints(ready),
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

function endpoints(ready) {
  const arrow = element("span", { class: "arrow", "aria-hidden": "true" }, icon("arrow"));
  return element(
    "div",
    { class: "endpoints" },
    endpoint("From", "from", ready, ready[1]),
    arrow,
    endpoint("To", "to", ready, ready[0]),
  );
}

/** A select of the ready concepts, with a picture of the selected one. */
function endpoint(label, name, ready, first) {
  const select = selectField(
    label,
    name,
    ready.map((concept) => [concept.name, concept.name]),
  );
  const control = select.querySelector("select");
  control.value = first.name;
  const frame = element("div", { class: "frame" });
  const root = element("div", { class: "endpoint" }, frame, select);
  const show = async () => {
    const { style } = hueAttributes(control.value);
    root.style.setProperty("--hue", style["--hue"]);
    const [image] = (await conceptWithImages(control.value).catch(() => ({ images: [] }))).images;
    setChildren(frame, image && pictureFrame(image, ""));
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
