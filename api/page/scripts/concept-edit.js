// The dialog that changes a concept's name, class word and tags.
import { toast } from "./announce.js";
import { apiPath, request } from "./api.js";
import { invalidateConcept, refreshConcepts } from "./concept-store.js";
import { openDialog } from "./dialogs.js";
import { element } from "./dom.js";
import { field, formValues } from "./fields.js";
import { toConceptName } from "./prompts.js";
import { navigate } from "./router.js";

/**
 * Change a concept.
 *
 * @param {Concept} concept
 * @param {Record<string, any>} changes
 * @returns {Promise<Concept>}
 */
export async function changeConcept(concept, changes) {
  const response = await request("PATCH", apiPath("concepts", concept.id), { json: changes });
  invalidateConcept(concept.id);
  invalidateConcept(concept.name);
  refreshConcepts();
  return response.json();
}

function input(name, value) {
  return element("input", { class: "input", name, value, autocomplete: "off" });
}

/**
 * Open the dialog; `onChanged()` shows the concept again.
 *
 * @param {Concept} concept
 * @param {() => void} onChanged
 */
export async function editConcept(concept, onChanged) {
  const changed = await openDialog({
    title: "Edit concept",
    body: [
      field("Name", input("name", concept.name), "Prompts use the new name from now on."),
      field("Class word", input("class_word", concept.class_word), "Used by the next training."),
      field("Tags", input("tags", concept.tags.join(", ")), "Separated by commas: lowercase letters, digits, hyphens."),
    ],
    accept: "Save",
    onAccept: (form) => {
      const values = formValues(form);
      return changeConcept(concept, {
        name: toConceptName(values.name ?? ""),
        class_word: values.class_word ?? "",
        tags: (values.tags ?? "")
          .split(",")
          .map((tag) => toConceptName(tag))
          .filter(Boolean),
      });
    },
  });
  if (!changed) return;
  toast("Saved.");
  if (changed.name === concept.name) onChanged();
  else navigate(`concepts/${changed.name}`);
}
