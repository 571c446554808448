// A menu button (ARIA menu pattern): arrow keys onKeydown, Escape and a click elsewhere close.
import { element, uniqueId } from "./dom.js";

/** `items` are { label, hint, onSelect, danger }; `quiet` shows the icon alone. */
export function menuButton(label, content, items, { quiet = false } = {}) {
  const menu = element("div", { role: "menu", id: uniqueId("menu"), "aria-label": label, hidden: true });
  const button = element(
    "button",
    {
      type: "button",
      class: `button ${quiet ? "quiet icon" : "plain"}`,
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      "aria-controls": menu.id,
      "aria-label": quiet ? label : null,
      title: quiet ? label : null,
    },
    content,
  );
  const root = element("div", { class: "menu" }, button, menu);
  const entries = items.map(({ label: text, hint, onSelect, danger }) =>
    element(
      "button",
      {
        type: "button",
        role: "menuitem",
        tabIndex: -1,
        class: danger ? "danger" : "",
        onclick: () => select(onSelect),
      },
      text,
      hint && element("small", {}, hint),
    ),
  );
  menu.append(...entries);

  function open(index) {
    menu.hidden = false;
    button.setAttribute("aria-expanded", "true");
    entries.at(index).focus();
  }
  function close() {
    menu.hidden = true;
    button.setAttribute("aria-expanded", "false");
    button.focus();
  }
  function select(onSelect) {
    close();
    onSelect();
  }
  function onKeydown(event) {
    const index = entries.indexOf(document.activeElement);
    const next = { ArrowDown: (index + 1) % entries.length, ArrowUp: index - 1, Home: 0, End: -1 }[event.key];
    if (next !== undefined) entries.at(next).focus();
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  }

  button.addEventListener("click", () => (menu.hidden ? open(0) : close()));
  button.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    open(event.key === "ArrowDown" ? 0 : -1);
  });
  menu.addEventListener("keydown", onKeydown);
  root.addEventListener("focusout", (event) => {
    if (!root.contains(event.relatedTarget) && !menu.hidden) {
      menu.hidden = true;
      button.setAttribute("aria-expanded", "false");
    }
  });
  return root;
}
