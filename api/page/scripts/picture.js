// Picture frames: sized before the picture has loaded, reloaded once when a signed URL has expired.
import { apiPath, get } from "./api.js";
import { element } from "./dom.js";

/**
 * A frame with an image of the API.
 *
 * `reload(id)` resolves with the same image under a new URL.
 *
 * @param {JobImage} image
 * @param {string} alt
 * @param {?(id: string) => Promise<JobImage>} [reload]
 */
export function pictureFrame(image, alt, reload = null) {
  const img = element("img", { alt, decoding: "async", width: image.width, height: image.height });
  const frame = element("div", { class: "frame", style: { "aspect-ratio": `${image.width} / ${image.height}` } }, img);
  let reloaded = false;
  img.addEventListener("load", () => img.classList.add("loaded"));
  img.addEventListener("error", async () => {
    const fresh = reloaded || !reload ? null : await reload(image.id).catch(() => null);
    reloaded = true;
    if (fresh?.url) img.src = fresh.url;
    else frame.append(element("span", { class: "missing" }, "This picture is no longer available."));
  });
  if (image.url) img.src = image.url;
  return frame;
}

/** A frame for a picture that has not been generated yet. */
export function placeholderFrame(width = 1, height = 1) {
  return element("div", { class: "frame waiting", style: { "aspect-ratio": `${width} / ${height}` } });
}

/**
 * A `reload` for the images of a job.
 *
 * @param {string} jobId
 * @returns {(id: string) => Promise<JobImage>}
 */
export function imageReloader(jobId) {
  return async (id) => (await get(apiPath("jobs", jobId))).output.images.find((image) => image.id === id);
}

/** A `reload` for the images of the gallery. */
export function galleryImageReloader(id) {
  return get(apiPath("images", id));
}

/** Call `callback()` once, when an element becomes visible. */
export function onceVisible(target, callback, signal) {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      callback();
    },
    { rootMargin: "200px" },
  );
  observer.observe(target);
  signal?.addEventListener("abort", () => observer.disconnect());
}
