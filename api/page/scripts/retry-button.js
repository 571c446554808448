// The button that runs a failed job again.
import { announce } from "./announce.js";
import { apiPath, post } from "./api.js";
import { element } from "./dom.js";
import { icon } from "./icons.js";
import { refreshQueue } from "./queue.js";

/**
 * A button that runs a failed job again; `onRetry()` is called when the job is queued, an error is shown in `alert`.
 *
 * @param {string} jobId
 * @param {HTMLElement} alert
 * @param {{ label?: string, onRetry?: () => any }} [options] `label` names the button for screen readers.
 */
export function retryButton(jobId, alert, { label = null, onRetry = () => {} } = {}) {
  const attributes = { type: "button", class: "button plain compact", "aria-label": label };
  const button = element("button", attributes, icon("reuse"), "Run again");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await post(`${apiPath("jobs", jobId)}/retry`);
      announce("The job is queued again.");
      refreshQueue();
      onRetry();
    } catch (error) {
      alert.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
  return button;
}
