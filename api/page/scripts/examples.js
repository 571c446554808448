// Example pictures that are part of the page.
import { element } from "./dom.js";
import { linkTo } from "./router.js";

export const EXAMPLES = [
  { name: "purple-owl", classWord: "owl", pictures: 5 },
  { name: "pink-mushroom", classWord: "mushroom", pictures: 5 },
];

/** A link to the new-concept form, filled with an example's pictures. */
export function exampleLink(example) {
  return element(
    "a",
    { class: "example", href: linkTo("concepts/new", { example: example.name }) },
    element("img", { src: exampleUrl(example, 1), alt: "", width: 40, height: 40 }),
    example.name.replace("-", " "),
  );
}

/** The example of a name, or undefined. */
export function exampleNamed(name) {
  return EXAMPLES.find((example) => example.name === name);
}

/** An example's pictures as File objects. */
export function exampleFiles(example) {
  const numbers = Array.from({ length: example.pictures }, (_, index) => index + 1);
  return Promise.all(
    numbers.map(async (number) => {
      const response = await fetch(exampleUrl(example, number));
      return new File([await response.blob()], `${example.name}-${number}.webp`, { type: "image/webp" });
    }),
  );
}

function exampleUrl(example, number) {
  return `/page/examples/${example.name}/${number}.webp`;
}
