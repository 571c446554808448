// The create view: prompt, settings, and the generations, newest first.
import { apiPath, get, post } from "./api.js";
import { readyConcepts } from "./concept-store.js";
import { element, setChildren } from "./dom.js";
import { keepDraft, rememberPrompt } from "./drafts.js";
import { clearFieldErrors, formValues, segmentedControl, showApiError } from "./fields.js";
import { announceReuse, generation } from "./generation.js";
import { dropKept } from "./gallery-list.js";
import { icon } from "./icons.js";
import { demonstrationNote } from "./models.js";
import { pictureFields, restoreSettings } from "./picture-settings.js";
import { PromptBox } from "./prompt-box.js";
import { hueAttributes, trigger } from "./prompts.js";
import { refreshQueue } from "./queue.js";

const DRAFT = "create";
const RECENT = 12;
const PALETTE = 8;
const COUNTS = [
  ["1", "1"],
  ["2", "2"],
  ["4", "4"],
  ["8", "8"],
  ["16", "16"],
];

export async function createView({ main, query, signal }) {
  const promptBox = new PromptBox({
    name: "prompt",
    label: "Prompt",
    placeholder: "a photo of <my-dog> on the beach",
    submit: () => form.requestSubmit(),
    signal,
  });
  const alert = element("p", { class: "alert", role: "alert" });
  const submit = element("button", { class: "button primary" }, icon("create"), "Generate");
  const settings = element("div", {});
  const count = segmentedControl("Pictures", "num_images", COUNTS, "4");
  const palette = element("div", { class: "palette" });
  const form = element(
    "form",
    { class: "composer", noValidate: true },
    promptBox.element,
    palette,
    element("div", { class: "row" }, count, actions(submit)),
    settings,
    alert,
  );
  const results = element("div", { class: "results", "aria-label": "Results", role: "region" });
  setChildren(main, element("h1", { class: "visually-hidden" }, "Create"), form, results);

  const reuse = (job, seed) => {
    restoreSettings(form, job.input, seed);
    promptBox.value = job.input.prompt;
    settings.querySelector("details").open = true;
    scrollTo({ top: 0, behavior: "smooth" });
    promptBox.focus();
    form.dispatchEvent(new Event("change"));
    announceReuse();
  };
  const vary = (job) => send({ ...job.input, seed: null });
  const add = (job, method = "prepend") => {
    results.querySelector(".empty")?.remove();
    results[method](generation(job, { reuse, vary, signal }));
  };
  async function send(input) {
    alert.textContent = "";
    submit.ariaBusy = "true";
    try {
      add(await post("/v1/generations", withoutNulls(input)));
      rememberPrompt(input.prompt);
      refreshQueue();
      dropKept();
    } catch (error) {
      showApiError(form, error, alert);
    } finally {
      submit.ariaBusy = null;
    }
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearFieldErrors(form);
    const values = formValues(form);
    if (values.prompt) send({ ...values, num_images: Number(values.num_images) });
    else promptBox.focus();
  });

  promptBox.value = query.get("prompt") ?? "";
  promptBox.focus();
  setChildren(settings, await pictureFields(), await demonstrationNote());
  await fill(form, { promptBox, query, reuse, signal });
  await Promise.all([showPalette(palette, promptBox), showRecent(results, add, signal)]);
  return "Create";
}

function actions(submit) {
  return element("div", { class: "actions" }, element("a", { class: "button quiet", href: "#/grid" }, "Grid"), submit);
}

/** Fill the form from the address, or else from its draft; keep it as a draft from now on. */
async function fill(form, { promptBox, query, reuse, signal }) {
  const addressed = query.has("prompt") || query.has("job");
  keepDraft(DRAFT, form, signal, { restored: !addressed });
  promptBox.value = promptBox.input.value;
  if (!query.has("job")) return;
  const job = await get(apiPath("jobs", query.get("job")), { signal });
  reuse(job, query.get("seed") || job.input.seed);
}

/** One button for each ready concept, which inserts it into the prompt. */
async function showPalette(palette, promptBox) {
  const ready = (await readyConcepts()).items.slice(0, PALETTE);
  setChildren(
    palette,
    ready.map((concept) =>
      element(
        "button",
        {
          type: "button",
          class: "pick",
          ...hueAttributes(concept.name),
          "aria-label": `Insert ${concept.name}`,
          onclick: () => promptBox.insert(concept.name),
        },
        trigger(concept.name),
      ),
    ),
  );
}

async function showRecent(results, add, signal) {
  const { items } = await get("/v1/jobs", { kind: "generate", limit: RECENT, signal });
  const shown = new Set([...results.children].map((child) => child.dataset.job));
  const missing = items.filter((job) => !shown.has(job.id));
  for (const job of missing) if (job.output.images.length > 0 || job.status !== "succeeded") add(job, "append");
  if (items.length === RECENT) results.after(element("p", {}, element("a", { href: "#/images" }, "All pictures")));
  if (results.children.length === 0) results.append(emptyNote());
}

function emptyNote() {
  return element(
    "div",
    { class: "empty" },
    element("h2", {}, "Your pictures appear here"),
    element(
      "p",
      { class: "muted" },
      "Describe a picture. Type < to insert a concept; a prompt may name several concepts or none.",
    ),
  );
}

function withoutNulls(input) {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null && value !== undefined));
}
