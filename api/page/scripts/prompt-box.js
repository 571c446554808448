// The prompt field: `<` opens suggestions of concepts (ARIA combobox), and triggers are highlighted.
import { announce } from "./announce.js";
import { onConceptsChange, readyConcepts, searchReady } from "./concept-store.js";
import { element, setChildren, uniqueId } from "./dom.js";
import { promptHistory } from "./drafts.js";
import { pluralize } from "./format.js";
import { highlightPrompt, hueAttributes, trigger } from "./prompts.js";

/** The incomplete trigger before the caret. */
const OPEN_TRIGGER = /<(?<prefix>[a-z0-9-]{0,63})$/iu;
const MAX_SUGGESTIONS = 6;

/** How well a name fits some letters: it is them, begins with them, or contains them. */
function rank(name, letters) {
  if (name === letters) return 2;
  return name.startsWith(letters) ? 1 : 0;
}

export class PromptBox {
  #suggestions = [];
  #active = 0;
  /** @type {Concept[]} */
  #concepts = [];
  #complete = true;
  /** The position in the history of prompts, from 1 for the newest; 0 for the text of one's own. */
  #recalled = 0;

  constructor({ name, label, placeholder, submit, signal }) {
    this.list = element("ul", {
      role: "listbox",
      id: uniqueId("concepts"),
      class: "suggestions",
      "aria-label": "Concepts",
      hidden: true,
    });
    this.input = element("textarea", {
      class: "input",
      name,
      placeholder,
      rows: 1,
      maxLength: 1000,
      spellcheck: false,
      role: "combobox",
      "aria-label": label,
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": this.list.id,
    });
    this.input.id = uniqueId("prompt");
    this.highlight = element("div", { class: "highlight", "aria-hidden": "true" });
    this.error = element("p", { class: "field-error", id: `${this.input.id}-error` });
    this.input.setAttribute("aria-describedby", this.error.id);
    this.element = element(
      "div",
      { class: "prompt-box" },
      element("div", { class: "layers" }, this.highlight, this.input),
      this.list,
      this.error,
    );
    this.submit = submit;
    this.input.addEventListener("input", () => this.#onInput());
    this.input.addEventListener("keydown", (event) => this.#onKeydown(event));
    this.input.addEventListener("blur", () => this.#close());
    this.input.addEventListener("scroll", () => (this.highlight.scrollTop = this.input.scrollTop));
    this.#load(signal);
  }

  get value() {
    return this.input.value;
  }

  set value(text) {
    this.input.value = text;
    this.#updateHighlight();
  }

  /** Focus the field with the caret at the end. */
  focus() {
    this.input.focus();
    this.input.setSelectionRange(this.value.length, this.value.length);
  }

  /** Insert a concept's trigger at the caret. */
  insert(name) {
    const { selectionStart: from, selectionEnd: to } = this.input;
    const space = from > 0 && !/\s$/u.test(this.value.slice(0, from)) ? " " : "";
    this.input.setRangeText(`${space}<${name}>`, from, to, "end");
    this.input.focus();
    this.#onInput();
  }

  async #load(signal) {
    const load = async () => {
      const { items, next } = await readyConcepts().catch(() => ({ items: [], next: null }));
      this.#concepts = items;
      this.#complete = next === null;
    };
    onConceptsChange(load, signal);
    await load();
  }

  #onInput() {
    this.#recalled = 0;
    this.#updateHighlight();
    const letters = this.#openLetters();
    this.#suggest(letters === null ? [] : this.#concepts, letters);
    // The newest concepts are known; older ones are asked for.
    if (letters && !this.#complete) this.#searchOlder(letters);
  }

  /** The letters of an incomplete trigger before the caret; null if there is none. */
  #openLetters() {
    const open = OPEN_TRIGGER.exec(this.value.slice(0, this.input.selectionStart));
    return open ? open.groups.prefix.toLowerCase() : null;
  }

  async #searchOlder(letters) {
    const found = await searchReady(letters).catch(() => []);
    if (this.#openLetters() === letters) this.#suggest(found, letters);
  }

  /** Suggest the concepts whose names contain some letters, those that begin with them first. */
  #suggest(concepts, letters) {
    this.#suggestions = concepts
      .filter((concept) => concept.name.includes(letters))
      .toSorted((one, other) => rank(other.name, letters) - rank(one.name, letters))
      .slice(0, MAX_SUGGESTIONS);
    this.#active = 0;
    if (this.#suggestions.length > 0) this.#open();
    else this.#close();
  }

  #updateHighlight() {
    // A trailing line break has no height in the highlight layer unless a character follows it.
    setChildren(this.highlight, ...highlightPrompt(this.value), "\u200B");
    this.input.removeAttribute("aria-invalid");
    this.error.textContent = "";
  }

  #open() {
    const wasHidden = this.list.hidden;
    setChildren(
      this.list,
      this.#suggestions.map((concept, index) => this.#option(concept, index)),
    );
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.#markActive();
    const count = pluralize(this.#suggestions.length, "concept");
    if (wasHidden) announce(`${count}. Arrow keys to choose, Enter to insert.`);
  }

  #option(concept, index) {
    const accept = (event) => {
      event.preventDefault();
      this.#accept(index);
    };
    return element(
      "li",
      { role: "option", id: `${this.list.id}-${index}`, onpointerdown: accept, ...hueAttributes(concept.name) },
      trigger(concept.name),
      element("span", { class: "muted small" }, concept.class_word),
    );
  }

  #markActive() {
    const options = [...this.list.children];
    for (const [index, option] of options.entries()) option.ariaSelected = String(index === this.#active);
    this.input.setAttribute("aria-activedescendant", `${this.list.id}-${this.#active}`);
    this.list.children[this.#active].scrollIntoView({ block: "nearest" });
  }

  #close() {
    this.list.hidden = true;
    this.#suggestions = [];
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  #accept(index) {
    const caret = this.input.selectionStart;
    const open = OPEN_TRIGGER.exec(this.value.slice(0, caret));
    const closing = this.value.slice(caret).startsWith(">") ? 1 : 0;
    this.input.setRangeText(`<${this.#suggestions[index].name}>`, caret - open[0].length, caret + closing, "end");
    this.#close();
    this.#updateHighlight();
  }

  #onKeydown(event) {
    if (event.isComposing) return;
    if (this.#suggestions.length > 0) this.#onListKeydown(event);
    else if (event.key === "ArrowUp" && this.#isRecalling()) this.#recall(event, 1);
    else if (event.key === "ArrowDown" && this.#recalled > 0) this.#recall(event, -1);
    // Enter submits; line breaks can still be pasted or entered with Shift.
    else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    }
  }

  /** Whether the arrow keys go through the prompts that were sent: the field is empty, or shows one of them. */
  #isRecalling() {
    return this.value === "" || (this.#recalled > 0 && this.value === promptHistory()[this.#recalled - 1]);
  }

  #recall(event, step) {
    const prompts = promptHistory();
    const position = Math.min(prompts.length, Math.max(0, this.#recalled + step));
    event.preventDefault();
    this.value = prompts[position - 1] ?? "";
    this.#recalled = position;
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #onListKeydown(event) {
    const count = this.#suggestions.length;
    const next = { ArrowDown: (this.#active + 1) % count, ArrowUp: (this.#active + count - 1) % count }[event.key];
    if (next !== undefined) {
      this.#active = next;
      this.#markActive();
    } else if (event.key === "Enter" || event.key === "Tab") this.#accept(this.#active);
    else if (event.key === "Escape") this.#close();
    else return;
    event.preventDefault();
  }
}
