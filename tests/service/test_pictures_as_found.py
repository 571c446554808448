"""Uploaded pictures as people have them: colour, emptiness, metadata, broken ends, raw files, animations, sizes."""

import io
import struct
import time
import zlib

import pytest
from PIL import Image, ImageCms

from service.errors import ImageUnreadableError, ImageUnsupportedError, InvalidInputError
from service.settings import Limits
from service.uploads.budget import PixelBudget
from service.uploads.files import File
from service.uploads.pictures import sanitize
from tests.support.pictures_as_found import (
    animation,
    case,
    chromaticities,
    chunk,
    cicp,
    gamma,
    grey_tiff,
    jpeg_of,
    mpo,
    plain,
    tiff,
    with_chunks,
    with_segments,
)
from tests.support.upload_samples import BLUE, GREEN, RED, WHITE, encoded, jpeg, png, quarters, turned


def read(data, mask=None):
    return sanitize(File("my photo", data, caption=None, mask=mask), Limits(), PixelBudget(10**12))


def opened(picture):
    return Image.open(io.BytesIO(picture.data))


def colour_of(data):
    """The colour in the middle."""
    picture = opened(read(data)).convert("RGB")
    return picture.getpixel((picture.width // 2, picture.height // 2))


def near(seen, wanted, tolerance=8):
    return all(abs(a - b) <= tolerance for a, b in zip(seen, wanted, strict=True))


def is_quarters(picture):
    image = opened(picture).convert("RGB")
    right, bottom = image.width - 5, image.height - 5
    seen = [image.getpixel(place) for place in ((4, 4), (right, 4), (4, bottom), (right, bottom))]
    return all(near(*pair, 40) for pair in zip(seen, (RED, GREEN, BLUE, WHITE), strict=True))


# --- colour

P3 = (217, 42, 52)
"""(200, 60, 60) of Display P3, in sRGB."""

PROFILES = {"srgb": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}


def lab(lightness, a, b):
    return encoded(Image.merge("LAB", [Image.new("L", (64, 48), v) for v in (lightness, a, b)]), "TIFF")


def with_adobe_exif(data, *, uncalibrated):
    exif = Image.Exif()
    exif[0x0112] = 1
    exif.get_ifd(0x8769)[0xA001] = 65535 if uncalibrated else 2
    if uncalibrated:
        exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    return with_segments(data, (0xE1, b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")))


COLOURS = {
    "Display P3 by code points in HEIC": (case("p3-nclx.heic"), P3),
    "Display P3 by code points in AVIF": (case("p3-nclx.avif"), P3),
    "Display P3 by cICP": (cicp((200, 60, 60), 12, 13), P3),
    "sRGB by cICP": (cicp((200, 60, 60), 1, 13), (200, 60, 60)),
    "unspecified cICP": (cicp((200, 60, 60), 2, 2), (200, 60, 60)),
    "video range by cICP": (cicp((235, 126, 16), 1, 13, full=0), (255, 128, 0)),
    "BT.2020 by cICP": (cicp((150, 150, 150), 9, 13), (150, 150, 150)),
    "PQ's reference white": (cicp((148, 148, 148), 9, 16), (255, 255, 255)),
    "PQ's middle grey of 26 cd/m²": (cicp((94, 94, 94), 9, 16), (100, 100, 100)),
    "HLG's reference white": (cicp((191, 191, 191), 9, 18), (255, 255, 255)),
    "linear light by cICP": (cicp((55, 55, 55), 1, 8), (128, 128, 128)),
    "linear light by gAMA": (with_chunks(plain((55, 55, 55)), gamma(1.0)), (128, 128, 128)),
    "gamma 1.8 by gAMA": (with_chunks(plain((128, 128, 128)), gamma(1 / 1.8)), (146, 146, 146)),
    "the usual gAMA": (with_chunks(plain((200, 60, 60)), gamma(0.45455)), (200, 60, 60)),
    "Display P3 by cHRM": (
        with_chunks(
            plain((200, 60, 60)), gamma(0.45455), chromaticities(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
        ),
        P3,
    ),
    "sRGB goes before cHRM": (
        with_chunks(
            plain((200, 60, 60)),
            (b"sRGB", b"\0"),
            gamma(1.0),
            chromaticities(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
        ),
        (200, 60, 60),
    ),
    "cICP goes before a profile": (
        with_chunks(plain((200, 60, 60), icc_profile=PROFILES["srgb"]), (b"cICP", bytes((12, 13, 0, 1)))),
        P3,
    ),
    "impossible cHRM": (with_chunks(plain((200, 60, 60)), chromaticities(*[0.0] * 8)), (200, 60, 60)),
    "Adobe RGB by EXIF": (
        with_adobe_exif(plain((200, 60, 60), kind="JPEG", quality=95), uncalibrated=False),
        (231, 57, 57),
    ),
    "Adobe RGB by DCF's R03": (
        with_adobe_exif(plain((200, 60, 60), kind="JPEG", quality=95), uncalibrated=True),
        (231, 57, 57),
    ),
    "Display P3 by TIFF's tags": (
        tiff(
            Image.open(io.BytesIO(plain((200, 60, 60)))),
            t318=(0.3127, 0.329),
            t319=(0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
        ),
        P3,
    ),
    "Lab in TIFF": (lab(128, 128, 128), (119, 119, 119)),
    "a profile of RGB on grey": (
        encoded(quarters().convert("L").point(lambda _: 100), "PNG", icc_profile=PROFILES["srgb"]),
        (100, 100, 100),
    ),
}


@pytest.mark.parametrize("kind", COLOURS)
def test_colours_are_converted_to_srgb_however_the_format_says_them(kind):
    data, wanted = COLOURS[kind]
    assert near(colour_of(data), wanted)


@pytest.mark.parametrize(("primaries", "transfer"), [(1, 9), (1, 10), (10, 13), (77, 13), (1, 99)])
def test_colours_that_cannot_be_converted_are_refused(primaries, transfer):
    with pytest.raises(ImageUnsupportedError, match="my photo has colours of code points"):
        read(cicp((1, 2, 3), primaries, transfer))


def test_a_grey_profile_is_applied_beside_alpha():
    curve = b"curv" + struct.pack(">4xIH2x", 1, 256)
    tags = {b"desc": b"desc" + struct.pack(">4xI", 2) + b"g\0" + bytes(78), b"wtpt": b"XYZ " + bytes(4), b"kTRC": curve}
    tags[b"wtpt"] += struct.pack(">3i", 63190, 65536, 54061)
    start, entries, body = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        entries += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s12x4s", start + len(body), b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
    header += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    profile = header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body
    grey = Image.merge("LA", [Image.new("L", (64, 48), 55), quarters().convert("L")])
    seen = opened(read(encoded(grey, "PNG", icc_profile=profile))).getpixel((40, 5))
    assert near(seen[:3], (128, 128, 128))
    assert near(seen[3:], (150,))


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (grey_tiff(lambda x: 1028 * x, bits=16, photometric=1), 32 * 4),
        (grey_tiff(lambda x: 65535 - 1028 * x, bits=16, photometric=0), 32 * 4),
        (grey_tiff(lambda x: 64 * x, bits=12, photometric=1), 32 * 4),
        (encoded(quarters().convert("L"), "TIFF"), None),
    ],
)
def test_greys_have_their_depth_and_polarity(data, wanted):
    seen = colour_of(data)
    assert wanted is None or near(seen, (wanted,) * 3, 3)


@pytest.mark.parametrize("kind", ["CMYK JPEG", "grey JPEG", "palette with tRNS", "grey with alpha", "MPO"])
def test_every_mode_keeps_its_colours(kind):
    data = {
        "CMYK JPEG": jpeg_of("CMYK"),
        "grey JPEG": jpeg_of("L"),
        "palette with tRNS": encoded(quarters().quantize(8), "PNG", transparency=7),
        "grey with alpha": encoded(quarters().convert("LA"), "PNG"),
        "MPO": mpo(),
    }[kind]
    picture = read(data)
    assert is_quarters(picture) or kind.startswith("grey")


# --- orientation


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_pictures_are_upright_and_so_is_their_original_size(kind, orientation):
    picture = read(turned(orientation, kind))
    assert is_quarters(picture)
    assert (picture.original_width, picture.original_height) == (64, 48) == (picture.width, picture.height)


# --- metadata that no picture needs


def zipped_text(name, size):
    return name, b"workflow\0\0" + zlib.compress(b"{}" * (size // 2))


METADATA = {
    "a workflow in tEXt": case("text-2mb.png"),
    "huge zTXt": with_chunks(png(), zipped_text(b"zTXt", 8_000_000)),
    "huge iTXt": with_chunks(png(), (b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"x" * 8_000_000))),
    "a hundred texts": with_chunks(png(), *[(b"tEXt", b"a\0" + b"x" * 900_000)] * 10),
    "a private chunk": with_chunks(png(), (b"caBX", b"x" * 3_000_000)),
    "a broken text chunk": png()[:33] + chunk(b"tEXt", b"a\0b")[:-1] + b"?" + png()[33:],
    "a broken profile in PNG": with_chunks(png(), (b"iCCP", b"a\0\0" + b"no zlib")),
    "a profile of 8 MB in PNG": with_chunks(png(), (b"iCCP", b"a\0\0" + zlib.compress(bytes(8_000_000)))),
    "huge EXIF in PNG": with_chunks(png(), (b"eXIf", b"MM\0*" + b"x" * 2_000_000)),
    "XMP in JPEG": with_segments(jpeg(), *[(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"x" * 60_000)] * 50),
    "comments in JPEG": with_segments(jpeg(), *[(0xFE, b"x" * 60_000)] * 50),
    "broken Photoshop data": with_segments(jpeg(), (0xED, b"Photoshop 3.0\0" + b"8BIM\xff\xff")),
    "a broken index of pictures": with_segments(jpeg(), (0xE2, b"MPF\0MM\0*\xff\xff\xff\xff")),
    "a broken profile in JPEG": with_segments(jpeg(), (0xE2, b"ICC_PROFILE\0\1\1" + b"nonsense" * 50)),
    "half a profile in JPEG": with_segments(jpeg(), (0xE2, b"ICC_PROFILE\0\1\3" + b"x" * 500)),
    "broken EXIF in JPEG": with_segments(jpeg(), (0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")),
    "bytes after the end of a JPEG": jpeg() + b"trailing" * 10_000,
    "bytes after the end of a PNG": png() + b"trailing" * 10_000,
    "a film after a JPEG": jpeg() + b"\0\0\0\x18ftypmp42" + b"\xff\xd8\xff" * 1000,
}


@pytest.mark.parametrize("kind", METADATA)
def test_metadata_that_no_picture_needs_refuses_and_slows_none(kind):
    started = time.process_time()
    picture = read(METADATA[kind])
    assert time.process_time() - started < 2
    if kind == "a workflow in tEXt":
        assert near(opened(picture).getpixel((5, 5)), (10, 120, 200), 0)
    else:
        assert is_quarters(picture)


def test_megabytes_of_comments_in_a_gif_take_no_time():
    data = encoded(quarters(), "GIF")
    comments = b"\x21\xfe" + (b"\xff" + b"x" * 255) * 40_000 + b"\0"
    start = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    started = time.process_time()
    assert is_quarters(read(data[:start] + comments + data[start:]))
    assert time.process_time() - started < 1


# --- ends


def without_end(data):
    return data[:-2]


CLOSED = {
    "no end marker": case("no-end-marker.jpg"),
    "half an end marker": case("progressive-minus-1.jpg"),
    "baseline": without_end(jpeg()),
    "progressive": without_end(jpeg(progressive=True)),
    "grey": without_end(jpeg_of("L")),
    "CMYK": without_end(jpeg_of("CMYK")),
    "restart markers": without_end(jpeg(restart_marker_rows=1)),
    "a PNG without its end": png()[:-12],
    "a PNG without the checksum of its pixels": png()[:-14],
    "a GIF without its end": encoded(quarters(), "GIF")[:-1],
}


@pytest.mark.parametrize("kind", CLOSED)
def test_a_file_without_its_end_is_read_where_all_pixels_are_there(kind):
    picture = read(CLOSED[kind])
    if "end marker" not in kind and kind != "grey":
        assert is_quarters(picture)


@pytest.mark.parametrize("kind", ["baseline", "progressive", "CMYK", "restart markers"])
@pytest.mark.parametrize("missing", [8, 30, 200])
def test_a_jpeg_that_lacks_scan_data_is_refused(kind, missing):
    with pytest.raises(ImageUnreadableError, match="my photo is damaged"):
        read(CLOSED[kind][:-missing])


def test_a_progressive_jpeg_that_lacks_its_last_scan_is_refused():
    data = jpeg(progressive=True)
    with pytest.raises(ImageUnreadableError, match="breaks off"):
        read(data[: data.rindex(b"\xff\xda")])


@pytest.mark.parametrize("missing", [20, 60, 100])
def test_a_png_that_lacks_pixels_is_refused(missing):
    noisy = encoded(Image.effect_noise((64, 64), 80), "PNG")
    with pytest.raises(ImageUnreadableError, match="damaged"):
        read(noisy[: -12 - missing])


# --- camera raw files

CLEAR = quarters((160, 120))
RAW = {
    "DNG": case("raw-96px-thumb-160x120.dng"),
    "DNG of its sensor's data": tiff(CLEAR, t50706=b"\1\4\0\0"),
    "CR2": b"II*\0\x10\0\0\0CR\2\0" + bytes(500),
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(500),
    "CRW": b"II\x1a\0\0\0HEAPCCDR" + bytes(500),
    "NEF and ARW": tiff(CLEAR, t254=1, t330=8),
    "PEF": tiff(CLEAR, t33421=(2, 2)),
    "ORF": b"IIRO\x08\0\0\0" + bytes(500),
    "RW2": b"IIU\0\x18\0\0\0" + bytes(500),
    "RAF": b"FUJIFILMCCD-RAW 0201" + bytes(500),
    "X3F": b"FOVb\3\0\2\0" + bytes(500),
    "MRW": b"\0MRM" + bytes(500),
    "IIQ": b"II*\0IIII" + bytes(500),
}


@pytest.mark.parametrize("kind", RAW)
def test_a_raw_file_of_a_camera_is_refused_by_name(kind):
    with pytest.raises(ImageUnsupportedError, match=r"my photo is a camera's raw file\. Export it as JPEG"):
        read(RAW[kind])


def test_a_thumbnail_before_the_picture_of_a_tiff_is_passed_over():
    thumbnail = Image.new("RGB", (64, 48), "grey")
    info = {254: 1}
    data = io.BytesIO()
    thumbnail.save(data, "TIFF", tiffinfo=info, save_all=True, append_images=[quarters()])
    # Both pages get the tag; the second one's is taken back.
    file = bytearray(data.getvalue())
    entry = struct.pack("<HHI", 254, 4, 1)
    second = file.rfind(entry)
    file[second + 8 : second + 12] = bytes(4)
    assert is_quarters(read(bytes(file)))


# --- nothing to learn

INVISIBLE = {
    "transparent": case("transparent.png"),
    "transparent WebP": encoded(Image.new("RGBA", (64, 48)), "WEBP", lossless=True),
    "transparent grey": encoded(Image.new("LA", (64, 48), (90, 0)), "PNG"),
    "transparent palette": encoded(Image.new("P", (64, 48)), "PNG", transparency=0),
    "nearly transparent": encoded(Image.new("RGBA", (64, 48), (200, 30, 30, 3)), "PNG"),
    "white": encoded(Image.new("RGB", (64, 48), "white"), "PNG"),
    "white JPEG": encoded(Image.new("RGB", (64, 48), "white"), "JPEG"),
    "white on transparent": case("mask-white-on-transparent.png"),
    "transparent animation": animation("GIF", *[Image.new("RGBA", (64, 48))] * 2),
}


@pytest.mark.parametrize("kind", INVISIBLE)
def test_a_picture_that_shows_nothing_is_refused_by_name(kind):
    with pytest.raises(ImageUnreadableError, match="my photo shows nothing"):
        read(INVISIBLE[kind])


def test_a_picture_of_one_colour_is_read_and_marked():
    assert read(encoded(Image.new("RGB", (64, 48), (200, 60, 60)), "JPEG")).uniform
    assert not read(png()).uniform
    assert not read(encoded(Image.linear_gradient("L"), "PNG")).uniform


def alpha_of(mask):
    return opened(read(png((96, 64)), mask=mask)).getchannel("A")


def half(mode, left, right):
    picture = Image.new(mode, (96, 64), left)
    picture.paste(right, (48, 0, 96, 64))
    return encoded(picture, "PNG")


MASKS = {
    "white and black": half("RGB", "white", "black"),
    "grey values": half("L", 255, 0),
    "white on transparent": half("RGBA", (255, 255, 255, 255), (255, 255, 255, 0)),
    "black on transparent": half("RGBA", (0, 0, 0, 255), (0, 0, 0, 0)),
    "red on transparent": half("RGBA", (255, 0, 0, 255), (0, 0, 0, 0)),
    "white and black, all opaque": half("RGBA", (255, 255, 255, 255), (0, 0, 0, 255)),
    "grey with alpha": half("LA", (255, 255), (255, 0)),
    "two values": half("1", 1, 0),
}


@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_is_its_brightness_or_its_alpha_where_that_varies(kind):
    alpha = alpha_of(MASKS[kind])
    assert alpha.getpixel((10, 30)) == 255
    assert alpha.getpixel((90, 30)) == 0


def test_the_masks_alpha_of_the_case_is_understood():
    assert alpha_of(case("mask-white-on-transparent.png")).getextrema() == (0, 255)


@pytest.mark.parametrize(
    "mask",
    [
        encoded(Image.new("L", (96, 64)), "PNG"),
        encoded(Image.new("L", (96, 64), 1), "PNG"),
        encoded(Image.new("RGBA", (96, 64)), "PNG"),
        encoded(Image.new("RGBA", (96, 64), (255, 255, 255, 0)), "PNG"),
    ],
)
def test_a_mask_that_leaves_nothing_is_refused_by_name(mask):
    with pytest.raises(InvalidInputError, match="the mask of my photo leaves nothing"):
        read(png((96, 64)), mask=mask)


# --- animations

NOTHING, COLOUR = Image.new("RGBA", (64, 48)), Image.new("RGBA", (64, 48), "black")
SOMETHING = quarters(mode="RGBA")
ANIMATIONS = {
    "GIF from nothing": animation("GIF", NOTHING, NOTHING, SOMETHING),
    "GIF from black": animation("GIF", COLOUR, SOMETHING),
    "WebP from nothing": animation("WEBP", NOTHING, SOMETHING, lossless=True),
    "APNG from nothing": animation("PNG", NOTHING, SOMETHING),
    "AVIF from black": animation("AVIF", COLOUR.convert("RGB"), SOMETHING.convert("RGB"), quality=95),
    "TIFF with an empty page": animation("TIFF", COLOUR, SOMETHING),
}


@pytest.mark.parametrize("kind", ANIMATIONS)
def test_an_animation_gives_its_first_frame_that_shows_something(kind):
    assert is_quarters(read(ANIMATIONS[kind]))


# --- sizes


@pytest.mark.parametrize("make", [png, jpeg])
@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((6000, 1500), (4096, 1024)),
        ((1290, 2796), (1024, 2219)),
        ((4000, 3000), (2048, 1536)),
        ((3000, 1000), (3000, 1000)),
        ((2160, 1080), (2048, 1024)),
        ((800, 700), (800, 700)),
    ],
)
def test_the_shorter_side_is_kept_at_1024_where_it_was_there(make, size, kept):
    picture = read(make(size))
    assert (picture.width, picture.height) == kept
    assert (picture.original_width, picture.original_height) == size
