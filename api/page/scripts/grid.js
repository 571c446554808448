// The grid view: one picture for each pair of values of two axes, on one sheet that can be downloaded.
import { announce, toast } from "./announce.js";
import { post } from "./api.js";
import { element, setChildren } from "./dom.js";
import { downloadLink } from "./downloads.js";
import { keepDraft } from "./drafts.js";
import { clearFieldErrors, field, formValues, numberField, selectField, showApiError } from "./fields.js";
import { dropKept } from "./gallery-list.js";
import { AXES, axisValues, cellInput, MAX_CELLS } from "./grid-axes.js";
import { drawSheet } from "./grid-sheet.js";
import { icon } from "./icons.js";
import { watchJob } from "./job-stream.js";
import { imageReloader, pictureFrame, placeholderFrame } from "./picture.js";
import { refreshQueue } from "./queue.js";
import { linkTo } from "./router.js";

const DRAFT = "grid";

export function gridView({ main, signal }) {
  const alert = element("p", { class: "alert", role: "alert" });
  const submit = element("button", { class: "button primary" }, icon("gallery"), "Generate");
  const prompt = element("input", { class: "input", name: "prompt", placeholder: "a photo of {} in the snow" });
  const form = element(
    "form",
    { class: "panel grid-form", noValidate: true },
    field("Prompt", prompt, "{} stands for the concept, where an axis has concepts."),
    element("div", { class: "axes" }, axis("Rows", "rows", "concept"), axis("Columns", "columns", "seed")),
    element(
      "div",
      { class: "grid-fields" },
      numberField("Seed", "seed", { min: 0, placeholder: "1", hint: "The same for all, unless it is an axis." }),
      numberField("Steps", "steps", { min: 1, max: 150, placeholder: "model default" }),
    ),
    alert,
    element("div", { class: "actions" }, submit),
  );
  const sheet = element("section", { "aria-label": "Grid", role: "region" });
  setChildren(
    main,
    element(
      "div",
      { class: "heading" },
      element(
        "div",
        {},
        element("h1", {}, "Grid"),
        element("p", { class: "lead" }, "Compare prompts, concepts, seeds and settings on one sheet."),
      ),
    ),
    form,
    sheet,
  );
  keepDraft(DRAFT, form, signal);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearFieldErrors(form);
    alert.textContent = "";
    submit.ariaBusy = "true";
    try {
      await generate(sheet, formValues(form), signal);
    } catch (error) {
      showApiError(form, error, alert);
    } finally {
      submit.ariaBusy = null;
    }
  });
  return "Grid";
}

function axis(label, name, kind) {
  const choice = selectField(
    label,
    `${name}_kind`,
    Object.entries(AXES).map(([value, { label: text }]) => [value, text]),
  );
  choice.querySelector("select").value = kind;
  const values = element("textarea", { class: "input", name: `${name}_values`, rows: 3, spellcheck: false });
  return element("div", { class: "axis" }, choice, field(`${label}: values`, values, "One on each line."));
}

/** Submit a job for each cell, and show the pictures as they arrive. */
async function generate(sheet, values, signal) {
  const rows = axisValues(values, "rows");
  const columns = axisValues(values, "columns");
  if (rows.values.length * columns.values.length > MAX_CELLS) {
    throw new Error(`${rows.values.length * columns.values.length} pictures are too many: at most ${MAX_CELLS}.`);
  }
  const cells = rows.values.map((row) => columns.values.map((column) => ({ row, column, frame: element("td", {}) })));
  const actions = element("div", { class: "actions" });
  setChildren(sheet, table(rows, columns, cells), actions);
  const pending = [];
  for (const cell of cells.flat()) {
    const input = cellInput(values, { rows, columns, cell });
    setChildren(cell.frame, placeholderFrame());
    const job = await post("/v1/generations", input);
    pending.push(show(cell, job, signal));
  }
  refreshQueue();
  dropKept();
  await Promise.all(pending);
  if (signal.aborted) return;
  announce("The grid is complete.");
  setChildren(actions, downloadButton(rows, columns, cells));
}

async function show(cell, job, signal) {
  const ended = await watchJob(job.id, () => {}, signal);
  const [image] = ended.output.images;
  if (!image) {
    setChildren(cell.frame, element("p", { class: "field-error" }, ended.error?.message ?? "Cancelled."));
    return;
  }
  cell.image = image;
  const frame = pictureFrame(image, `${cell.row}, ${cell.column}`, imageReloader(job.id));
  setChildren(cell.frame, element("a", { href: linkTo(`images/${image.id}`) }, frame));
}

function table(rows, columns, cells) {
  return element(
    "div",
    { class: "grid-scroll", tabIndex: 0, role: "group", "aria-label": "Pictures of the grid" },
    element(
      "table",
      { class: "grid-sheet" },
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "col" }, `${rows.label} / ${columns.label}`),
          columns.values.map((value) => element("th", { scope: "col" }, value)),
        ),
      ),
      element(
        "tbody",
        {},
        cells.map((row, index) =>
          element(
            "tr",
            {},
            element("th", { scope: "row" }, rows.values[index]),
            row.map((cell) => cell.frame),
          ),
        ),
      ),
    ),
  );
}

function downloadButton(rows, columns, cells) {
  const button = element("button", { type: "button", class: "button plain" }, icon("download"), "Download the sheet");
  button.addEventListener("click", async () => {
    button.ariaBusy = "true";
    try {
      const url = URL.createObjectURL(await drawSheet(rows, columns, cells));
      downloadLink(url, "grid.png").click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (error) {
      toast(error.message);
    } finally {
      button.ariaBusy = null;
    }
  });
  return button;
}
