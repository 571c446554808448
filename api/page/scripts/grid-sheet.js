// The sheet of a grid as one PNG, with the values of both axes.

const CELL_PX = 256;
const LABEL_PX = 176;
const HEAD_PX = 56;
const GAP_PX = 8;
const LINE_PX = 18;

/**
 * Draw the pictures of a grid.
 *
 * @param {{ values: string[] }} rows
 * @param {{ values: string[] }} columns
 * @param {any[][]} cells
 * @returns {Promise<Blob>}
 */
export async function drawSheet(rows, columns, cells) {
  const canvas = document.createElement("canvas");
  canvas.width = LABEL_PX + columns.values.length * (CELL_PX + GAP_PX);
  canvas.height = HEAD_PX + rows.values.length * (CELL_PX + GAP_PX);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "black";
  context.font = "14px system-ui, sans-serif";
  for (const [index, value] of columns.values.entries()) {
    writeText(context, value, { left: LABEL_PX + index * (CELL_PX + GAP_PX), top: LINE_PX, width: CELL_PX });
  }
  for (const [index, value] of rows.values.entries()) {
    writeText(context, value, { left: GAP_PX, top: HEAD_PX + index * (CELL_PX + GAP_PX) + LINE_PX, width: LABEL_PX });
  }
  for (const [row, line] of cells.entries()) {
    for (const [column, { image }] of line.entries()) {
      if (!image) continue;
      const place = { left: LABEL_PX + column * (CELL_PX + GAP_PX), top: HEAD_PX + row * (CELL_PX + GAP_PX) };
      drawContained(context, await loaded(image.url), place);
    }
  }
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The sheet is too large for this browser."))));
  });
}

/** An image, ready to be drawn; its server has to allow that for another origin. */
async function loaded(url) {
  const image = new Image();
  image.crossOrigin = "anonymous";
  image.src = url;
  await image.decode().catch(() => {
    throw new Error("A picture could not be read. Reload the page, and generate the grid again.");
  });
  return image;
}

function drawContained(context, image, { left, top }) {
  const scale = CELL_PX / Math.max(image.width, image.height);
  const [width, height] = [image.width * scale, image.height * scale];
  context.drawImage(image, left + (CELL_PX - width) / 2, top + (CELL_PX - height) / 2, width, height);
}

/** Write a text in lines of a width; two lines at most in the head, more beside a row. */
function writeText(context, text, { left, top, width }) {
  let line = "";
  let bottom = top;
  for (const word of text.split(" ")) {
    const longer = line ? `${line} ${word}` : word;
    if (line && context.measureText(longer).width > width - GAP_PX) {
      context.fillText(line, left, bottom, width);
      bottom += LINE_PX;
      line = word;
    } else line = longer;
  }
  context.fillText(line, left, bottom, width);
}
