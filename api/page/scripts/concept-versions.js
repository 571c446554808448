// The versions of a concept: their settings and curves side by side, and the way back to an earlier one.
import { toast } from "./announce.js";
import { apiPath, get } from "./api.js";
import { changeConcept } from "./concept-edit.js";
import { element, setChildren } from "./dom.js";
import { formatAge, pluralize } from "./format.js";
import { LossChart } from "./loss-chart.js";
import { onceVisible } from "./picture.js";

/**
 * Show the versions of a concept, if there are several; `onChanged()` is called when another one is in use.
 *
 * @param {HTMLElement} section
 * @param {Concept} concept
 * @param {{ onChanged: () => void, signal: AbortSignal }} options
 */
export async function showVersions(section, concept, { onChanged, signal }) {
  const { items } = await get(`${apiPath("concepts", concept.id)}/versions`, { signal });
  section.hidden = items.length < 2;
  const shared = sharedSettings(items);
  setChildren(
    section,
    element("h2", {}, "Versions"),
    element(
      "ol",
      { class: "versions" },
      items.map((version) => versionRow(version, { concept, shared, onChanged, signal })),
    ),
  );
}

/**
 * @param {ConceptVersion} version
 * @param {Record<string, any>} options
 */
function versionRow(version, { concept, shared, onChanged, signal }) {
  const chart = element("div", {});
  if (version.job) onceVisible(chart, () => showCurve(chart, version, signal).catch(() => {}), signal);
  const use = element("button", { type: "button", class: "button plain compact" }, "Use this version");
  use.addEventListener("click", async () => {
    use.ariaBusy = "true";
    try {
      await changeConcept(concept, { version: version.number });
      toast(`Version ${version.number} is in use.`);
      onChanged();
    } catch (error) {
      toast(error.message);
      use.ariaBusy = null;
    }
  });
  const differing = Object.entries(version.training ?? {}).filter(([name]) => !shared.has(name));
  const facts = [version.method?.toUpperCase(), pluralize(version.steps, "step"), formatAge(version.created_at)];
  return element(
    "li",
    {},
    element(
      "header",
      {},
      element("h3", {}, `Version ${version.number}`),
      version.current ? element("p", { class: "chip succeeded" }, "In use") : use,
    ),
    element("p", { class: "muted small" }, facts.filter(Boolean).join(" · ")),
    differing.length > 0 &&
      element("p", { class: "small" }, differing.map(([name, value]) => `${name} ${value ?? "–"}`).join(", ")),
    chart,
  );
}

/** The settings that are equal in all versions, and say nothing about their differences. */
function sharedSettings(versions) {
  const [first, ...others] = versions.map((version) => version.training ?? {});
  const names = Object.keys(first ?? {}).filter((name) =>
    others.every((other) => JSON.stringify(other[name]) === JSON.stringify(first[name])),
  );
  return new Set([...names, "seed"]);
}

/**
 * @param {HTMLElement} place
 * @param {ConceptVersion} version
 * @param {AbortSignal} signal
 */
async function showCurve(place, version, signal) {
  const curve = await get(`${apiPath("jobs", version.job)}/metrics`, { signal });
  if (curve.step.length === 0) return;
  const chart = new LossChart();
  chart.show(curve, version.steps);
  setChildren(place, chart.element);
}
