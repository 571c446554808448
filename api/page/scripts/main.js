// Entry point: header, connection banner, queue counter and router.
import { activityView } from "./activity.js";
import { announce } from "./announce.js";
import { refreshConcepts } from "./concept-store.js";
import { conceptView } from "./concept.js";
import { conceptsView } from "./concepts.js";
import { onConnection } from "./connection.js";
import { createView } from "./create.js";
import { element, setChildren } from "./dom.js";
import { galleryView } from "./gallery.js";
import { gridView } from "./grid.js";
import { icon } from "./icons.js";
import { imageView } from "./image.js";
import { interpolationsView } from "./interpolations.js";
import { openKeyDialog } from "./key-dialog.js";
import { newConceptView } from "./new-concept.js";
import { onQueueChange, pollQueue } from "./queue.js";
import { startRouter } from "./router.js";
import { themeButton } from "./theme.js";
import { watchWorkers } from "./worker-notice.js";

const TABS = [
  ["", "concepts", "Concepts"],
  ["create", "create", "Create"],
  ["images", "gallery", "Gallery"],
  ["morph", "morph", "Morph"],
  ["activity", "activity", "Activity"],
];

/** By the first part of an address: the tab that it belongs to, where that is another one. */
const PARENTS = { concepts: "", grid: "create" };

const ROUTES = [
  { path: "", view: conceptsView },
  { path: "concepts/new", view: newConceptView },
  { path: "concepts/*", view: conceptView },
  { path: "create", view: createView },
  { path: "grid", view: gridView },
  { path: "images", view: galleryView },
  { path: "images/*", view: imageView },
  { path: "morph", view: interpolationsView },
  { path: "activity", view: activityView },
];

const links = TABS.map(([route, iconName, label]) =>
  element("a", { href: `#/${route}`, "data-route": route }, icon(iconName), element("span", {}, label)),
);
const counter = element("span", { class: "count", hidden: true });
links.at(-1).append(counter);
document.querySelector(".tabs").append(...links);

setChildren(
  document.querySelector(".tools"),
  element(
    "a",
    { class: "button quiet icon", href: "/docs", title: "HTTP API", "aria-label": "HTTP API documentation" },
    icon("book"),
  ),
  element(
    "button",
    {
      type: "button",
      class: "button quiet icon",
      title: "Enter an API key",
      "aria-label": "Enter an API key",
      onclick: changeKey,
    },
    icon("key"),
  ),
  themeButton(),
);

async function changeKey() {
  if (await openKeyDialog()) location.reload();
}

// The router owns location.hash: a link to #main would change the view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.querySelector("main").focus();
});

/** @type {HTMLElement} */
const banner = document.querySelector(".banner");
onConnection((lost) => {
  banner.hidden = !lost;
  banner.textContent = lost ? "Connection lost. Reconnecting …" : "";
  if (!lost) announce("Connection restored.");
});

let trainingIds = "";
onQueueChange((jobs) => {
  // A training that left the queue has changed its concept; a new one may have created a concept.
  const ids = jobs
    .filter((job) => job.kind === "train")
    .map((job) => job.id)
    .toSorted()
    .join(",");
  if (ids !== trainingIds) refreshConcepts();
  trainingIds = ids;
  counter.hidden = jobs.length === 0;
  setChildren(counter, String(jobs.length), element("span", { class: "visually-hidden" }, " unfinished"));
});

watchWorkers(document.querySelector(".notice"));

startRouter(document.querySelector("main"), ROUTES, (segment) => {
  const route = PARENTS[segment] ?? segment;
  for (const link of links) {
    if (link.dataset.route === route) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
});
pollQueue();
