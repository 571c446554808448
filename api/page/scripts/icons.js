// The line icons of buttons: decoration beside a label.
import { svgElement } from "./dom.js";

const PATHS = {
  concepts: "M4 5.5h7v7H4zM13 5.5h7v4h-7zM13 12.5h7v6h-7zM4 15.5h7v3H4z",
  create: "M12 3.5l2 5.5 5.5 2-5.5 2-2 5.5-2-5.5L4.500 11l5.500-2zM18.500 16.500l.8 2 2 .8-2 .8-.8 2-.8-2-2-.8 2-.8z",
  morph: "M3.500 12a4 4 0 1 0 8 0 4 4 0 1 0-8 0M12.500 12a4 4 0 1 0 8 0 4 4 0 1 0-8 0",
  activity: "M3.500 12.500h4l2.500-7 4 13 2.500-6h4",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400",
  moon: "M20 14.200A8 8 0 0 1 9.800 4 8 8 0 1 0 20 14.200z",
  key: "M14.500 9.500a4.500 4.500 0 1 0-4.300 4.500l.8-.8h2v-2h2zM14 14l5.500 5.500M17 17l1.500-1.500",
  book: "M5 4.500h10a3 3 0 0 1 3 3v12H8a3 3 0 0 1-3-3zM5 16.500a3 3 0 0 1 3-3h10",
  pictures: "M4 5h16v14H4zM4 16l4.500-4.500 4 4 2.500-2.500 5 5M15.500 9.500h.01",
  download: "M12 4v11M7.500 11l4.500 4.500 4.500-4.500M5 19.500h14",
  reuse: "M19 12a7 7 0 1 1-2.200-5.100M19 4v4.500h-4.500",
  dice: "M5 5h14v14H5zM9 9h.01M15 9h.01M12 12h.01M9 15h.01M15 15h.01",
  play: "M8 5.500l11 6.500-11 6.500z",
  pause: "M8.500 5.500v13M15.500 5.500v13",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  arrow: "M5 12h14M13 6l6 6-6 6",
  gallery: "M4 4.500h7v7H4zM13 4.500h7v7h-7zM4 13.500h7v6H4zM13 13.500h7v6h-7z",
  heart: "M12 19.500l-7-7a4.300 4.300 0 0 1 6.100-6.100l.9.9.9-.9a4.300 4.300 0 0 1 6.100 6.100z",
  trash: "M5 7h14M9.500 7V4.500h5V7M7 7l1 12.500h8L17 7M10.500 10.500v6M13.500 10.500v6",
  code: "M8.500 8l-4.500 4 4.500 4M15.500 8l4.500 4-4.500 4M13.500 5.500l-3 13",
  cancel: "M7 7h10v10H7z",
};

/** An icon by its name. */
export function icon(name) {
  return svgElement(
    "svg",
    {
      viewBox: "0 0 24 24",
      fill: "none",
      stroke: "currentColor",
      "stroke-width": name === "more" ? "3" : "1.7",
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
      "aria-hidden": "true",
      focusable: "false",
    },
    svgElement("path", { d: PATHS[name] }),
  );
}
