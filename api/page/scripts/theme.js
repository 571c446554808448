// Light or dark theme: the system's until one is chosen; the choice is stored in this browser.
import { element } from "./dom.js";
import { icon } from "./icons.js";

const system = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

function choose(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
}

/** The button that switches the theme. */
export function themeButton() {
  const button = element("button", { type: "button", class: "button quiet icon" });
  const show = () => {
    const next = isDark() ? "light" : "dark";
    button.replaceChildren(icon(next === "dark" ? "moon" : "sun"));
    button.title = `Use the ${next} theme`;
    button.ariaLabel = button.title;
  };
  button.addEventListener("click", () => {
    choose(isDark() ? "light" : "dark");
    show();
  });
  system.addEventListener("change", show);
  show();
  return button;
}
