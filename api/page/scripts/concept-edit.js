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

/**
 * Render a cover for a concept without training pictures; one that cannot be rendered now stays without.
 *
 * @param {Concept} concept
 */
export async function renderCover(concept) {
  try {
    const prompt = `a photo of <${concept.name}>`;
    const response = await request("POST", "/v1/generations", {
      json: { prompt, num_images: 1, seed: 1 },
      headers: { Prefer: "wait=60" },
    });
    const [image] = (await response.json()).output.images;
    if (image) await changeConcept(concept, { cover: image.id });
  } catch {
    // A cover is decoration: its absence is no error of the import.
  }
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
