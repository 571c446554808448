// The newest pictures that were generated with a concept.
import { get } from "./api.js";
import { element } from "./dom.js";
import { galleryImageReloader, pictureFrame } from "./picture.js";
import { linkTo } from "./router.js";

const MAX_PICTURES = 6;

/**
 * The newest pictures and a link to all of them, or null while there are none.
 *
 * @param {Concept} concept
 * @param {AbortSignal} signal
 * @returns {Promise<?HTMLElement>}
 */
export async function conceptGallery(concept, signal) {
  const { items } = await get("/v1/images", { concept: concept.id, limit: MAX_PICTURES, signal });
  if (items.length === 0) return null;
  const filters = { concept: concept.name };
  return element(
    "section",
    { class: "concept-gallery", "aria-label": "Generated with this concept" },
    element(
      "div",
      { class: "section-heading" },
      element("h2", {}, "Generated with this concept"),
      element("a", { href: linkTo("images", filters) }, "All pictures"),
    ),
    element(
      "ul",
      { class: "picture-grid" },
      items.map((image) =>
        element(
          "li",
          {},
          element(
            "a",
            { href: linkTo(`images/${image.id}`, filters), title: image.prompt ?? "" },
            pictureFrame(image, image.prompt ?? "", galleryImageReloader),
          ),
        ),
      ),
    ),
  );
}
