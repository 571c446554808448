// The models of the service, fetched once.
import { get } from "./api.js";
import { element } from "./dom.js";

let pending = null;

/**
 * All models; a failed request is repeated by the next call.
 *
 * @returns {Promise<Model[]>}
 */
export function models() {
  pending ??= get("/v1/models").then(
    (page) => page.items,
    (error) => {
      pending = null;
      throw error;
    },
  );
  return pending;
}

/**
 * The model of a name, or the default model without a name.
 *
 * @param {?string} name
 * @returns {Promise<Model>}
 */
export async function modelNamed(name) {
  const available = await models();
  return available.find((model) => (name ? model.name === name : model.default)) ?? available[0];
}

/** A line about the bundled model, where it is the default; null elsewhere. */
export async function demonstrationNote() {
  const { name } = await modelNamed(null);
  if (name !== "tiny") return null;
  return element(
    "p",
    { class: "muted small" },
    "tiny is a demonstration of 64 × 64 px that knows some hundred simple words, such as owl, mug, snow or beach. ",
    "For a real model, name one in the catalogue (DTI_MODELS) and start a worker for it.",
  );
}
