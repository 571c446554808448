"""Picture preparation and assembly: training crops, contact sheets and animations."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from dti.errors import NoPicturesError, PictureError
from dti.spec.settings import AnimationFormat

_GAP_PX = 4
_LABEL_PX = 14
_FRAMES_PER_S = 8


@dataclass(frozen=True, slots=True)
class View:
    """Position of a crop in a picture, for size and crop conditioning.

    Attributes:
        whole_width: original width of the picture, before resizing.
        whole_height: original height of the picture.
        left: of the crop, in pixels of the resized picture, as for the following three.
        top: of the crop.
        width: of the crop.
        height: of the crop.

    Source: Podell et al., "SDXL", arXiv 2307.01952, section 2.2. Conditioned on the original size, a denoiser does not
    attribute the blur of an enlargement to the subject.
    """

    whole_width: int
    whole_height: int
    left: int
    top: int
    width: int
    height: int

    @classmethod
    def whole(cls, width: int, height: int) -> "View":
        """The whole of a picture of this size."""
        return cls(width, height, 0, 0, width, height)


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A square training crop.

    Attributes:
        pixels: `(3, side, side)`, float32 in -1 … 1.
        view: position of the crop.
        subject: `(1, side, side)`, opacity of the picture, 0 … 1.
    """

    pixels: Tensor
    view: View
    subject: Tensor


def prepare(
    picture: Image.Image,
    resolution: int,
    crops: int,
    generator: torch.Generator,
    original_size: tuple[int, int] | None = None,
) -> list[Crop]:
    """Square crops of a picture, its shorter side resized to the resolution (bicubic).

    Args:
        picture: of any mode; transparency is composited on white.
        resolution: side of the crops in pixels.
        crops: maximum number of crops at distinct positions; a nearly square picture has fewer.
        generator: CPU generator; draws the positions.
        original_size: width and height before the picture was scaled down; None for its own.

    Returns:
        At least one crop of `resolution` by `resolution`.
    """
    flat, opacity = flatten(picture), _opacity(picture)
    short, spare = min(flat.size), max(flat.size) - min(flat.size)
    positions = round(spare * resolution / short) + 1
    chosen = torch.randperm(positions, generator=generator)[:crops].tolist()
    # Cropped and resized in one step: resizing a long strip as a whole first could take unbounded memory.
    starts = [spare * (position / (positions - 1) if positions > 1 else 0.5) for position in chosen]
    size = original_size or flat.size
    return [_crop(flat, opacity, start, short, resolution, original_size=size) for start in starts]


