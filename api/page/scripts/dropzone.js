// A dropzone: pictures, and files beside them, are dropped, pasted or chosen; each is shown with a button that removes it.
import { announce } from "./announce.js";
import { chosenFile } from "./chosen-files.js";
import { element, setChildren, uniqueId } from "./dom.js";
import { droppedFiles } from "./dropped-files.js";
import { formatBytes, pluralize } from "./format.js";
import { icon } from "./icons.js";

/** `onChange()` is called after files were added or removed, `onAdd()` after files were added. */
export class Dropzone {
  /** @type {import("./chosen-files.js").ChosenFile[]} */
  #files = [];
  #objectUrls = [];

  constructor({ onChange = () => {}, onAdd = () => {}, signal }) {
    this.onChange = onChange;
    this.onAdd = onAdd;
    this.input = element("input", {
      type: "file",
      multiple: true,
      class: "visually-hidden",
      tabIndex: -1,
      "aria-hidden": "true",
      onchange: () => this.add(this.input.files),
    });
    const hint = element(
      "p",
      { class: "hint", id: uniqueId("drop") },
      "Drop, paste or choose three to six pictures of the same subject, a folder of them, or a zip archive. " +
        "Captions (1.txt) and masks (1.mask.png) beside them are used.",
    );
    this.button = element(
      "button",
      { type: "button", class: "button plain", "aria-describedby": hint.id, onclick: () => this.input.click() },
      icon("pictures"),
      "Choose pictures",
    );
    this.error = element("p", { class: "field-error", role: "alert" });
    this.list = element("ul", { class: "chosen", "aria-label": "Chosen pictures" });
    this.element = element(
      "div",
      { class: "dropzone" },
      this.list,
      element("div", { class: "chooser" }, this.button, this.input, hint),
      this.error,
    );
    this.#listen(signal);
  }

  get files() {
    return [...this.#files];
  }

  /** Add files. */
  add(files) {
    if (files.length === 0) return;
    this.#files.push(...[...files].map(chosenFile));
    this.input.value = "";
    this.#show();
    announce(`${pluralize(files.length, "file")} added.`);
    this.onAdd();
  }

  /** Show files that were chosen before, without moving the focus. */
  restore(files) {
    if (files.length === 0 || this.#files.length > 0) return;
    this.#files.push(...files.map(chosenFile));
    this.#show();
  }

  /** Show an error, and mark the file that its message names. */
  showError(message) {
    this.error.textContent = message;
    const index = this.#files.findIndex(({ file }) => message.includes(file.name));
    const tile = this.list.children[index];
    tile?.classList.add("rejected");
    (tile?.querySelector("button") ?? this.button).focus();
  }

  #listen(signal) {
    const zone = this.element;
    const onDrag = (event) => {
      event.preventDefault();
      zone.classList.toggle("over", event.type === "dragover");
    };
    for (const name of ["dragover", "dragleave", "drop"]) zone.addEventListener(name, onDrag);
    zone.addEventListener("drop", async (event) => this.#addDropped(await droppedFiles(event.dataTransfer)));
    document.addEventListener(
      "paste",
      (event) => event.clipboardData.files.length > 0 && this.add(event.clipboardData.files),
      { signal },
    );
    // Without this a file dropped beside the zone would replace the page.
    for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault(), { signal });
    signal.addEventListener("abort", () => this.#revokeUrls());
  }

  #addDropped(files) {
    if (files.length > 0) this.add(files);
    else this.error.textContent = "No file was found in what was dropped.";
  }

  #remove(index) {
    this.#files.splice(index, 1);
    this.#show();
    const next = this.list.children[Math.min(index, this.#files.length - 1)];
    (next?.querySelector("button") ?? this.button).focus();
  }

  #show() {
    this.#revokeUrls();
    this.error.textContent = "";
    this.element.classList.toggle("filled", this.#files.length > 0);
    setChildren(
      this.list,
      this.#files.map((chosen, index) => this.#tile(chosen, index)),
    );
    this.onChange();
  }

  #tile({ file, path }, index) {
    const objectUrl = URL.createObjectURL(file);
    this.#objectUrls.push(objectUrl);
    const preview = element("img", { src: objectUrl, alt: file.name });
    // The service reads formats that some browsers cannot show.
    preview.addEventListener("error", () =>
      preview.replaceWith(element("span", { class: "missing" }, file.name, element("br"), formatBytes(file.size))),
    );
    const remove = element(
      "button",
      {
        type: "button",
        class: "remove",
        "aria-label": `Remove ${file.name}`,
        title: "Remove",
        onclick: () => this.#remove(index),
      },
      icon("close"),
    );
    return element("li", { class: "frame", title: path }, preview, remove);
  }

  #revokeUrls() {
    for (const objectUrl of this.#objectUrls.splice(0)) URL.revokeObjectURL(objectUrl);
  }
}
