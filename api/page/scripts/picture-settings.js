// The settings of a generation; empty fields mean the model's defaults.
import { element } from "./dom.js";
import { field, numberField, selectField, setOptions } from "./fields.js";
import { modelNamed, models } from "./models.js";

const RESTORED_FIELDS = [
  "negative_prompt",
  "num_images",
  "width",
  "height",
  "steps",
  "guidance_scale",
  "scheduler",
  "seed",
  "format",
  "model",
];

/** The settings fields of the create form, folded behind "Settings". */
export async function pictureFields() {
  const available = await models();
  const negative = element("input", { class: "input", name: "negative_prompt", placeholder: "blurry, text" });
  const model = selectField("Model", "model", [
    ["", "The concepts' model"],
    ...available.map(({ name }) => [name, name]),
  ]);
  const size = { min: 32, max: 2048 };
  const fields = [
    field("Negative prompt", negative),
    numberField("Width", "width", size),
    numberField("Height", "height", size),
    numberField("Steps", "steps", { min: 1, max: 150 }),
    numberField("Guidance scale", "guidance_scale", {
      min: 0,
      max: 50,
      step: "any",
      hint: "Higher values follow the prompt more closely.",
    }),
    selectField("Sampler", "scheduler", []),
    numberField("Seed", "seed", { min: 0, placeholder: "random" }),
    selectField("File format", "format", [
      ["png", "PNG"],
      ["webp", "WebP"],
      ["jpeg", "JPEG"],
    ]),
    model,
  ];
  const content = element("div", { class: "content grid-fields" }, fields);
  const update = async () => adaptToModel(content, await modelNamed(model.querySelector("select").value));
  model.addEventListener("change", update);
  await update();
  return element("details", { class: "disclosure" }, element("summary", {}, "Settings"), content);
}

/**
 * Show a model's defaults as placeholders, and its samplers.
 *
 * @param {HTMLElement} content
 * @param {Model} model
 */
function adaptToModel(content, model) {
  /** @type {(name: string) => HTMLInputElement} */
  const control = (name) => content.querySelector(`[name="${name}"]`);
  for (const name of ["width", "height", "steps", "guidance_scale"]) control(name).placeholder = model.defaults[name];
  const size = { step: model.size_multiple_px, max: model.max_px };
  for (const name of ["width", "height"]) Object.assign(control(name), size);
  setOptions(control("scheduler"), [
    ["", `Default (${model.defaults.scheduler})`],
    ...model.schedulers.map((name) => [name, name]),
  ]);
}

/** Fill a form with the settings of a job and a seed: the same input gives the same picture. */
export function restoreSettings(form, input, seed) {
  for (const name of RESTORED_FIELDS) {
    const control = form.elements[name];
    if (!control) continue;
    const value = name === "seed" ? seed : input[name];
    control.value = value ?? "";
  }
}