def flatten(picture: Image.Image) -> Image.Image:
    """The picture as upright 8-bit RGB, transparency composited on white."""
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I;16"):
        # Pillow clips 16-bit values to 8 bits instead of scaling them, which turns nearly everything white.
        upright = Image.fromarray((np.asarray(upright) // 257).astype(np.uint8))
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    white = Image.new("RGBA", upright.size, "white")
    white.alpha_composite(upright.convert("RGBA"))
    return white.convert("RGB")


def contact_sheet(pictures: Sequence[Image.Image], columns: int, labels: Sequence[str] | None = None) -> Image.Image:
    """Pictures in a grid on white, with optional labels underneath.

    Raises:
        NoPicturesError: there are no pictures.
    """
    if not pictures:
        raise NoPicturesError("There are no pictures to lay out.")
    cell_width = max(picture.width for picture in pictures)
    cell_height = max(picture.height for picture in pictures) + (_LABEL_PX if labels else 0)
    across, down = min(columns, len(pictures)), -(-len(pictures) // columns)
    size = (across * (cell_width + _GAP_PX) + _GAP_PX, down * (cell_height + _GAP_PX) + _GAP_PX)
    sheet = Image.new("RGB", size, "white")
    for index, picture in enumerate(pictures):
        left = _GAP_PX + index % columns * (cell_width + _GAP_PX)
        top = _GAP_PX + index // columns * (cell_height + _GAP_PX)
        sheet.paste(picture, (left, top))
        if labels:
            sheet.paste(_label(labels[index], cell_width), (left, top + cell_height - _LABEL_PX))
    return sheet


def to_png(picture: Image.Image) -> bytes:
    """PNG bytes of a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return buffer.getvalue()


def data_address(picture: Image.Image, side_px: int | None = None) -> str:
    """A picture as a WebP data address, for self-contained pages and notebooks.

    Args:
        picture: the picture.
        side_px: longest side; larger pictures are made smaller, None keeps the size.
    """
    shown = picture.convert("RGB")
    if side_px is not None:
        shown.thumbnail((side_px, side_px))
    buffer = io.BytesIO()
    shown.save(buffer, "webp", quality=88)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def exif_comment(note: str) -> Image.Exif:
    """EXIF with this UserComment, in UTF-16BE, the byte order that most readers expect."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + note.encode("utf-16-be")
    return exif


def to_animation(
    frames: Sequence[Image.Image],
    format: AnimationFormat,  # noqa: A002 - the API's word
    note: str = "",
) -> bytes:
    """An animation of eight frames per second, GIF and WebP in an endless loop; deterministic bytes.

    Args:
        frames: of equal size.
        format: file format.
        note: metadata text: a comment in GIF and MP4, EXIF's UserComment in WebP.

    Raises:
        NoPicturesError: there are no frames.
        PictureError: the frames differ in size.
    """
    if not frames:
        raise NoPicturesError("There are no frames to assemble.")
    sizes = {frame.size for frame in frames}
    if len(sizes) > 1:
        raise PictureError(f"Frames must have one size, these have {sorted(sizes)}. Render them alike.")
    first, *rest = [frame.convert("RGB") for frame in frames]
    if format == "mp4":
        return _mp4([first, *rest], note)
    sink = io.BytesIO()
    options = {"lossless": True, "exif": exif_comment(note)} if format == "webp" else {"comment": note.encode()}
    first.save(sink, format, save_all=True, append_images=rest, duration=1000 // _FRAMES_PER_S, loop=0, **options)
    return sink.getvalue()


def _opacity(picture: Image.Image) -> Image.Image:
    """The picture's alpha channel as a greyscale picture; white without one."""
    upright = ImageOps.exif_transpose(picture)
    if not upright.has_transparency_data:
        return Image.new("L", upright.size, "white")
    return upright.convert("RGBA").getchannel("A")


def _crop(
    flat: Image.Image,
    opacity: Image.Image,
    start: float,
    short: int,
    resolution: int,
    *,
    original_size: tuple[int, int],
) -> Crop:
    left, top = (start, 0.0) if flat.width > flat.height else (0.0, start)
    side = (resolution, resolution)
    box = (left, top, left + short, top + short)
    square, subject = (layer.resize(side, Image.Resampling.BICUBIC, box=box) for layer in (flat, opacity))
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1).float().div(127.5).sub(1)
    x, y = (round(length * resolution / short) for length in (left, top))
    opaque = torch.from_numpy(np.array(subject))[None].float().div(255)
    return Crop(pixels, View(*original_size, x, y, resolution, resolution), opaque)


def _label(text: str, width: int) -> Image.Image:
    """A label as a strip of the cell's width; longer text is clipped."""
    strip = Image.new("RGB", (width, _LABEL_PX), "white")
    ImageDraw.Draw(strip).text((0, 1), text, fill="black", font=ImageFont.load_default(size=_LABEL_PX - 4))
    return strip


def _mp4(frames: Sequence[Image.Image], note: str) -> bytes:
    """H.264 with even sides and 4:2:0 colour, which all browsers play."""
    import av  # noqa: PLC0415 - needed for MP4 only

    width, height = (side + side % 2 for side in frames[0].size)
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        container.metadata["comment"] = note
        stream = container.add_stream("libx264", rate=_FRAMES_PER_S)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # One thread, because x264 writes its thread count into the file and bytes should not depend on the machine.
        stream.thread_count = 1
        stream.options = {"crf": "16"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame.crop((0, 0, width, height)))))
        container.mux(stream.encode())
    return sink.getvalue()
