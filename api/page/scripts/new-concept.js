// The new-concept view: pictures, name, class classWord and training settings.
import { request } from "./api.js";
import { appendFiles } from "./chosen-files.js";
import { refreshConcepts } from "./concept-store.js";
import { element, setChildren } from "./dom.js";
import { dropDraft, keepDraft, keepFiles, keptFiles } from "./drafts.js";
import { Dropzone } from "./dropzone.js";
import { exampleFiles, exampleNamed } from "./examples.js";
import { clearFieldErrors, field, formValues, segmentedControl, showApiError, showFieldError } from "./fields.js";
import { importEmbedding } from "./import-embedding.js";
import { CONCEPT_NAME, toConceptName, trigger } from "./prompts.js";
import { refreshQueue } from "./queue.js";
import { navigate } from "./router.js";
import { newTrainingFields, trainingSettings } from "./training-settings.js";

const DRAFT = "new-concept";
const PROPERTIES = [
  ["object", "Object"],
  ["style", "Style"],
];

export async function newConceptView({ main, query, signal }) {
  const name = element("input", {
    class: "input",
    name: "name",
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: false,
    maxLength: 63,
    placeholder: "my-dog",
  });
  const classWord = element("input", {
    class: "input",
    name: "class_word",
    autocomplete: "off",
    autocapitalize: "none",
    maxLength: 100,
    placeholder: "dog",
  });
  const dropzone = new Dropzone({
    signal,
    onAdd: () => name.value || name.focus(),
    onChange: () => keepFiles(DRAFT, dropzone.files),
  });
  const example = element("p", { class: "prompt-example muted", "aria-live": "polite" });
  const alert = element("p", { class: "alert", role: "alert" });
  const submit = element("button", { class: "button primary" }, "Start training");
  const advanced = element("div", { class: "content" }, await newTrainingFields());
  const learnableProperty = segmentedControl("Learnable property", "learnable_property", PROPERTIES, "object");
  const form = element(
    "form",
    { class: "new-concept", noValidate: true },
    dropzone.element,
    element(
      "div",
      { class: "panel" },
      field("Name", name, "Used in prompts: lowercase letters, digits and hyphens."),
      field("Class word", classWord, "A word for its class that the model knows, such as dog, mug or painting."),
      learnableProperty,
      example,
      element("details", { class: "disclosure" }, element("summary", {}, "Advanced"), advanced),
      alert,
      element("div", { class: "actions" }, submit, element("a", { class: "button quiet", href: "#/" }, "Cancel")),
    ),
  );
  const show = () => setChildren(example, ...promptExample(form, name.value, classWord.value));
  form.addEventListener("input", show);
  name.addEventListener("change", () => {
    name.value = toConceptName(name.value);
    show();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    name.value = toConceptName(name.value);
    send({ form, dropzone, name, classWord, alert, submit });
  });
  setChildren(main, heading(), form);
  keepDraft(DRAFT, form, signal);
  show();
  dropzone.button.focus();
  if (!query.has("example")) dropzone.restore(await keptFiles(DRAFT));
  await loadExample(exampleNamed(query.get("example")), { dropzone, name, classWord, show });
  return "New concept";
}

function heading() {
  const lead = "A few pictures of one subject, from different angles and in different settings.";
  return element(
    "div",
    { class: "heading" },
    element("div", {}, element("h1", {}, "New concept"), element("p", { class: "lead" }, lead)),
    element("button", { type: "button", class: "button quiet", onclick: importEmbedding }, "Import an embedding …"),
  );
}

async function loadExample(example, { dropzone, name, classWord, show }) {
  if (!example) return;
  name.value = example.name;
  classWord.value = example.classWord;
  dropzone.add(await exampleFiles(example));
  show();
  name.closest("form").querySelector(".button.primary").focus();
}

function promptExample(form, name, classWord) {
  const shownTrigger = trigger(toConceptName(name) || "my-dog");
  const style = form.elements.learnable_property.value === "style";
  return [
    "In prompts: ",
    element("q", {}, style ? "a picture in the style of " : "a photo of ", shownTrigger),
    classWord ? ` instead of “${classWord.trim()}”` : "",
  ];
}

async function send({ form, dropzone, name, classWord, alert, submit }) {
  clearFieldErrors(form);
  alert.textContent = "";
  if (!isComplete({ dropzone, name, classWord })) return;
  submit.ariaBusy = "true";
  try {
    const response = await request("POST", "/v1/concepts", { form: await requestBody(form, dropzone.files) });
    const { concept } = await response.json();
    dropDraft(DRAFT);
    keepFiles(DRAFT, []);
    refreshConcepts();
    refreshQueue();
    navigate(`concepts/${concept.name}`);
  } catch (error) {
    const concernsPictures =
      /^(?:image|archive)/u.test(error.code) ||
      error.fields?.some(({ field: path }) => /^(?:images|archive)/u.test(path));
    if (concernsPictures) dropzone.showError(error.message);
    else showApiError(form, error, alert);
  } finally {
    submit.ariaBusy = null;
  }
}

/** Check for missing input before anything is data. */
function isComplete({ dropzone, name, classWord }) {
  if (!classWord.value.trim()) showFieldError(classWord, "Enter a class word.");
  if (!CONCEPT_NAME.test(name.value)) showFieldError(name, "Enter a name of lowercase letters, digits and hyphens.");
  dropzone.error.textContent = dropzone.files.length > 0 ? "" : "Choose at least one picture.";
  const first =
    dropzone.files.length === 0 ? dropzone.button : [name, classWord].find((control) => control.ariaInvalid);
  first?.focus();
  return !first;
}

async function requestBody(form, files) {
  const values = formValues(form);
  const data = new FormData();
  for (const key of ["name", "class_word", "learnable_property", "model", "method"]) {
    if (values[key]) data.set(key, values[key]);
  }
  await appendFiles(data, files);
  data.set("training", JSON.stringify(trainingSettings(form)));
  return data;
}
