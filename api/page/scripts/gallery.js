// The gallery view: every generated picture, searched, filtered, selected, downloaded and deleted.
import { announce } from "./announce.js";
import { element, setChildren } from "./dom.js";
import { pluralize } from "./format.js";
import { apiQuery, filtersOf, imageList } from "./gallery-list.js";
import { icon } from "./icons.js";
import { galleryImageReloader, pictureFrame } from "./picture.js";
import { linkTo, replaceQuery } from "./router.js";
import { Selection } from "./selection.js";
import { debounced } from "./throttle.js";

const SEARCH_DELAY_MS = 200;

export async function galleryView({ main, query, signal }) {
  let list = imageList(filtersOf(query));
  const grid = element("ul", { class: "gallery-grid", "aria-label": "Pictures" });
  const status = element("p", { class: "muted", role: "status" });
  const end = element("div", { class: "gallery-end" }, status);
  const selection = new Selection(grid, { onDeleted: (ids) => removeTiles(grid, ids) });
  const search = searchField(list.filters.q ?? "");
  const favourites = toggle("favourite", "Favourites", list.filters.favourite === "true");
  const day = dateField(list.filters.before ?? "");
  setChildren(
    main,
    element("div", { class: "heading" }, element("div", {}, element("h1", {}, "Gallery"), scope(list.filters))),
    element(
      "div",
      { class: "gallery-tools", role: "search", "aria-label": "Search pictures" },
      search,
      day,
      favourites,
      selection.toolbar(() => archivePath(list.filters)),
    ),
    grid,
    end,
  );

  const showEnd = (text = "") => {
    const empty = list.complete && list.items.length === 0;
    status.textContent = text || (empty ? emptyText(list.filters) : "");
  };
  async function loadMore() {
    if (list.complete || list.pending) return;
    const current = list;
    showEnd("Loading …");
    const items = await current.more();
    if (current !== list || signal.aborted) return;
    grid.append(...items.map((image) => tile(image, list.filters)));
    showEnd();
    if (isNearEnd(end)) await loadMore();
  }
  const loadSafely = () => loadMore().catch((error) => showEnd(error.message));
  async function reload() {
    const filters = currentFilters({ list, search, favourites, day });
    replaceQuery("images", filters);
    list = imageList(filters, { fresh: true });
    setChildren(grid);
    selection.clear();
    await loadSafely();
    announce(list.complete ? pluralize(list.items.length, "picture") : "More than 60 pictures");
  }
  const reloadSoon = debounced(reload, SEARCH_DELAY_MS);
  search.addEventListener("input", reloadSoon);
  day.addEventListener("change", reload);
  favourites.addEventListener("click", () => {
    favourites.ariaPressed = String(favourites.ariaPressed !== "true");
    reload();
  });

  const observer = new IntersectionObserver((entries) => entries[0].isIntersecting && loadSafely(), {
    rootMargin: "1200px",
  });
  observer.observe(end);
  addEventListener("scroll", () => (list.scroll = scrollY), { passive: true, signal });
  signal.addEventListener("abort", () => observer.disconnect());

  const { scroll } = list;
  if (list.items.length === 0) await loadMore();
  else grid.append(...list.items.map((image) => tile(image, list.filters)));
  scrollTo(0, scroll);
  return "Gallery";
}

function currentFilters({ list, search, favourites, day }) {
  const { concept, job } = list.filters;
  const given = [
    ["q", search.querySelector("input").value.trim()],
    ["concept", concept],
    ["job", job],
    ["favourite", favourites.ariaPressed === "true" ? "true" : ""],
    ["before", day.querySelector("input").value],
  ];
  return Object.fromEntries(given.filter(([, value]) => value));
}

function searchField(value) {
  const input = element("input", {
    class: "input",
    type: "search",
    name: "q",
    value,
    placeholder: "Search prompts, concepts, seeds",
    "aria-label": "Search prompts, concepts and seeds",
  });
  return element("div", { class: "search" }, input);
}

function dateField(value) {
  const input = element("input", { class: "input", type: "date", name: "before", value });
  return element("label", { class: "until" }, element("span", { class: "small muted" }, "Up to"), input);
}

function toggle(name, label, pressed) {
  return element(
    "button",
    { type: "button", class: "button plain", name, "aria-pressed": String(pressed) },
    icon("heart"),
    label,
  );
}

/** The concept or the job to which the list is limited, with a way out. */
function scope({ concept, job }) {
  if (!concept && !job) return null;
  const text = concept ? `Pictures with <${concept}>.` : "Pictures of one job.";
  return element("p", { class: "lead" }, text, " ", element("a", { href: "#/images" }, "Show all"));
}

function emptyText(filters) {
  if (Object.keys(filters).length > 0) return "No picture matches. Try fewer words or another day.";
  return "Every picture that you generate appears here.";
}

/**
 * @param {GalleryImage} image
 * @param {Record<string, string>} filters
 */
function tile(image, filters) {
  const label = `${image.prompt ?? ""}, seed ${image.seed}`;
  const link = element(
    "a",
    { href: linkTo(`images/${image.id}`, filters), title: image.prompt ?? "" },
    pictureFrame(image, label, galleryImageReloader),
  );
  link.querySelector("img").loading = "lazy";
  const box = element("input", { type: "checkbox", "aria-label": `Select: ${label}` });
  const heart = element("span", { class: "tile-heart", hidden: !image.favourite, title: "Favourite" }, icon("heart"));
  return element("li", { "data-image": image.id }, link, box, heart);
}

function isNearEnd(end) {
  return end.getBoundingClientRect().top < innerHeight + 600;
}

function archivePath(filters) {
  return `/v1/images/archive?${new URLSearchParams(apiQuery(filters))}`;
}

function removeTiles(grid, ids) {
  for (const id of ids) grid.querySelector(`[data-image="${CSS.escape(id)}"]`)?.remove();
}
