// The import dialog: creates a concept from an embedding file of this or another tool.
import { toast } from "./announce.js";
import { request } from "./api.js";
import { renderCover } from "./concept-edit.js";
import { refreshConcepts } from "./concept-store.js";
import { openDialog } from "./dialogs.js";
import { element } from "./dom.js";
import { field, formValues, selectField } from "./fields.js";
import { models } from "./models.js";
import { toConceptName } from "./prompts.js";
import { navigate } from "./router.js";

export async function importEmbedding() {
  const available = await models();
  const file = element("input", { class: "input", type: "file", accept: ".safetensors,.pt,.bin,.zip" });
  const name = element("input", {
    class: "input",
    name: "name",
    autocapitalize: "none",
    spellcheck: false,
    maxLength: 63,
  });
  const classWord = element("input", {
    class: "input",
    name: "class_word",
    autocapitalize: "none",
    maxLength: 100,
    placeholder: "dog",
  });
  const normalize = element("input", { type: "checkbox", name: "normalize" });
  file.addEventListener("change", () => (name.value ||= toConceptName(file.files[0].name.replace(/\.\w+$/u, ""))));
  const imported = await openDialog({
    title: "Import an embedding",
    body: [
      element("p", { class: "muted" }, "DTI, diffusers, A1111, ComfyUI, kohya or Replicate; the format is detected."),
      field("File", file),
      field("Name", name),
      field("Class word", classWord),
      selectField(
        "Model",
        "model",
        available.map((model) => [model.name, model.name]),
      ),
      element("label", { class: "check" }, normalize, "Normalize: rescale the vectors to the vocabulary's mean norm"),
    ],
    accept: "Import",
    onAccept: async (form) => {
      if (file.files.length === 0) throw new Error("Choose a file.");
      const body = new FormData();
      const fields = { ...formValues(form), name: toConceptName(name.value), normalize: normalize.checked };
      for (const [key, value] of Object.entries(fields)) body.set(key, value);
      body.set("file", file.files[0], file.files[0].name);
      return (await request("POST", "/v1/concepts/import", { form: body })).json();
    },
  });
  if (!imported) return;
  refreshConcepts();
  renderCover(imported);
  toast(`${imported.name} was imported.`);
  navigate(`concepts/${imported.name}`);
}
