// Form fields: label, control, hint and error message.
import { element, setChildren, uniqueId } from "./dom.js";

/** A control with its label, hint and error message; screen readers read all of them. */
export function field(label, control, hint = null) {
  control.id ||= uniqueId("field");
  const error = element("p", { class: "field-error", id: `${control.id}-error` });
  const description = hint && element("p", { class: "hint", id: `${control.id}-hint` }, hint);
  control.setAttribute("aria-describedby", [description?.id, error.id].filter(Boolean).join(" "));
  return element("div", { class: "field" }, element("label", { for: control.id }, label), control, description, error);
}

/**
 * A number field; an empty one means the default of the model or the method.
 *
 * @param {string} label
 * @param {string} name
 * @param {{ hint?: string } & Record<string, any>} [limits]
 */
export function numberField(label, name, { hint, ...limits } = {}) {
  const control = element("input", { class: "input tabular", type: "number", name, ...limits });
  return field(label, control, hint);
}

/** A select element; `choices` are pairs of value and label. */
export function selectField(label, name, choices, hint) {
  const control = element("select", { class: "input", name });
  setOptions(control, choices);
  return field(label, control, hint);
}

/** Replace the options of a select element; the selected value is kept if it is still offered. */
export function setOptions(control, choices) {
  const selected = control.value;
  setChildren(
    control,
    choices.map(([value, label]) => element("option", { value }, label)),
  );
  if (choices.some(([value]) => value === selected)) control.value = selected;
}

/** A segmented control: radio buttons in a row. */
export function segmentedControl(legend, name, choices, selected) {
  const options = choices.map(([value, label]) =>
    element(
      "label",
      {},
      element("input", { type: "radio", name, value, checked: value === selected }),
      element("span", {}, label),
    ),
  );
  return element(
    "fieldset",
    { class: "field" },
    element("legend", {}, legend),
    element("div", { class: "segments" }, options),
  );
}

/** A form's values by name, without empty ones; number fields give numbers. */
export function formValues(form) {
  const controls = [...form.querySelectorAll("input[name], select[name], textarea[name]")];
  const filled = controls.filter(
    (control) => control.value !== "" && (control.type !== "radio" || control.checked) && control.type !== "file",
  );
  return Object.fromEntries(filled.map((control) => [control.name, valueOf(control)]));
}

function valueOf(control) {
  if (control.type === "checkbox") return control.checked;
  return control.type === "number" ? Number(control.value) : control.value;
}

/** Clear the errors of all fields of a form. */
export function clearFieldErrors(form) {
  for (const control of form.querySelectorAll("[aria-invalid]")) showFieldError(control, "");
}

/** Show an error below a control; an empty text clears it. */
export function showFieldError(control, text) {
  if (text) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
  const message = document.querySelector(`#${control.id}-error`);
  if (message) message.textContent = text;
}

/**
 * Show an API error in a form: each field's error below the field, the rest in `alert`.
 *
 * The first invalid field is focused.
 */
export function showApiError(form, error, alert) {
  const unplaced = (error.fields ?? []).filter(({ field: name, message }) => {
    const control = form.querySelector(`[name="${CSS.escape(name.split(".").pop())}"]`);
    if (control) showFieldError(control, message);
    return !control;
  });
  const allPlaced = error.fields?.length && unplaced.length === 0;
  alert.textContent = allPlaced ? "" : unplaced.map(({ message }) => message).join(" ") || error.message;
  const first = form.querySelector("[aria-invalid]");
  if (first) {
    const details = first.closest("details:not([open])");
    if (details) details.open = true;
    first.focus();
  }
}
