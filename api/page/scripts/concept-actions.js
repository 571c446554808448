// The actions on a concept: export, retrain, delete.
import { toast } from "./announce.js";
import { apiPath, post, request } from "./api.js";
import { editConcept } from "./concept-edit.js";
import { invalidateConcept, refreshConcepts } from "./concept-store.js";
import { openDialog } from "./dialogs.js";
import { element } from "./dom.js";
import { downloadFromApi } from "./downloads.js";
import { formValues, segmentedControl } from "./fields.js";
import { icon } from "./icons.js";
import { menuButton } from "./menus.js";
import { trigger } from "./prompts.js";
import { refreshQueue } from "./queue.js";
import { navigate } from "./router.js";
import { trainingFields, trainingSettings } from "./training-settings.js";

const FORMATS = [
  ["dti", "DTI", "Directions and magnitudes, safetensors"],
  ["diffusers", "diffusers", "For load_textual_inversion"],
  ["a1111", "A1111", "For the embeddings folder"],
  ["comfyui", "ComfyUI", "For models/embeddings"],
  ["replicate", "Replicate", "For its SDXL trainers"],
];

/**
 * The menu of export formats.
 *
 * @param {Concept} concept
 * @param {HTMLElement} alert
 */
export function exportMenu(concept, alert) {
  const items = FORMATS.map(([format, label, hint]) => ({
    label,
    hint,
    onSelect: () =>
      downloadFromApi(
        `${apiPath("concepts", concept.id)}/embedding?format=${format}`,
        `${concept.name}.safetensors`,
      ).catch((error) => (alert.textContent = error.message)),
  }));
  return menuButton("Export", [icon("download"), "Export"], items);
}

/**
 * The menu of rare actions; `onTrained()` is called after a training was queued.
 *
 * @param {Concept} concept
 * @param {() => void} onTrained
 */
export function moreMenu(concept, onTrained) {
  return menuButton(
    "More",
    icon("more"),
    [
      { label: "Edit …", hint: "Name, class word, tags", onSelect: () => editConcept(concept, onTrained) },
      { label: "Train again …", hint: "With the same pictures", onSelect: () => retrain(concept, onTrained) },
      {
        label: "Delete …",
        hint: "With its pictures and generations",
        danger: true,
        onSelect: () => deleteConcept(concept),
      },
    ],
    { quiet: true },
  );
}

/**
 * @param {Concept} concept
 * @param {() => void} onTrained
 */
async function retrain(concept, onTrained) {
  const startField = segmentedControl(
    "Start",
    "from",
    [
      ["class_word", "From scratch"],
      ["current", "Continue"],
    ],
    "class_word",
  );
  const queued = await openDialog({
    title: "Train again",
    body: [
      element(
        "p",
        { class: "muted" },
        trigger(concept.name),
        concept.ready ? " stays usable until the new training has succeeded." : " is trained on the same pictures.",
      ),
      concept.ready && startField,
      element(
        "details",
        { class: "disclosure" },
        element("summary", {}, "Advanced"),
        element("div", { class: "content" }, trainingFields(concept.training)),
      ),
    ],
    accept: "Start training",
    onAccept: (form) => {
      const { from = "class_word" } = formValues(form);
      return post(`${apiPath("concepts", concept.id)}/train`, { from, training: trainingSettings(form) });
    },
  });
  if (!queued) return;
  refreshQueue();
  invalidateConcept(concept.id);
  onTrained();
}

/** @param {Concept} concept */
async function deleteConcept(concept) {
  const deleted = await openDialog({
    title: `Delete ${concept.name}?`,
    body: [
      element(
        "p",
        { class: "muted" },
        "Deletes its training pictures, its embedding and every generated picture that used it. This cannot be undone.",
      ),
    ],
    accept: "Delete",
    danger: true,
    onAccept: async () => {
      await request("DELETE", apiPath("concepts", concept.id));
      return true;
    },
  });
  if (!deleted) return;
  refreshConcepts();
  refreshQueue();
  toast(`${concept.name} was deleted.`);
  navigate("");
}
