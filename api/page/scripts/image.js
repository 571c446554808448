// The view of one picture: large, with its prompt, seed and settings, and a way to the next ones.
import { announce, toast } from "./announce.js";
import { apiPath, get, request } from "./api.js";
import { codeButton } from "./as-code.js";
import { invalidateConcept } from "./concept-store.js";
import { openDialog } from "./dialogs.js";
import { element, setChildren } from "./dom.js";
import { downloadLink, fileExtension } from "./downloads.js";
import { formatAge, formatBytes } from "./format.js";
import { apiQuery, filtersOf, updateKept } from "./gallery-list.js";
import { icon } from "./icons.js";
import { galleryImageReloader, pictureFrame } from "./picture.js";
import { highlightPrompt, trigger } from "./prompts.js";
import { linkTo, navigate } from "./router.js";
import { deleteImage } from "./selection.js";

/** The settings of a job that are shown, in this order. */
const SETTINGS = [
  ["steps", "Steps"],
  ["guidance_scale", "Guidance scale"],
  ["scheduler", "Sampler"],
  ["negative_prompt", "Negative prompt"],
];

export async function imageView({ main, segments, query, signal }) {
  const filters = filtersOf(query);
  /** @type {GalleryImage} */
  const image = await get(apiPath("images", segments[1]), { signal });
  const facts = element("dl", { class: "facts" }, factRows(image));
  const heart = favouriteButton(image);
  const newer = arrow("Newer picture", "back");
  const older = arrow("Older picture", "forward");
  setChildren(main, layout(image, { filters, facts, heart, newer, older }));

  const onKey = (event) => {
    if (event.target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
    if (event.key === "ArrowLeft") follow(newer);
    else if (event.key === "ArrowRight") follow(older);
    else if (event.key === "Escape") navigate("images", filters);
    else if (event.key === "f") heart.click();
  };
  addEventListener("keydown", onKey, { signal });

  const neighbour = (sort) => get("/v1/images", { ...apiQuery(filters), sort, cursor: image.id, limit: 1, signal });
  const show = (button, page) => {
    const [next] = page.items;
    button.hidden = !next;
    if (next) button.href = linkTo(`images/${next.id}`, filters);
    // The next picture is there when it is asked for.
    if (next) new Image().src = next.url;
  };
  const [job] = await Promise.all([
    get(apiPath("jobs", image.job), { signal }),
    neighbour("oldest").then((page) => show(newer, page)),
    neighbour("newest").then((page) => show(older, page)),
  ]);
  setChildren(facts, factRows(image, job));
  if (image.kind !== "train") facts.after(element("div", { class: "actions" }, codeButton(job)));
  return image.prompt ?? "Picture";
}

/** Follow a link, if there is one. */
function follow(link) {
  if (!link.hidden) link.click();
}

/**
 * @param {GalleryImage} image
 * @param {Record<string, any>} parts
 */
function layout(image, { filters, facts, heart, newer, older }) {
  return element(
    "div",
    { class: "image-view" },
    element(
      "div",
      { class: "image-stage", style: { "--ratio": image.width / image.height } },
      newer,
      pictureFrame(image, `${image.prompt ?? ""}, seed ${image.seed}`, galleryImageReloader),
      older,
    ),
    element(
      "div",
      { class: "image-about" },
      element("a", { class: "small", href: linkTo("images", filters) }, "Gallery"),
      element("h1", { class: "image-prompt" }, highlightPrompt(image.prompt ?? "Picture")),
      image.concepts.length > 0 && element("p", { class: "image-concepts" }, image.concepts.map(conceptLink)),
      element(
        "div",
        { class: "actions" },
        element(
          "a",
          { class: "button primary", href: linkTo("create", { job: image.job, seed: String(image.seed ?? "") }) },
          icon("reuse"),
          "Use this",
        ),
        heart,
        downloadButton(image),
        deleteButton(image, filters),
        image.concepts.length === 1 && coverButton(image),
      ),
      facts,
      element("a", { class: "small", href: linkTo("images", { job: image.job }) }, "All pictures of this job"),
    ),
  );
}

function conceptLink(name) {
  return element("a", { href: linkTo(`concepts/${name}`) }, trigger(name));
}

function arrow(label, iconName) {
  return element(
    "a",
    { class: `button quiet icon arrow ${iconName}`, "aria-label": label, title: label, hidden: true, href: "#/images" },
    icon("arrow"),
  );
}

/**
 * @param {GalleryImage} image
 * @param {?Job} [job]
 */
function factRows(image, job = null) {
  const settings = SETTINGS.map(([name, label]) => [label, job?.input[name]]);
  const facts = [
    ["Seed", image.seed],
    ["Share", image.share],
    ["Model", image.model],
    ...settings,
    ["Size", `${image.width} × ${image.height} px, ${formatBytes(image.bytes)}`],
    ["Made", formatAge(image.created_at)],
    ["Id", image.id],
  ];
  return facts
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([label, value]) => element("div", {}, element("dt", {}, label), element("dd", {}, String(value))));
}

/** @param {GalleryImage} image */
function favouriteButton(image) {
  const button = element(
    "button",
    {
      type: "button",
      class: "button plain icon favourite",
      "aria-pressed": String(image.favourite),
      "aria-label": "Favourite",
      title: "Favourite (f)",
    },
    icon("heart"),
  );
  button.addEventListener("click", async () => {
    const favourite = button.ariaPressed !== "true";
    button.ariaPressed = String(favourite);
    try {
      await request("PATCH", apiPath("images", image.id), { json: { favourite } });
      updateKept(image.id, { favourite });
      announce(favourite ? "Favourite." : "No favourite any more.");
    } catch (error) {
      button.ariaPressed = String(!favourite);
      toast(error.message);
    }
  });
  return button;
}

/** @param {GalleryImage} image */
function coverButton(image) {
  const [name] = image.concepts;
  const button = element("button", { type: "button", class: "button quiet" }, "Use as cover");
  button.addEventListener("click", async () => {
    try {
      await request("PATCH", apiPath("concepts", name), { json: { cover: image.id } });
      invalidateConcept(name);
      toast(`It is the cover of ${name} now.`);
    } catch (error) {
      toast(error.message);
    }
  });
  return button;
}

/** @param {GalleryImage} image */
function downloadButton(image) {
  const link = downloadLink(image.url, `${image.id}.${fileExtension(image)}`);
  link.className = "button plain icon";
  link.ariaLabel = "Download";
  link.title = "Download";
  link.append(icon("download"));
  return link;
}

/**
 * @param {GalleryImage} image
 * @param {Record<string, string>} filters
 */
function deleteButton(image, filters) {
  const button = element(
    "button",
    { type: "button", class: "button plain icon", "aria-label": "Delete", title: "Delete" },
    icon("trash"),
  );
  button.addEventListener("click", async () => {
    const deleted = await openDialog({
      title: "Delete this picture?",
      body: [element("p", { class: "muted" }, "This cannot be undone.")],
      accept: "Delete",
      danger: true,
      onAccept: async () => {
        await deleteImage(image.id);
        return true;
      },
    });
    if (!deleted) return;
    toast("The picture was deleted.");
    navigate("images", filters);
  });
  return button;
}
