// The settings of a training; empty fields mean the defaults of the model and the method.
import { element } from "./dom.js";
import { field, numberField, selectField } from "./fields.js";
import { models } from "./models.js";

const PREVIEWS = 5;

/** The fields with the method's default as placeholder. */
const DEFAULTS_SHOWN = new Set(["steps", "learning_rate", "kappa", "batch_size"]);

const FIELDS = {
  steps: () =>
    numberField("Steps", "steps", {
      min: 1,
      max: 5000,
      hint: "More steps take longer and follow the pictures more closely.",
    }),
  preview_every: () =>
    numberField("Preview every N steps", "preview_every", {
      min: 0,
      max: 5000,
      placeholder: "steps / 5",
      hint: "0 for none.",
    }),
  learning_rate: () => numberField("Learning rate", "learning_rate", { min: 0.000001, max: 1, step: "any" }),
  schedule: () =>
    selectField("Schedule", "schedule", [
      ["", "Default"],
      ["constant", "Constant"],
      ["cosine", "Cosine"],
    ]),
  kappa: () => numberField("Prior strength (kappa)", "kappa", { min: 0, max: 1, step: "any" }),
  batch_size: () => numberField("Batch size", "batch_size", { min: 1, max: 64 }),
  seed: () => numberField("Seed", "seed", { min: 0, placeholder: "random", hint: "Makes the training repeatable." }),
  preview_prompt: () =>
    field("Preview prompt", element("input", { class: "input", name: "preview_prompt", placeholder: "a photo of {}" })),
};

/**
 * The fields of the settings that a method has, with its defaults as placeholders.
 *
 * @param {Concept["training"]} defaults
 */
export function trainingFields(defaults) {
  const fields = element(
    "div",
    { class: "grid-fields" },
    Object.values(FIELDS).map((create) => create()),
  );
  adaptToMethod(fields, defaults);
  return fields;
}

function selected(choice) {
  return choice.querySelector("select").value;
}

/** The training fields with model and method; steps come first, they are changed most. */
export async function newTrainingFields() {
  const available = await models();
  const first = available.find((candidate) => candidate.default) ?? available[0];
  const model = selectField(
    "Model",
    "model",
    available.map(({ name, default: usual }) => [name, usual ? `${name} (default)` : name]),
  );
  const method = selectField(
    "Method",
    "method",
    first.methods.map((name) => [name, name.toUpperCase()]),
    "DTI is the default; the other methods are baselines.",
  );
  model.querySelector("select").value = first.name;
  const defaults = () => available.find(({ name }) => name === selected(model)).defaults.training[selected(method)];
  const fields = trainingFields(defaults());
  fields.append(model, method);
  for (const choice of [model, method]) choice.addEventListener("change", () => adaptToMethod(fields, defaults()));
  return fields;
}

/**
 * Hide and disable the fields of settings that a method does not have.
 *
 * @param {HTMLElement} fields
 * @param {Concept["training"]} defaults
 */
function adaptToMethod(fields, defaults) {
  for (const name of Object.keys(FIELDS)) {
    /** @type {HTMLInputElement} */
    const control = fields.querySelector(`[name="${name}"]`);
    control.disabled = !(name in defaults);
    control.closest("div").hidden = control.disabled;
    if (DEFAULTS_SHOWN.has(name)) control.placeholder = String(defaults[name] ?? "");
  }
}

/**
 * The `training` object of the API, from a form with these fields.
 *
 * @param {HTMLFormElement} form
 */
export function trainingSettings(form) {
  /** @type {HTMLInputElement[]} */
  const controls = Object.keys(FIELDS).map((name) => form.querySelector(`[name="${name}"]`));
  const filled = controls.filter((control) => control && !control.disabled && control.value !== "");
  const settings = Object.fromEntries(
    filled.map(({ name, type, value }) => [name, type === "number" ? Number(value) : value]),
  );
  const steps = Number(settings.steps ?? controls[0]?.placeholder);
  // The page shows previews, which the API leaves out by default.
  if (steps) settings.preview_every ??= Math.ceil(steps / PREVIEWS);
  return settings;
}
