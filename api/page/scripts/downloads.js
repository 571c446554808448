// File downloads.
import { request } from "./api.js";
import { element } from "./dom.js";

/** Download a file of the API through fetch: a plain link cannot send the API key. */
export async function downloadFromApi(url, fallbackName) {
  const response = await request("GET", url);
  const match = /filename="?(?<name>[^";]+)/u.exec(response.headers.get("Content-Disposition") ?? "");
  const objectUrl = URL.createObjectURL(await response.blob());
  downloadLink(objectUrl, match?.groups.name ?? fallbackName).click();
  setTimeout(() => URL.revokeObjectURL(objectUrl), 10_000);
}

/** A link that downloads a URL under a file name. */
export function downloadLink(url, name) {
  return element("a", { href: url, download: name });
}

/**
 * The file extension of an image's content type.
 *
 * @param {JobImage} image
 */
export function fileExtension(image) {
  return image.content_type.split("/")[1].replace("jpeg", "jpg");
}
