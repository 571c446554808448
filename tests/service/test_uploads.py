import contextlib
import hashlib
import io
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from service.errors import (
    ImageTooLargeError,
    ImageTooSmallError,
    ImageUnreadableError,
    ImageUnsupportedError,
    InvalidInputError,
    ServiceError,
)
from service.settings import Limits
from service.uploads.files import Upload
from service.uploads.reading import read_pictures
from tests.support import upload_samples
from tests.support.upload_samples import BLUE, GREEN, RED, WHITE, archive, encoded, jpeg, png, quarters, turned

LIMITS = Limits()


def upload(data, name="my photo.png"):
    return Upload(name, io.BytesIO(data))


def read(data, name="my photo.png", limits=LIMITS):
    (picture,) = read_pictures([upload(data, name)], [], limits)
    return picture


def unpack(data, limits=LIMITS):
    return read_pictures([], [upload(data, "pictures.zip")], limits)


def opened(picture):
    return Image.open(io.BytesIO(picture.data))


def corners(image):
    image = image.convert("RGB")
    right, bottom = image.width - 5, image.height - 5
    return [image.getpixel(place) for place in ((4, 4), (right, 4), (4, bottom), (right, bottom))]


def near(seen, wanted, tolerance=12):
    pairs = zip(seen, wanted, strict=True)
    return all(abs(a - b) <= tolerance for one, other in pairs for a, b in zip(one, other, strict=True))


