// Browser notifications of trainings that end while the page is in the background.
import { element } from "./dom.js";

/** A button that asks for the permission; null where it was given or denied already. */
export function notifyButton() {
  if (!("Notification" in globalThis) || Notification.permission !== "default") return null;
  const button = element("button", { type: "button", class: "button quiet compact" }, "Notify me");
  button.addEventListener("click", async () => {
    await Notification.requestPermission();
    button.remove();
  });
  return button;
}

/** Notify, if that is allowed and the page is not looked at. */
export function notify(text) {
  if (!document.hidden || !("Notification" in globalThis) || Notification.permission !== "granted") return;
  const notification = new Notification(text, { icon: "/page/icon.svg" });
  notification.addEventListener("click", () => {
    window.focus();
    notification.close();
  });
}
