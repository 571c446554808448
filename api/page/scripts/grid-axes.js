// The axes of a grid: what can be compared, and the request of a cell.

/** By kind: its label, and the field of a generation that a value sets. */
export const AXES = {
  concept: { label: "Concepts", numeric: false },
  prompt: { label: "Prompts", numeric: false },
  seed: { label: "Seeds", numeric: true },
  steps: { label: "Steps", numeric: true },
  guidance_scale: { label: "Guidance scales", numeric: true },
  scheduler: { label: "Samplers", numeric: false },
};

/** Most pictures of a grid. */
export const MAX_CELLS = 100;

/**
 * The kind and the values of an axis.
 *
 * @param {Record<string, any>} form
 * @param {string} name
 */
export function axisValues(form, name) {
  const kind = form[`${name}_kind`];
  const lines = (form[`${name}_values`] ?? "").split(kind === "prompt" ? /\n/u : /[\n,]/u);
  const values = lines.map((line) => line.trim()).filter(Boolean);
  if (values.length === 0) throw new Error(`Enter the ${AXES[kind].label.toLowerCase()} of the ${name}.`);
  const wrong = values.find((value) => AXES[kind].numeric && Number.isNaN(Number(value)));
  if (wrong) throw new Error(`“${wrong}” is no number, as ${AXES[kind].label.toLowerCase()} are.`);
  return { kind, label: AXES[kind].label, values };
}

/**
 * The request of a cell.
 *
 * @param {Record<string, any>} form
 * @param {{ rows: any, columns: any, cell: any }} place
 */
export function cellInput(form, { rows, columns, cell }) {
  if (rows.kind === columns.kind) throw new Error("Rows and columns compare the same. Choose two things.");
  const input = { prompt: form.prompt ?? "", seed: form.seed ?? 1, steps: form.steps, num_images: 1 };
  let concept = null;
  for (const [axis, value] of [
    [rows, cell.row],
    [columns, cell.column],
  ]) {
    if (axis.kind === "concept") concept = value.replaceAll(/[<>]/gu, "");
    else input[axis.kind] = AXES[axis.kind].numeric ? Number(value) : value;
  }
  if (concept) {
    if (!input.prompt) input.prompt = "a photo of {}";
    if (!input.prompt.includes("{}")) throw new Error("The prompt needs a {} where the concept stands.");
    input.prompt = input.prompt.replaceAll("{}", `<${concept}>`);
  }
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}
