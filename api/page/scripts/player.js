// A player for the frames of an interpolation: slider, play button and thumbnails.
import { element, setChildren } from "./dom.js";
import { formatPercent } from "./format.js";
import { icon } from "./icons.js";
import { imageReloader, pictureFrame } from "./picture.js";
import { conceptHue } from "./prompts.js";

const FRAME_MS = 140;

/**
 * `onFrame(image)` is called for every frame that is shown.
 *
 * @param {Job} job
 * @param {{ onFrame?: (image: JobImage) => void, signal: AbortSignal }} options
 */
export function player(job, { onFrame = () => {}, signal }) {
  const { images } = job.output;
  const [from, to] = job.concepts.map((concept) => concept.name);
  // All frames are in the stage and one is visible: a change of frame needs no loading.
  const reload = imageReloader(job.id);
  const frames = images.map((image, index) =>
    pictureFrame(image, `Frame ${index + 1}: ${formatPercent(image.share)} of the way from ${from} to ${to}`, reload),
  );
  const stage = element(
    "div",
    { class: "stage", style: { "aspect-ratio": `${images[0].width} / ${images[0].height}` } },
    frames,
  );
  const slider = positionSlider(from, to, images.length);
  const thumbnails = images.map((image, index) => thumbnailButton(image, index, () => seek(index)));
  const play = element("button", { type: "button", class: "button primary icon", "aria-label": "Play" }, icon("play"));
  const share = element("output", { class: "tabular small" });
  let timer = null;
  let forward = true;

  function show(index) {
    slider.value = index;
    slider.setAttribute("aria-valuetext", `${formatPercent(images[index].share)} of the way`);
    for (const [position, frame] of frames.entries()) frame.hidden = position !== index;
    for (const [position, thumbnail] of thumbnails.entries()) thumbnail.ariaPressed = String(position === index);
    share.textContent = formatPercent(images[index].share);
    onFrame(images[index]);
  }
  function step() {
    const index = Number(slider.value);
    if (index === images.length - 1) forward = false;
    if (index === 0) forward = true;
    show(index + (forward ? 1 : -1));
  }
  function pause() {
    clearInterval(timer);
    timer = null;
    play.ariaLabel = "Play";
    setChildren(play, icon("play"));
  }
  play.addEventListener("click", () => {
    if (timer) return pause();
    timer = setInterval(step, FRAME_MS);
    play.ariaLabel = "Pause";
    setChildren(play, icon("pause"));
  });
  function seek(index) {
    pause();
    show(index);
  }
  slider.addEventListener("input", () => seek(Number(slider.value)));
  signal.addEventListener("abort", pause);
  show(0);
  return element(
    "div",
    { class: "player" },
    element("div", {}, stage, element("div", { class: "playback" }, play, slider, share)),
    element("div", { class: "thumbnails", role: "group", "aria-label": "Frames" }, thumbnails),
  );
}

function positionSlider(from, to, count) {
  return element("input", {
    type: "range",
    class: "position",
    min: 0,
    max: count - 1,
    value: 0,
    "aria-label": `Position between ${from} and ${to}`,
    style: { "--from": conceptHue(from), "--to": conceptHue(to) },
  });
}

/**
 * @param {JobImage} image
 * @param {number} index
 * @param {() => void} onclick
 */
function thumbnailButton(image, index, onclick) {
  return element(
    "button",
    { type: "button", class: "thumbnail", "aria-label": `Frame ${index + 1}, ${formatPercent(image.share)}`, onclick },
    element("img", { src: image.url, alt: "", width: image.width, height: image.height }),
  );
}
