// Announcements: a live region for screen readers, toasts for the screen.
import { element } from "./dom.js";

const TOAST_MS = 4200;

/** Announce a text through the live region. */
export function announce(text) {
  document.querySelector("#announcer").textContent = text;
}

/** Show a text for a few seconds and announce it. */
export function toast(text) {
  const message = element("p", { class: "toast" }, text);
  document.querySelector(".toasts").append(message);
  setTimeout(() => message.remove(), TOAST_MS);
  announce(text);
}
