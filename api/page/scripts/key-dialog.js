// The API key dialog; all requests that need a key wait for the same dialog.
import { openDialog } from "./dialogs.js";
import { element } from "./dom.js";
import { field } from "./fields.js";
import { clearKey, currentKey, storeKey } from "./keys.js";

let pending = null;

/**
 * Resolve when a key other than the rejected one has been entered; throw when the dialog is cancelled.
 */
export async function requestKey(rejected, reason) {
  if (currentKey() !== rejected) return;
  pending ??= openKeyDialog(rejected ? reason : null).finally(() => (pending = null));
  if (!(await pending)) throw new Error("This needs an API key. Enter one with the key button at the top.");
}

function removeKey(event) {
  clearKey();
  event.target.closest("dialog").close();
  location.reload();
}

/** Open the dialog; `reason` is the error of the rejected key. */
export function openKeyDialog(reason = null) {
  const key = element("input", {
    class: "input",
    type: "password",
    name: "key",
    autocomplete: "off",
    spellcheck: false,
    required: true,
    placeholder: "dti_…",
  });
  const remember = element("input", { type: "checkbox", name: "remember" });
  const removeButton = element(
    "button",
    { type: "button", class: "button plain compact", onclick: removeKey },
    "Remove the key",
  );
  return openDialog({
    title: "Enter an API key",
    body: [
      element("p", { class: "muted" }, "API keys are issued by the operator of the server and begin with dti_."),
      reason && element("p", { class: "alert" }, reason),
      field("Key", key),
      element("label", { class: "check" }, remember, "Remember in this browser"),
      currentKey() && element("div", {}, removeButton),
    ],
    accept: "Use this key",
    onAccept: () => {
      if (!key.value.trim()) throw new Error("Enter a key.");
      storeKey(key.value.trim(), { remember: remember.checked });
      return true;
    },
  });
}
