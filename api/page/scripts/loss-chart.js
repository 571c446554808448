// A chart of a training's loss: the raw values, their running mean, and a readout at the pointer.
import { element, setChildren, svgElement } from "./dom.js";
import { pluralize } from "./format.js";

const WIDTH = 600;
const HEIGHT = 180;
const SMOOTHING = 0.94;

export class LossChart {
  #curve = { step: [], loss: [] };

  constructor() {
    this.raw = svgElement("path", { class: "raw" });
    this.smooth = svgElement("path", { class: "smooth" });
    this.area = svgElement("path", { class: "area" });
    this.cursor = svgElement("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
    this.plot = svgElement(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      this.area,
      this.raw,
      this.smooth,
      this.cursor,
    );
    this.top = element("span", { class: "top" });
    this.bottom = element("span", { class: "bottom" });
    this.total = element("span", { class: "end" });
    this.readout = element("figcaption", { class: "tabular small muted" }, "Loss");
    this.element = element(
      "figure",
      { class: "loss-chart" },
      this.readout,
      element("div", { class: "plot" }, this.plot, this.top, this.bottom),
      element("div", { class: "axis small muted tabular" }, element("span", {}, "0"), this.total),
    );
    this.plot.addEventListener("pointermove", (event) => this.#onPointerMove(event));
    this.plot.addEventListener("pointerleave", () => this.#showReadout());
  }

  /**
   * Show the curve of GET /metrics on an axis of `total` steps; steps without a loss are skipped.
   *
   * @param {Metrics} curve
   * @param {number} total
   */
  show(curve, total) {
    const indices = curve.step.map((_, index) => index).filter((index) => curve.loss[index] !== null);
    this.#curve = {
      step: indices.map((index) => curve.step[index]),
      loss: indices.map((index) => curve.loss[index]),
      total,
    };
    const smooth = smoothed(this.#curve.loss);
    this.#curve.smooth = smooth;
    const [low, high] = range(this.#curve.loss);
    const x = (step) => (WIDTH * step) / Math.max(1, total);
    const y = (loss) => HEIGHT - 6 - ((HEIGHT - 16) * (loss - low)) / (high - low);
    const points = (values) =>
      values.map((value, index) => `${x(this.#curve.step[index]).toFixed(1)} ${Math.max(0, y(value)).toFixed(1)}`);
    this.raw.setAttribute("d", line(points(this.#curve.loss)));
    this.smooth.setAttribute("d", line(points(smooth)));
    this.area.setAttribute(
      "d",
      smooth.length > 1
        ? `${line(points(smooth))}L${x(this.#curve.step.at(-1)).toFixed(1)} ${HEIGHT}L${x(this.#curve.step[0]).toFixed(1)} ${HEIGHT}Z`
        : "",
    );
    setChildren(this.top, indices.length > 0 ? high.toFixed(2) : "");
    setChildren(this.bottom, indices.length > 0 ? low.toFixed(2) : "");
    this.total.textContent = pluralize(total, "step");
    this.#showReadout();
  }

  #onPointerMove(event) {
    if (this.#curve.step.length === 0) return;
    const box = this.plot.getBoundingClientRect();
    const step = ((event.clientX - box.left) / box.width) * this.#curve.total;
    const index = nearestIndex(this.#curve.step, step);
    const x = (WIDTH * this.#curve.step[index]) / this.#curve.total;
    this.cursor.setAttribute("x1", String(x));
    this.cursor.setAttribute("x2", String(x));
    this.cursor.setAttribute("visibility", "visible");
    this.#showReadout(index);
  }

  #showReadout(index = null) {
    const { step, loss, smooth } = this.#curve;
    if (index === null) this.cursor.setAttribute("visibility", "hidden");
    const shown = index ?? step.length - 1;
    if (shown < 0) return setChildren(this.readout, "Loss");
    setChildren(
      this.readout,
      "Loss ",
      element("strong", {}, smooth[shown].toFixed(3)),
      index === null ? "" : ` at step ${step[shown]} (raw ${loss[shown].toFixed(3)})`,
    );
  }
}

function line(points) {
  return points.length > 0 ? `M${points.join("L")}` : "";
}

/** An exponential running mean; its weight grows from 0 so that it starts at the first value. */
function smoothed(values) {
  let [mean] = values;
  return values.map((value, index) => {
    const weight = Math.min(SMOOTHING, index / (index + 1));
    mean = weight * mean + (1 - weight) * value;
    return mean;
  });
}

/** The axis from the minimum to the 98th percentile: an outlier does not flatten the rest of the curve. */
function range(values) {
  if (values.length === 0) return [0, 1];
  const sorted = values.toSorted((first, second) => first - second);
  const high = sorted[Math.floor(0.98 * (sorted.length - 1))];
  return high > sorted[0] ? [sorted[0], high] : [sorted[0] - 0.01, sorted[0] + 0.01];
}

function nearestIndex(steps, target) {
  const distances = steps.map((step) => Math.abs(step - target));
  return distances.indexOf(Math.min(...distances));
}
