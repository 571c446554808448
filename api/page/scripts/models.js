// The models of the service, fetched once.
import { get } from "./api.js";

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
