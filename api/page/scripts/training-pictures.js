// The training pictures of a concept: shown with captions, added and removed for the next training.
import { announce, toast } from "./announce.js";
import { apiPath, request } from "./api.js";
import { appendFiles } from "./chosen-files.js";
import { openDialog } from "./dialogs.js";
import { element, setChildren } from "./dom.js";
import { Dropzone } from "./dropzone.js";
import { field, formValues } from "./fields.js";
import { icon } from "./icons.js";
import { pictureFrame } from "./picture.js";
import { WarningList } from "./warnings.js";

/**
 * Show the pictures; `load()` fetches the concept again, also when a URL has expired.
 *
 * @param {HTMLElement} section
 * @param {Concept} concept
 * @param {() => Promise<Concept>} load
 * @param {{ message: string }[]} [warnings] of the last change
 */
export function showTrainingPictures(section, concept, load, warnings = []) {
  const reload = async (id) => (await load()).images.find((image) => image.id === id);
  const show = async (found) => showTrainingPictures(section, await load(), load, found);
  const list = new WarningList();
  list.show(warnings);
  const items = concept.images.map((image, index) => {
    const alt = `Picture ${index + 1} of ${concept.name}`;
    const edit = element(
      "button",
      {
        type: "button",
        class: "button quiet icon compact picture-edit",
        "aria-label": `Edit picture ${index + 1}`,
        title: "Caption, removal",
        onclick: () => editPicture(concept, image, show),
      },
      icon("more"),
    );
    const caption = image.caption && element("p", { class: "caption small muted" }, image.caption);
    return element("li", { "data-image": image.id }, pictureFrame(image, alt, reload), edit, caption);
  });
  setChildren(
    section,
    element(
      "div",
      { class: "section-heading" },
      element("h2", {}, "Training pictures"),
      element(
        "button",
        { type: "button", class: "button quiet compact", onclick: () => addPictures(concept, show) },
        icon("plus"),
        "Add",
      ),
    ),
    list.element,
    items.length > 0
      ? element("ul", { class: "training-pictures" }, items)
      : element("p", { class: "muted small" }, "None. Add some to train this concept here."),
  );
}

/**
 * @param {Concept} concept
 * @param {(warnings: { message: string }[]) => Promise<void>} onChanged
 */
async function addPictures(concept, onChanged) {
  const controller = new AbortController();
  const dropzone = new Dropzone({ signal: controller.signal });
  const added = await openDialog({
    title: "Add training pictures",
    body: [element("p", { class: "muted" }, "The next training uses them."), dropzone.element],
    accept: "Add",
    onAccept: async () => {
      if (dropzone.files.length === 0) throw new Error("Choose at least one picture.");
      const form = new FormData();
      await appendFiles(form, dropzone.files);
      return (await request("POST", `${apiPath("concepts", concept.id)}/images`, { form })).json();
    },
  });
  controller.abort();
  if (!added) return;
  await onChanged(added.warnings);
  announce("Pictures added.");
}

/**
 * @param {Concept} concept
 * @param {ConceptImage} image
 * @param {(warnings: { message: string }[]) => Promise<void>} onChanged
 */
async function editPicture(concept, image, onChanged) {
  const path = `${apiPath("concepts", concept.id)}/images/${encodeURIComponent(image.id)}`;
  const caption = element("textarea", { class: "input", name: "caption", rows: 2, value: image.caption ?? "" });
  const remove = element("input", { type: "checkbox", name: "remove" });
  const changed = await openDialog({
    title: image.filename,
    body: [
      pictureFrame(image, image.filename),
      field("Caption", caption, "Used in place of the templates. {} or the name stands for the concept."),
      element("label", { class: "check" }, remove, " Remove this picture"),
    ],
    accept: "Save",
    onAccept: async (form) => {
      const json = { caption: formValues(form).caption ?? null };
      if (!remove.checked) return (await request("PATCH", path, { json })).json();
      await request("DELETE", path);
      return { warnings: [] };
    },
  });
  if (!changed) return;
  await onChanged(changed.warnings);
  toast("Saved. The next training uses it.");
}
