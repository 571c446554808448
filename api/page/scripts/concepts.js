// The concepts view: a gallery, or an introduction while there are no concepts.
import { conceptCard, tagLink } from "./concept-card.js";
import { conceptPage, onConceptsChange, wordsQuery } from "./concept-store.js";
import { element, setChildren } from "./dom.js";
import { exampleLink, EXAMPLES } from "./examples.js";
import { setOptions } from "./fields.js";
import { icon } from "./icons.js";
import { replaceQuery } from "./router.js";
import { debounced } from "./throttle.js";

const PAGE_SIZE = 24;
const SEARCH_DELAY_MS = 200;
const SORTS = [
  ["newest", "Newest"],
  ["oldest", "Oldest"],
  ["name", "By name"],
];

/** The pages of the concepts under some filters. */
class Pages {
  constructor({ words, tag, sort }) {
    this.query = { ...wordsQuery(words), tag: tag || null, sort, limit: PAGE_SIZE };
    this.filtered = Boolean(words || tag);
    this.cursor = null;
    this.complete = false;
    this.pending = false;
  }

  /** The concepts of the next page. */
  async next() {
    this.pending = true;
    try {
      const page = await conceptPage({ ...this.query, cursor: this.cursor });
      this.cursor = page.next;
      this.complete = page.next === null;
      return page.items;
    } finally {
      this.pending = false;
    }
  }
}

export async function conceptsView({ main, query, signal }) {
  const gallery = element("ul", { class: "gallery", "aria-label": "Your concepts" });
  const end = element("p", { class: "muted gallery-end", role: "status" });
  const search = searchField(query.get("q") ?? "");
  const sort = element("select", { class: "input", "aria-label": "Order" });
  setOptions(sort, SORTS);
  sort.value = query.get("sort") ?? "newest";
  const tag = query.get("tag");
  const tools = element(
    "div",
    { class: "gallery-tools", role: "search", "aria-label": "Search concepts" },
    search,
    sort,
  );
  const tagNote = tag && element("p", { class: "tag-note" }, "Tag ", tagLink(tag), " ", link("#/", "Show all"));
  const content = element("div", {}, skeletons());
  setChildren(main, content);

  let pages = null;
  const filters = () => ({ words: search.firstChild.value.trim(), tag: tag ?? "", sort: sort.value });
  async function show() {
    const mine = new Pages(filters());
    pages = mine;
    const first = await mine.next();
    if (pages !== mine || signal.aborted) return;
    setChildren(gallery, cards(first, signal));
    if (first.length === 0 && !mine.filtered) return setChildren(content, introduction());
    end.textContent = first.length === 0 ? "No concept matches." : "";
    if (!content.contains(gallery)) setChildren(content, heading(), tools, tagNote, gallery, end);
    if (isNearEnd(end)) await more();
  }
  async function more() {
    const mine = pages;
    if (!mine || mine.complete || mine.pending || !content.contains(gallery)) return;
    const added = await mine.next();
    if (pages !== mine || signal.aborted) return;
    gallery.append(...cards(added, signal));
    // An observer tells changes only: an end that stays in view is not told again.
    if (isNearEnd(end)) await more();
  }
  const reload = () => {
    const { words, ...others } = filters();
    replaceQuery("", givenOnly({ ...wordsQuery(words), ...others }));
    show().catch((error) => (end.textContent = error.message));
  };
  search.addEventListener("input", debounced(reload, SEARCH_DELAY_MS));
  sort.addEventListener("change", reload);
  const observer = new IntersectionObserver((entries) => entries[0].isIntersecting && more().catch(() => {}), {
    rootMargin: "800px",
  });
  observer.observe(end);
  signal.addEventListener("abort", () => observer.disconnect());

  await show();
  if (signal.aborted) return "Concepts";
  onConceptsChange(() => show().catch(() => {}), signal);
  if (!content.contains(gallery)) content.querySelector(".button.primary").focus();
  return "Concepts";
}

function isNearEnd(end) {
  return end.getBoundingClientRect().top < innerHeight + 400;
}

/** The query of an address without empty and default values. */
function givenOnly(query) {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value && value !== "newest"));
}

function cards(concepts, signal) {
  return concepts.map((concept) => element("li", {}, conceptCard(concept, signal)));
}

function searchField(value) {
  const input = element("input", {
    class: "input",
    type: "search",
    value,
    placeholder: "Search names, class words, tags",
    "aria-label": "Search concepts",
  });
  return element("div", { class: "search" }, input);
}

function link(href, text) {
  return element("a", { href }, text);
}

function heading() {
  return element(
    "div",
    { class: "heading" },
    element(
      "div",
      {},
      element("h1", {}, "Concepts"),
      element("p", { class: "lead" }, "Trained concepts. Name one in a prompt, or interpolate between two."),
    ),
    element("a", { class: "button primary", href: "#/concepts/new" }, icon("plus"), "New concept"),
  );
}

function skeletons() {
  return element(
    "div",
    { class: "gallery", "aria-hidden": "true" },
    [1, 2, 3].map(() => element("div", { class: "card skeleton" }, element("div", { class: "frame waiting mosaic" }))),
  );
}

function introduction() {
  const steps = [
    ["Upload", "Three to six pictures of one subject: your dog, a mug, a style of painting."],
    ["Train", "Give it a name for prompts and a class word. Training takes about a minute."],
    ["Generate", "Use the name in any prompt, or interpolate from one concept to another."],
  ];
  const lead = element(
    "p",
    { class: "lead", id: "first-lead" },
    "DTI learns a concept from a few pictures and puts it into new ones.",
  );
  return element(
    "section",
    { class: "welcome" },
    element("h1", {}, "Train a concept of your ", element("em", {}, "own")),
    lead,
    element(
      "div",
      { class: "actions" },
      element(
        "a",
        { class: "button primary", href: "#/concepts/new", "aria-describedby": lead.id },
        icon("plus"),
        "Train a concept",
      ),
    ),
    element(
      "ol",
      { class: "steps" },
      steps.map(([title, text]) => element("li", {}, element("h2", {}, title), element("p", { class: "muted" }, text))),
    ),
    element(
      "div",
      { class: "examples" },
      element("p", { class: "muted" }, "No pictures at hand? Try an example:"),
      element("div", { class: "example-list" }, EXAMPLES.map(exampleLink)),
    ),
  );
}
