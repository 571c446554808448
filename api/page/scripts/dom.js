// Creates DOM elements. Text is inserted as text nodes only, so no API response can become markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Create an element with properties and children.
 *
 * `on…` adds a listener, `style` sets custom properties, a name with a dash and `role` set attributes, null is skipped.
 *
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...any} children
 * @returns {any}
 */
export function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) setProperty(created, name, value);
  append(created, children);
  return created;
}

/**
 * Create an SVG element with attributes and children.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function svgElement(tag, attributes = {}, ...children) {
  const created = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, value);
  created.append(...children);
  return created;
}

/**
 * Replace the children of an element; null and false are skipped.
 *
 * @template {Element} Parent
 * @param {Parent} parent
 * @param {...any} children
 * @returns {Parent}
 */
export function setChildren(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
  return parent;
}

let lastId = 0;

/** An id that is unique on the page. */
export function uniqueId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

function append(parent, children) {
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) parent.append(child);
  }
}

function setProperty(target, name, value) {
  if (value === null || value === undefined) return;
  if (name.startsWith("on")) target.addEventListener(name.slice(2), value);
  else if (name === "class") target.className = value;
  else if (name === "style") for (const [key, part] of Object.entries(value)) target.style.setProperty(key, part);
  else if (name === "for") target.htmlFor = value;
  else if (name === "role" || name === "list" || name.includes("-")) target.setAttribute(name, value);
  else target[name] = value;
}
