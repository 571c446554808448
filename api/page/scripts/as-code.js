// "As code": what was just done, as a curl command and as programs in Python and TypeScript.
import { toast } from "./announce.js";
import { openDialog } from "./dialogs.js";
import { element } from "./dom.js";
import { icon } from "./icons.js";

/** How a kind of job is asked for: path, method of the Python client, and what its first arguments are. */
const CALLS = {
  generate: { path: "/v1/generations", method: "create_generation", first: ["prompt"] },
  interpolate: { path: "/v1/interpolations", method: "create_interpolation", first: ["from", "to"] },
};
const LANGUAGES = {
  curl: { label: "curl", write: curl },
  python: { label: "Python", write: python },
  typescript: { label: "TypeScript", write: typescript },
};

/**
 * A button that shows the code of a job.
 *
 * @param {Job} job
 */
export function codeButton(job) {
  return element(
    "button",
    { type: "button", class: "button plain compact", onclick: () => showCode(job) },
    icon("code"),
    "As code",
  );
}

/**
 * Show the code of a job.
 *
 * @param {Job} job
 */
async function showCode(job) {
  const code = element("code", {});
  const show = (language) => (code.textContent = codeOf(job, language));
  const choice = element(
    "div",
    { class: "segments", role: "radiogroup", "aria-label": "Language" },
    Object.entries(LANGUAGES).map(([value, { label }], index) =>
      element(
        "label",
        {},
        element("input", { type: "radio", name: "language", value, checked: index === 0, onchange: () => show(value) }),
        element("span", {}, label),
      ),
    ),
  );
  show("curl");
  await openDialog({
    title: "As code",
    body: [choice, element("pre", { class: "code", tabIndex: 0, "aria-label": "Code" }, code)],
    accept: "Copy",
    onAccept: async () => {
      await copy(code.textContent);
      toast("Copied.");
      return true;
    },
  });
}

/**
 * The code of a job in a language.
 *
 * @param {Job} job
 * @param {string} language
 */
export function codeOf(job, language) {
  return LANGUAGES[language].write(CALLS[job.kind], givenOnly(job.input));
}

function givenOnly(input) {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null && value !== ""));
}

function curl({ path }, input) {
  const body = JSON.stringify(input, null, 2).replaceAll("'", String.raw`'\''`);
  return [
    `curl ${location.origin}${path} \\`,
    '  -H "Authorization: Bearer $DTI_API_KEY" \\',
    '  -H "Content-Type: application/json" -H "Prefer: wait=60" \\',
    `  -d '${body}'`,
  ].join("\n");
}

function python({ method, first }, input) {
  const others = Object.entries(input).filter(([name]) => !first.includes(name));
  const positional = first.map((name) => pythonValue(input[name]));
  const keywords = others.map(([name, value]) => `${name}=${pythonValue(value)}`);
  return [
    "from pathlib import Path",
    "",
    "from dti_client import Client",
    "",
    `with Client(${pythonValue(location.origin)}) as client:`,
    `    job = client.${method}(`,
    ...[...positional, ...keywords].map((argument) => `        ${argument},`),
    "    )",
    '    print(client.download(client.wait(job), Path(".")))',
  ].join("\n");
}

function typescript({ path }, input) {
  return [
    'import createClient from "openapi-fetch";',
    'import type { paths } from "./schema";',
    "",
    `const client = createClient<paths>({ baseUrl: ${JSON.stringify(location.origin)} });`,
    `const { data: job, error } = await client.POST("${path}", {`,
    '  params: { header: { prefer: "wait=60" } },',
    `  body: ${JSON.stringify(input, null, 2).replaceAll("\n", "\n  ")},`,
    "});",
    "if (error) throw new Error(error.detail);",
    "console.log(job.output.images.map((image) => image.url));",
  ].join("\n");
}

function pythonValue(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map(pythonValue).join(", ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).map(([key, part]) => `${pythonValue(key)}: ${pythonValue(part)}`);
    return `{${entries.join(", ")}}`;
  }
  return JSON.stringify(value);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    throw new Error("The browser does not allow to copy. Select the code and copy it.");
  }
}
