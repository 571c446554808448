// The selection of pictures in the gallery, and the actions on it.
import { toast } from "./announce.js";
import { apiPath, request } from "./api.js";
import { openDialog } from "./dialogs.js";
import { element, setChildren } from "./dom.js";
import { downloadFromApi } from "./downloads.js";
import { pluralize } from "./format.js";
import { updateKept } from "./gallery-list.js";
import { icon } from "./icons.js";

const ARCHIVE_LIMIT = 1000;

/** The selected pictures of the grid, and the actions on them. */
export class Selection {
  constructor(grid, { onDeleted }) {
    this.grid = grid;
    this.onDeleted = onDeleted;
    this.count = element("span", { class: "small tabular", role: "status" });
    this.actions = element("div", { class: "selection-actions", hidden: true });
    grid.addEventListener("change", () => this.#show());
  }

  /** The buttons; `allPath()` is the archive of everything that is found. */
  toolbar(allPath) {
    const select = element("button", { type: "button", class: "button plain", "aria-pressed": "false" }, "Select");
    select.addEventListener("click", () => {
      const selecting = select.ariaPressed !== "true";
      select.ariaPressed = String(selecting);
      this.grid.classList.toggle("selecting", selecting);
      if (!selecting) this.clear();
    });
    const download = actionButton("download", "Download", () => downloadFromApi(this.#archive(), "images.zip"));
    const remove = actionButton("trash", "Delete …", () => this.#delete());
    setChildren(this.actions, this.count, download, remove);
    const all = actionButton("download", "Download all", () => downloadAll(allPath()));
    return element("div", { class: "selection" }, select, all, this.actions);
  }

  /** Select nothing. */
  clear() {
    for (const box of this.#boxes()) box.checked = false;
    this.#show();
  }

  #boxes() {
    return [...this.grid.querySelectorAll("input:checked")];
  }

  #ids() {
    return this.#boxes().map((box) => box.closest("li").dataset.image);
  }

  #archive() {
    return `/v1/images/archive?${new URLSearchParams(this.#ids().map((id) => ["id", id]))}`;
  }

  #show() {
    const count = this.#boxes().length;
    this.actions.hidden = count === 0;
    this.count.textContent = `${count.toLocaleString("en")} selected`;
  }

  async #delete() {
    const ids = this.#ids();
    const deleted = await openDialog({
      title: `Delete ${pluralize(ids.length, "picture")}?`,
      body: [element("p", { class: "muted" }, "This cannot be undone.")],
      accept: "Delete",
      danger: true,
      onAccept: async () => {
        for (const id of ids) await deleteImage(id);
        return true;
      },
    });
    if (!deleted) return;
    this.onDeleted(ids);
    this.clear();
    toast(`${pluralize(ids.length, "picture")} deleted.`);
  }
}

/** Delete an image; one that is gone already counts as deleted. */
export async function deleteImage(id) {
  await request("DELETE", apiPath("images", id)).catch((error) => {
    if (error.status !== 404) throw error;
  });
  updateKept(id, null);
}

function actionButton(iconName, label, action) {
  const button = element("button", { type: "button", class: "button plain" }, icon(iconName), label);
  button.addEventListener("click", async () => {
    button.ariaBusy = "true";
    await Promise.resolve(action()).catch((error) => toast(error.message));
    button.ariaBusy = null;
  });
  return button;
}

async function downloadAll(path) {
  await downloadFromApi(path, "images.zip").catch((error) => {
    if (error.status !== 422) throw error;
    throw new Error(`More than ${ARCHIVE_LIMIT} pictures match: search for fewer, or select some.`);
  });
}
