// The button that cancels a job.
import { announce } from "./announce.js";
import { apiPath, post } from "./api.js";
import { element } from "./dom.js";
import { icon } from "./icons.js";
import { refreshQueue } from "./queue.js";

/** A button that cancels a job; an error is shown in `alert`. `label` names the button for screen readers. */
export function cancelButton(jobId, alert, label = null) {
  const attributes = { type: "button", class: "button plain compact", "aria-label": label };
  const button = element("button", attributes, icon("cancel"), "Cancel");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await post(`${apiPath("jobs", jobId)}/cancel`);
      announce("Cancelling.");
      refreshQueue();
    } catch (error) {
      alert.textContent = error.message;
    }
  });
  return button;
}
