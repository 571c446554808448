// A gallery of the newest pictures that were generated with a concept.
import { apiPath, get } from "./api.js";
import { element } from "./dom.js";
import { pictureFrame } from "./picture.js";
import { linkTo } from "./router.js";

const MAX_JOBS = 3;
const MAX_PICTURES = 6;

/**
 * The gallery, or null while there are no pictures.
 *
 * @param {Concept} concept
 * @param {AbortSignal} signal
 * @returns {Promise<?HTMLElement>}
 */
export async function conceptGallery(concept, signal) {
  const { items } = await get("/v1/jobs", {
    concept: concept.id,
    kind: "generate",
    status: "succeeded",
    limit: MAX_JOBS,
    signal,
  });
  const jobs = await Promise.all(
    items.filter((job) => job.output.images.length > 0).map((job) => get(apiPath("jobs", job.id), { signal })),
  );
  const images = jobs.flatMap((job) => job.output.images).slice(0, MAX_PICTURES);
  if (images.length === 0) return null;
  return element(
    "section",
    { class: "concept-gallery", "aria-label": "Generated with this concept" },
    element("h2", {}, "Generated with this concept"),
    element(
      "ul",
      { class: "picture-grid" },
      images.map((image) =>
        element(
          "li",
          {},
          element(
            "a",
            { href: linkTo("create", { prompt: image.prompt }), title: image.prompt },
            pictureFrame(image, image.prompt),
          ),
        ),
      ),
    ),
  );
}
