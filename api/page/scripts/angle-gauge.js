// A gauge of the angle between a concept's direction and its class word's: a needle on a quarter circle.
import { element, setChildren, svgElement } from "./dom.js";

const RADIUS = 74;
const CENTRE = { x: 8, y: 84 };

export class AngleGauge {
  constructor(classWord) {
    this.arc = svgElement("path", { class: "arc" });
    this.needle = svgElement("line", { class: "needle", x1: CENTRE.x, y1: CENTRE.y });
    this.tip = svgElement("circle", { class: "tip", r: 5 });
    const plot = svgElement(
      "svg",
      { viewBox: "0 0 96 92", "aria-hidden": "true" },
      svgElement("path", { class: "ring", d: arc(0, Math.PI / 2) }),
      svgElement("line", { class: "origin", x1: CENTRE.x, y1: CENTRE.y, x2: CENTRE.x + RADIUS, y2: CENTRE.y }),
      this.arc,
      this.needle,
      this.tip,
    );
    this.label = element("span", { class: "tabular" }, "0°");
    this.element = element(
      "figure",
      { class: "angle-gauge" },
      plot,
      element("figcaption", { class: "small muted" }, element("strong", {}, this.label), ` from “${classWord}”`),
    );
    this.show(0);
  }

  /** Show an angle, in radians; the needle stops at a right angle, the label does not. */
  show(angle) {
    const clamped = Math.min(Math.PI / 2, angle);
    const [x, y] = pointAt(clamped);
    this.arc.setAttribute("d", arc(0, clamped));
    this.needle.setAttribute("x2", x);
    this.needle.setAttribute("y2", y);
    this.tip.setAttribute("cx", x);
    this.tip.setAttribute("cy", y);
    setChildren(this.label, `${Math.round((angle * 180) / Math.PI)}°`);
  }
}

function pointAt(angle) {
  return [(CENTRE.x + RADIUS * Math.cos(angle)).toFixed(2), (CENTRE.y - RADIUS * Math.sin(angle)).toFixed(2)];
}

function arc(from, to) {
  return `M${pointAt(from).join(" ")}A${RADIUS} ${RADIUS} 0 0 0 ${pointAt(to).join(" ")}`;
}