KINDS = {
    "png": png(),
    "jpeg": jpeg(),
    "progressive jpeg": jpeg(progressive=True),
    "webp": encoded(quarters(), "WEBP", lossless=True),
    "gif": encoded(quarters(), "GIF"),
    "animated gif": encoded(
        quarters(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 48)) for _ in range(3)]
    ),
    "animated webp": encoded(
        quarters(), "WEBP", save_all=True, append_images=[Image.new("RGB", (64, 48))], lossless=True
    ),
    "animated png": encoded(quarters(), "PNG", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
    "tiff": encoded(quarters(), "TIFF"),
    "compressed tiff": encoded(quarters(), "TIFF", compression="tiff_lzw"),
    "heic": encoded(quarters(), "HEIF", quality=95, chroma=444),
    "avif": encoded(quarters(), "AVIF", quality=95, subsampling="4:4:4"),
    "palette": png(mode="P"),
    "turned by 180": turned(3),
    "turned by 90": turned(6),
    "turned by 270": turned(8),
    "turned png": turned(6, "PNG"),
    "turned tiff": turned(6, "TIFF"),
    "turned webp": turned(6, "WEBP"),
    "turned heic": turned(6, "HEIF"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_decoded_upright_and_in_its_colours(kind):
    picture = read(KINDS[kind])
    assert (picture.width, picture.height) == (64, 48)
    assert near(corners(opened(picture)), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize("kind", KINDS)
def test_stored_pictures_have_a_content_type_and_no_metadata(kind):
    picture = read(KINDS[kind])
    image = opened(picture)
    image.load()
    assert picture.content_type == {"PNG": "image/png", "JPEG": "image/jpeg"}[image.format]
    assert picture.extension == {"PNG": "png", "JPEG": "jpg"}[image.format]
    assert image.size == (picture.width, picture.height)
    assert image.mode in {"RGB", "RGBA"}
    assert picture.sha256 == hashlib.sha256(picture.data).hexdigest()
    assert not set(image.info) & {"exif", "icc_profile", "comment", "xmp", "transparency"}


def test_the_same_file_is_stored_as_the_same_bytes():
    assert read(KINDS["jpeg"]) == read(KINDS["jpeg"])


def test_a_cmyk_jpeg_keeps_its_colours():
    image = opened(read(encoded(quarters(mode="CMYK"), "JPEG", quality=95)))
    assert near(corners(image), [RED, GREEN, BLUE, WHITE], tolerance=30)


def test_greys_of_sixteen_bits_are_scaled_and_not_clipped():
    ramp = Image.new("I;16", (64, 64))
    ramp.putdata([value * 1024 for _ in range(64) for value in range(64)])
    for kind in ("PNG", "TIFF"):
        greys = [opened(read(encoded(ramp, kind))).getpixel((x, 0))[0] for x in range(64)]
        assert greys == sorted(greys)
        assert greys[0] == 0
        assert 120 <= greys[32] <= 132


def test_a_palette_keeps_its_transparency():
    palette = quarters(mode="P")
    palette.info["transparency"] = palette.getpixel((4, 4))
    image = opened(read(encoded(palette, "PNG", transparency=palette.getpixel((4, 4)))))
    assert image.mode == "RGBA"
    assert image.getpixel((4, 4))[3] == 0
    assert image.getpixel((60, 4)) == (*GREEN, 255)


def test_a_colour_profile_is_applied_and_a_malformed_one_ignored():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile at all"):
        assert near(corners(opened(read(png(icc_profile=profile)))), [RED, GREEN, BLUE, WHITE], tolerance=3)


def test_malformed_exif_is_ignored():
    assert corners(opened(read(png(exif=b"Exif\0\0nonsense")))) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("size", [(3000, 1500), (1500, 3000), (2049, 2048)])
@pytest.mark.parametrize("make", [png, jpeg])
def test_large_pictures_are_scaled_to_the_longest_allowed_side(make, size):
    picture = read(make(size))
    assert max(picture.width, picture.height) == LIMITS.kept_side_px
    assert abs(picture.width / picture.height - size[0] / size[1]) < 0.01


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pictures_of_every_mode_are_scaled_down(mode):
    large = encoded(quarters((600, 300)).convert("L" if mode == "I;16" else "RGB").convert(mode), "PNG")
    picture = read(large, limits=Limits(kept_side_px=64))
    assert (picture.width, picture.height) == (64, 32)


REFUSED = {
    "zero bytes": (b"", ImageUnreadableError),
    "text": (b"I am a picture, believe me.\n" * 10, ImageUnsupportedError),
    "an archive": (archive({"a.png": png()}), ImageUnsupportedError),
    "a film": (b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + b"\0" * 100, ImageUnsupportedError),
    "32-bit values": (encoded(Image.new("F", (64, 64)), "TIFF"), ImageUnsupportedError),
    "one pixel": (png((1, 1)), ImageTooSmallError),
    "31 pixels": (png((31, 64)), ImageTooSmallError),
    "a thread": (png((4000, 40)), ImageTooSmallError),
    "a png's header that claims 10^10 pixels": (upload_samples.header_of_png(100_000, 100_000), ImageTooLargeError),
    "a png's header over the limit": (upload_samples.header_of_png(10_000, 5_001), ImageTooLargeError),
    "a webp's header over the limit": (upload_samples.header_of_webp(16_000, 16_000), ImageTooLargeError),
    "too many bytes": (png() + b"\0" * LIMITS.picture_bytes, ImageTooLargeError),
    "only a signature": (b"\x89PNG\r\n\x1a\n", ImageUnreadableError),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_unreadable_file_is_refused_and_named(kind):
    data, error = REFUSED[kind]
    with pytest.raises(error, match=r"my photo\.png") as refusal:
        read(data)
    assert " at 0x" not in str(refusal.value)  # an address in memory helps attackers only


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "animated" not in kind])
def test_a_truncated_picture_is_unreadable(kind):
    data = KINDS[kind]
    with pytest.raises(ImageUnreadableError, match=r"my photo\.png"):
        read(data[: len(data) * 2 // 3])


def test_a_header_with_exactly_the_allowed_pixels_passes():
    limits = Limits(picture_pixels=64 * 48)
    assert read(png((64, 48)), limits=limits).width == 64
    with pytest.raises(ImageTooLargeError):
        read(png((64, 49)), limits=limits)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(KINDS)))
def test_a_picture_with_changed_bytes_is_read_or_refused(data, kind):
    damaged = bytearray(KINDS[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ServiceError):
        picture = read(bytes(damaged))
        assert LIMITS.picture_side_px <= min(picture.width, picture.height)


# --- requests with several files


def test_pictures_keep_the_order_of_upload_single_files_first():
    pictures = read_pictures(
        [upload(png(), "b.png"), upload(jpeg(), "a.jpg")], [upload(archive({"c.png": png()}), "z.zip")], LIMITS
    )
    assert [picture.filename for picture in pictures] == ["b.png", "a.jpg", "c.png"]


def test_one_invalid_picture_refuses_the_upload():
    with pytest.raises(ImageUnreadableError, match=r"bad\.png"):
        read_pictures([upload(png(), "good.png"), upload(png()[:50], "bad.png")], [], LIMITS)


def test_no_pictures_and_too_many_are_refused():
    with pytest.raises(InvalidInputError, match="no pictures"):
        read_pictures([], [], LIMITS)
    with pytest.raises(InvalidInputError, match="more than 2"):
        read_pictures([upload(png()) for _ in range(3)], [], Limits(pictures=2))
    with pytest.raises(InvalidInputError, match="no pictures"):
        unpack(archive({".DS_Store": b"x"}))


@pytest.mark.parametrize(
    ("claimed", "shown"),
    [
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\Users\\me\\dog.png", "dog.png"),
        ("dog\x00\n.png", "dog.png"),
        ("\ud800dog.png", "dog.png"),
        ("", "(unnamed)"),
        ("x" * 400, "x" * 255),
    ],
)
def test_a_filename_is_shown_without_folders_and_unprintable_characters(claimed, shown):
    assert read(png(), claimed).filename == shown


# --- archives


def test_an_archive_yields_its_pictures_with_their_captions():
    pictures = unpack(
        archive(
            {
                "dogs/one.png": png(),
                "dogs/one.txt": "\ufeffa photo of {} asleep\n",
                "cats/one.jpg": jpeg(),
                "two.PNG": png(),
                "two.TXT": "  ",
            }
        )
    )
    assert [(picture.filename, picture.caption) for picture in pictures] == [
        ("one.png", "a photo of {} asleep"),
        ("one.jpg", None),
        ("two.PNG", None),
    ]


def test_files_that_operating_systems_add_are_ignored():
    members = {
        "dog.png": png(),
        "__MACOSX/._dog.png": b"junk",
        ".DS_Store": b"junk",
        "folder/.hidden.png": b"junk",
        "Thumbs.db": b"junk",
        "folder/": b"",
        "windows\\": b"",
    }
    assert [picture.filename for picture in unpack(archive(members))] == ["dog.png"]


def test_path_traversal_in_member_names_has_no_effect(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["../../escaped.png", "/tmp/absolute.png", "..\\windows.png"]
    pictures = unpack(archive({name: png() for name in names}))
    assert [picture.filename for picture in pictures] == ["escaped.png", "absolute.png", "windows.png"]
    assert list(tmp_path.iterdir()) == []


BAD_ARCHIVES = {
    "no archive": (png(), ImageUnsupportedError, "pictures.zip"),
    "empty": (b"", ImageUnsupportedError, "pictures.zip"),
    "cut off": (archive({"a.png": png()})[:-30], ImageUnreadableError, "pictures.zip"),
    "a bomb that says so": (archive({"bomb.png": b"\0" * 50_000_000}), ImageTooLargeError, "bomb.png"),
    "a bomb that lies": (upload_samples.lying_archive(), ImageUnreadableError, "pictures.zip"),
    "a directory without end": (upload_samples.crowded_archive(), ImageTooLargeError, "pictures.zip"),
    "an archive in it": (archive({"inner.zip": archive({"a.png": png()})}), ImageUnsupportedError, "inner.zip"),
    "only a document in it": (archive({"readme.pdf": b"%PDF-1.7 ..."}), ImageUnsupportedError, "readme.pdf"),
    "a damaged picture in it": (archive({"a.png": png()[:60]}), ImageUnreadableError, "a.png"),
    "an empty picture in it": (archive({"a.png": b""}), ImageUnreadableError, "a.png"),
    "a caption that fits no picture": (archive({"a.png": png(), "b.txt": "b"}), InvalidInputError, "b.txt"),
    "a caption that is no text": (archive({"a.png": png(), "a.txt": b"\xff\xfe\xfa"}), InvalidInputError, "a.txt"),
    "a caption with NUL": (archive({"a.png": png(), "a.txt": "a\0b"}), InvalidInputError, "a.txt"),
    "a caption without end": (archive({"a.png": png(), "a.txt": "a" * 10_000}), InvalidInputError, "a.txt"),
    "too many files": (archive({f"{n}.png": png() for n in range(65)}), InvalidInputError, "pictures.zip"),
}


@pytest.mark.parametrize("kind", BAD_ARCHIVES)
def test_an_invalid_archive_is_refused_and_named(kind):
    data, error, name = BAD_ARCHIVES[kind]
    with pytest.raises(error, match=name):
        unpack(data)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_bomb_is_refused_before_it_is_unpacked(compression):
    data = upload_samples.lying_archive(compression)
    tracemalloc.start()
    with pytest.raises(ImageUnsupportedError, match=r"bomb\.png"):
        unpack(data)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 10_000_000


def test_an_encrypted_member_is_refused():
    data = bytearray(archive({"a.png": png()}, zipfile.ZIP_STORED))
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ImageUnreadableError, match=r"a\.png is encrypted"):
        unpack(bytes(data))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_an_archive_with_changed_bytes_is_read_or_refused(data):
    damaged = bytearray(archive({"a.png": png(), "a.txt": "a dog", "b.jpg": jpeg()}))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ServiceError):
        assert unpack(bytes(damaged))


def left_half(size=(64, 48)):
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    return encoded(mask, "PNG")


def test_a_mask_beside_a_picture_becomes_its_transparency():
    picture, plain = unpack(archive({"a/dog.jpg": jpeg(), "a/dog.mask.png": left_half(), "cat.png": png()}))
    opacity = opened(picture).getchannel("A")
    assert (picture.filename, picture.content_type) == ("dog.jpg", "image/png")
    assert (opacity.getpixel((4, 20)), opacity.getpixel((60, 20))) == (255, 0)
    assert opened(plain).mode == "RGB"


def test_transparent_pixels_stay_transparent_under_a_mask():
    cut_out = quarters().convert("RGBA")
    cut_out.putalpha(Image.new("L", cut_out.size, 100))
    (picture,) = unpack(archive({"dog.png": encoded(cut_out, "PNG"), "dog.mask.png": left_half()}))
    opacity = opened(picture).getchannel("A")
    assert (opacity.getpixel((4, 20)), opacity.getpixel((60, 20))) == (100, 0)


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ({"dog.png": png(), "cat.mask.png": left_half()}, InvalidInputError, "cat.mask.png is a mask"),
        ({"dog.png": png(), "dog.mask.png": left_half((64, 64))}, InvalidInputError, "another shape"),
        ({"dog.png": png(), "dog.mask.png": b"hello"}, ImageUnsupportedError, "the mask of dog.png"),
        ({"dog.png": png(), "dog.mask.png": left_half()[:60]}, ImageUnreadableError, "mask of dog.png"),
    ],
)
def test_an_invalid_mask_is_refused_and_named(members, error, message):
    with pytest.raises(error, match=message):
        unpack(archive(members))
