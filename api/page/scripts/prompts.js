// Prompts and triggers: `<name>` refers to a concept.
import { bracketed } from "./brackets.js";
import { element } from "./dom.js";

export const CONCEPT_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/u;

/** A concept's hue in degrees, from an FNV-1a hash of its name. */
export function conceptHue(name) {
  /* oxlint-disable no-bitwise -- the hash is made of bits */
  let hash = 2_166_136_261;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 16_777_619);
  return (hash >>> 0) % 360;
  /* oxlint-enable no-bitwise */
}

/** The attributes that give an element a concept's colour. */
export function hueAttributes(name) {
  return { "data-hue": "", style: { "--hue": conceptHue(name) } };
}

/** A concept's trigger, as written in prompts. */
export function trigger(name, text = `<${name}>`) {
  return element("span", { class: "trigger", ...hueAttributes(name) }, text);
}

/** A prompt as strings and trigger elements. */
export function highlightPrompt(prompt) {
  const pieces = [];
  let end = 0;
  for (const found of bracketed(prompt)) {
    if (!CONCEPT_NAME.test(found.name)) continue;
    pieces.push(prompt.slice(end, found.start), trigger(found.name, prompt.slice(found.start, found.end)));
    ({ end } = found);
  }
  return [...pieces, prompt.slice(end)].filter((piece) => piece !== "");
}

/** A text converted to a valid concept name. */
export function toConceptName(text) {
  return text
    .toLowerCase()
    .trim()
    .replaceAll(/[^a-z0-9]+/gu, "-")
    .replace(/^-+/u, "")
    .slice(0, 63)
    .replace(/-+$/u, "");
}
