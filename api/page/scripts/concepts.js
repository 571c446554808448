// The concepts view: a gallery, or an introduction while there are no concepts.
import { conceptCard } from "./concept-card.js";
import { listConcepts, onConceptsChange } from "./concept-store.js";
import { element, setChildren } from "./dom.js";
import { exampleLink, EXAMPLES } from "./examples.js";
import { icon } from "./icons.js";

export async function conceptsView({ main, signal }) {
  const gallery = element("ul", { class: "gallery", "aria-label": "Your concepts" });
  const content = element("div", {}, skeletons());
  setChildren(main, content);
  const show = (concepts) => {
    if (concepts.length === 0) return setChildren(content, introduction());
    setChildren(
      gallery,
      concepts.map((concept) => element("li", {}, conceptCard(concept, signal))),
    );
    if (!content.contains(gallery)) setChildren(content, heading(), gallery);
  };
  const concepts = await listConcepts();
  if (signal.aborted) return "Concepts";
  show(concepts);
  onConceptsChange(show, signal);
  if (concepts.length === 0) content.querySelector(".button.primary").focus();
  return "Concepts";
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
