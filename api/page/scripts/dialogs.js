// Modal dialogs on <dialog>, which traps the focus, restores it, and closes on Escape.
import { element, uniqueId } from "./dom.js";

/**
 * Open a dialog; resolves with the result of `onAccept(form)`, or with null when it is cancelled.
 *
 * An error of `onAccept` is shown and the dialog stays open.
 *
 * @param {{
 *   title: string,
 *   body?: any[],
 *   accept: string,
 *   danger?: boolean,
 *   onAccept?: (form: HTMLFormElement) => any,
 * }} options
 * @returns {Promise<any>}
 */
export function openDialog({ title, body = [], accept, danger = false, onAccept = () => true }) {
  const heading = element("h2", { id: uniqueId("dialog") }, title);
  const alert = element("p", { class: "alert", role: "alert" });
  const submit = element("button", { class: `button ${danger ? "danger" : "primary"}` }, accept);
  const cancel = element("button", { type: "button", class: "button quiet", onclick: () => dialog.close() }, "Cancel");
  const form = element(
    "form",
    { method: "dialog", noValidate: true },
    heading,
    body,
    alert,
    element("div", { class: "actions" }, cancel, submit),
  );
  const dialog = element("dialog", { "aria-labelledby": heading.id }, form);
  return new Promise((resolve) => {
    let result = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      alert.textContent = "";
      submit.ariaBusy = "true";
      try {
        result = await onAccept(form);
        dialog.close();
      } catch (error) {
        alert.textContent = error.message;
      } finally {
        submit.ariaBusy = null;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
