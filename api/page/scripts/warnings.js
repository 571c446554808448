// The warnings of a request: its parts without effect, such as files that are not used.
import { element, setChildren } from "./dom.js";

/** A list of warnings, hidden while there are none. */
export class WarningList {
  constructor() {
    this.element = element("ul", { class: "warnings small", "aria-label": "Warnings", hidden: true });
  }

  /** @param {{ message: string }[]} [warnings] */
  show(warnings = []) {
    this.element.hidden = warnings.length === 0;
    if (this.element.children.length === warnings.length) return;
    setChildren(
      this.element,
      warnings.map(({ message }) => element("li", {}, message)),
    );
  }
}
