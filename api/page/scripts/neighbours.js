// The vocabulary tokens whose directions are nearest to a concept's.
import { apiPath, get } from "./api.js";
import { element } from "./dom.js";

/**
 * The nearest tokens of a concept's first encoder and vector, nearest first: [{ token, cosine }].
 *
 * Empty when the request fails: no view depends on them.
 *
 * @param {Concept} concept
 * @param {number} count
 * @returns {Promise<Neighbours["encoders"][string][number]>}
 */
export async function nearestTokens(concept, count) {
  try {
    const response = await get(`${apiPath("concepts", concept.id)}/neighbours`, { k: count });
    return Object.values(response.encoders)[0][0];
  } catch {
    return [];
  }
}

/**
 * A list of tokens with their cosine similarity as bars.
 *
 * @param {Neighbours["encoders"][string][number]} tokens
 */
export function neighbourList(tokens) {
  return element(
    "ol",
    { class: "neighbour-list" },
    tokens.map(({ token, cosine }) =>
      element(
        "li",
        { style: { "--cosine": Math.max(0, cosine) } },
        element("span", { class: "word" }, token),
        element("i", { "aria-hidden": "true" }),
        element("span", { class: "tabular muted small" }, cosine.toFixed(2)),
      ),
    ),
  );
}
