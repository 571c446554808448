"""One rule for files beside pictures, whichever way they arrive; archives of every packer, names of every system."""

import io
import struct
import zipfile

import pytest
from dti_client.files import zip_folder
from PIL import Image

from cli.offline import folder_files
from service.errors import ImageTooLargeError, ImageUnreadableError, ImageUnsupportedError, InvalidInputError
from service.settings import Limits, Settings
from service.uploads.files import Upload
from service.uploads.reading import select_uploads
from tests.support.pictures_as_found import case
from tests.support.upload_samples import archive, encoded, jpeg, png, quarters

LIMITS = Limits()
MASK = encoded(Image.linear_gradient("L").resize((64, 48)), "PNG")


def by_form(files, limits=LIMITS):
    return select_uploads([Upload(name, io.BytesIO(data)) for name, data in files.items()], [], limits)


def by_archive(data, limits=LIMITS):
    return select_uploads([], [Upload("pictures.zip", io.BytesIO(data))], limits)


def folder_of(files, folder):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def by_folder(files, folder):
    folder_of(files, folder)
    return folder_files(folder, Settings())


def by_client(files, folder):
    folder_of(files, folder)
    return by_archive(zip_folder(folder))


def summary(found):
    """Pictures with their captions and masks, and the files passed over."""
    pictures = sorted((p.entry.name, p.caption, p.mask.name if p.mask else None) for p in found.pictures)
    skipped = sorted(name for w in found.warnings if w.code == "files_skipped" for name in w.subjects)
    return pictures, skipped


def names(found):
    return [picture.entry.name for picture in found.pictures]


def captions(found):
    return [picture.caption for picture in found.pictures]


FOLDER = {
    "1.png": png(),
    "2.jfif": jpeg(),
    "3.JPE": jpeg(),
    "4.bmp": encoded(quarters(), "BMP"),
    "5": jpeg(),
    "6.jpg.download": jpeg(),
    "7.JPG": jpeg(),
    "1.txt": b"a photo of {}",
    "2.mask.png": MASK,
    "3-mask.png": MASK,
    "7_mask.png": MASK,
    "masks/5.png": MASK,
    "7.caption": b"{} at night",
    "5.txt": b"",
    ".DS_Store": b"x",
    "Thumbs.db": b"x",
    "desktop.ini": b"[x]",
    "__MACOSX/._1.png": b"\0\5\x16\7",
    ".ipynb_checkpoints/1-checkpoint.png": png(),
    "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg": jpeg(),
    "~$notes.docx": b"x",
    "notes.md": b"# notes",
    "film.mp4": b"\0\0\0\x18ftypmp42" + bytes(600),
    "1_sd15.npz": b"PK\x03\x04" + bytes(600),
    "README.txt": b"hello",
}

EXPECTED = (
    [
        ("1.png", "a photo of {}", None),
        ("2.jfif", None, "2.mask.png"),
        ("3.JPE", None, "3-mask.png"),
        ("5", None, "5.png"),
        ("6.jpg.download", None, None),
        ("7.JPG", "{} at night", "7_mask.png"),
    ],
    sorted(
        {
            "4.bmp", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._1.png", ".ipynb_checkpoints/1-checkpoint.png",
            "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "~$notes.docx", "notes.md", "film.mp4", "1_sd15.npz", "README.txt",
        }
    ),
)  # fmt: skip


def test_the_same_files_by_form_archive_folder_and_client_are_the_same_training_set(tmp_path):
    assert summary(by_form(FOLDER)) == EXPECTED
    assert summary(by_archive(archive(FOLDER))) == EXPECTED
    assert summary(by_folder(FOLDER, tmp_path)) == EXPECTED
    assert summary(by_client(FOLDER, tmp_path)) == EXPECTED


def test_files_passed_over_are_told_with_a_reason():
    told = {warning.message for warning in by_form(FOLDER).warnings}
    assert any("4.bmp" in message and "export them as PNG" in message for message in told)
    assert any(".DS_Store" in message and "operating system" in message for message in told)
    assert any("film.mp4" in message and "neither pictures" in message for message in told)


CLUTTER = (
    ".hidden.png", ".Trash-1000/files/old.png", "a/.git/x.png", "__MACOSX/a/._b.png", "__macosx/b.png", "._1.png",
    "ehthumbs.db", "Desktop.ini", "@eaDir/x.jpg", "#recycle/x.png", "$RECYCLE.BIN/x.png", "lost+found/x.png",
    "System Volume Information/x.png", "__pycache__/x.png", "old.png~", "~$a.png", ".picasa.ini", "Icon\r",
    "windows\\.hidden\\x.png", ".AppleDouble/1.png", ".thumbnails/1.png",
)  # fmt: skip


@pytest.mark.parametrize("path", CLUTTER)
def test_hidden_and_system_files_are_no_pictures(path):
    found = by_archive(archive({"1.png": png(), path: png()}))
    assert names(found) == ["1.png"]
    assert len(summary(found)[1]) == 1


def test_hidden_files_of_a_notebook_are_not_trained_on():
    found = by_archive(case("jupyter-hidden.zip"))
    assert summary(found) == (
        [("1.png", None, None)],
        [".Trash-1000/files/old.png", ".ipynb_checkpoints/1-checkpoint.png"],
    )


# --- masks


@pytest.mark.parametrize(
    "mask",
    [
        "a.mask.png", "a-mask.png", "a_mask.png", "a mask.png", "A.Mask.PNG", "a_masks.jpg", "mask_a.png",
        "a-masklabel.png", "masks/a.png", "mask/a.png",
    ],
)  # fmt: skip
def test_masks_of_every_trainer_are_used(mask):
    found = by_form({"a.jpg": jpeg(), mask: MASK, "b.png": png()})
    assert [(p.entry.name, p.mask is not None) for p in found.pictures] == [("a.jpg", True), ("b.png", False)]


def test_a_folder_of_masks_beside_a_folder_of_pictures():
    found = by_archive(archive({"set/images/a.jpg": jpeg(), "set/masks/a.png": MASK}))
    assert [(p.entry.name, p.mask.name) for p in found.pictures] == [("a.jpg", "a.png")]


@pytest.mark.parametrize(
    "files",
    [
        {"a.png": png(), "b.mask.png": MASK},
        {"a.png": png(), "b-masklabel.png": MASK},
        {"a.png": png(), "a_mask.png": MASK, "b_mask.png": MASK},
        {"a.png": png(), "masks/a.png": MASK, "masks/b.png": MASK},
    ],
)
def test_a_mask_without_its_picture_is_refused_by_name(files):
    with pytest.raises(InvalidInputError, match=r"b\S* is a mask|b.png is a mask"):
        by_form(files)


def test_two_masks_of_a_picture_are_refused():
    with pytest.raises(InvalidInputError, match=r"a.mask.png and a_mask.png are two masks of a.png"):
        by_form({"a.png": png(), "a.mask.png": MASK, "a_mask.png": MASK})


def test_a_picture_of_a_mask_is_a_picture():
    assert names(by_form({"venetian-mask.jpg": jpeg(), "masks/1.png": png()})) == ["venetian-mask.jpg", "1.png"]


# --- captions


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", b"{} asleep"),
        ("A.TXT", b"\xef\xbb\xbf{} asleep\r\n"),
        ("a.caption", b"{} asleep"),
        ("a.png.txt", b"{} asleep"),
        ("a.txt", "{} asleep".encode("utf-16")),
        ("a.json", b'{"caption": "{} asleep", "width": 64}'),
        ("metadata.jsonl", b'{"file_name": "a.png", "text": "{} asleep"}\n'),
        ("metadata.csv", b"file_name,text\na.png,{} asleep\n"),
    ],
)
def test_captions_of_every_trainer_are_used(name, text):
    assert captions(by_form({"a.png": png(), name: text})) == ["{} asleep"]


def test_names_match_in_composed_and_decomposed_letters_and_any_case():
    found = by_archive(archive({"fu\u0308chse.JPG": jpeg(), "F\u00fcchse.txt": b"{}"}))
    assert captions(found) == ["{}"]


def test_folders_keep_captions_apart():
    files = {"a/1.png": png(), "b/1.png": png(), "a/1.txt": b"first {}", "b/1.txt": b"second {}"}
    assert captions(by_form(files)) == ["first {}", "second {}"]


def test_a_json_beside_a_caption_is_passed_over():
    found = by_form({"a.png": png(), "a.txt": b"{}", "a.json": b'{"tags": []}'})
    assert (captions(found), summary(found)[1]) == (["{}"], ["a.json"])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"b.txt": b"{}"}, r"b\.txt is a caption"),
        ({"a.txt": b"{}", "a.caption": b"other"}, r"two captions of a\.png"),
        ({"a.json": b'{"tags": ["dog"]}'}, r"a\.json has no caption"),
        ({"a.json": b"{"}, r"a\.json has no caption"),
        ({"metadata.jsonl": b'{"name": "a.png"}'}, r"metadata\.jsonl has no file_name and text in row 1"),
        ({"metadata.jsonl": b"nonsense"}, r"metadata\.jsonl cannot be read"),
        ({"a.txt": b"x" * 9000}, r"a\.txt"),
    ],
)
def test_a_caption_that_cannot_be_used_is_refused_by_name(files, message):
    with pytest.raises(InvalidInputError, match=message):
        by_form({"a.png": png(), **files})


def test_kohyas_repeats_are_told():
    (warning,) = by_archive(archive({"10_dog/1.png": png(), "10_dog/2.png": png()})).warnings
    assert (warning.code, warning.subjects) == ("setting_unused", ("10_dog",))


# --- archives


def streamed(files, *, zip64):
    """An archive as packers write it that do not know sizes beforehand: data descriptors, zip64 on request."""

    class Stream(io.RawIOBase):
        def __init__(self):
            self.written = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.written += bytes(data)
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            with packed.open(zipfile.ZipInfo(name), "w", force_zip64=zip64) as member:
                member.write(data)
    return bytes(stream.written)


def with_zip64_end(data):
    """An archive whose end says that the sizes stand in zip64's records, as Go's and Java's packers may write."""
    end = data.rfind(b"PK\x05\x06")
    count, size, offset = struct.unpack_from("<HII", data, end + 10)
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    tail = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:end] + record + locator + tail


TWO = {"1.png": png(), "2.png": jpeg()}


@pytest.mark.parametrize(
    "data",
    [
        case("small-zip64.zip"),
        with_zip64_end(archive(TWO)),
        streamed(TWO, zip64=True),
        streamed(TWO, zip64=False),
    ],
)
def test_archives_of_streaming_packers_are_read(data):
    found = by_archive(data)
    assert names(found) == ["1.png", "2.png"]
    assert all(picture.file(Limits()).data for picture in found.pictures)


def test_a_zip64_directory_without_end_is_refused():
    data = bytearray(with_zip64_end(archive(TWO)))
    record = data.rfind(b"PK\x06\x06")
    data[record + 40 : record + 48] = struct.pack("<Q", 2_000_000)
    with pytest.raises(ImageTooLargeError, match="lists too many files"):
        by_archive(bytes(data))


def raw_named(raw):
    """An archive with a name of these bytes, without a flag for its encoding."""
    placeholder = b"x" * len(raw)
    return archive({placeholder.decode(): png()}).replace(placeholder, raw)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("füchse.png".encode(), "füchse.png"),
        ("füchse.png".encode("cp437"), "füchse.png"),
        ("日本語.png".encode("cp932"), "日本語.png"),
        ("表.png".encode("cp932"), "表.png"),
        ("狐狸.png".encode("gbk"), None),
        (b"folder\\1.png", "1.png"),
        (b"C:\\pictures\\1.png", "1.png"),
    ],
)
def test_names_of_every_packer_are_read(raw, name):
    found = names(by_archive(raw_named(raw)))
    assert len(found) == 1
    assert name is None or found == [name]


def test_windows_paths_keep_captions_beside_pictures():
    found = by_archive(archive({"a\\1.png": png(), "a\\1.txt": b"{}", "b/1.png": png()}))
    assert captions(found) == ["{}", None]


@pytest.mark.parametrize(
    ("head", "kind"),
    [(b"Rar!\x1a\x07\x01\0", "RAR"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"\x1f\x8b\x08", "gzip"), (b"PK\x03\x04", "ZIP")],
)
def test_an_archive_among_the_pictures_is_refused_by_name(head, kind):
    suffix = {"RAR": "rar", "7z": "7z", "gzip": "tar.gz", "ZIP": "zip"}[kind]
    with pytest.raises(ImageUnsupportedError, match=rf"more\.{suffix} is a {kind} archive"):
        by_form({"a.png": png(), f"more.{suffix}": head + bytes(600)})


@pytest.mark.parametrize(("head", "kind"), [(b"Rar!\x1a\x07\x01\0", "RAR"), (b"7z\xbc\xaf\x27\x1c", "7z")])
def test_other_archives_than_zip_are_refused_with_their_kind(head, kind):
    with pytest.raises(ImageUnsupportedError, match=rf"pictures\.zip is a {kind} archive"):
        by_archive(head + bytes(600))


def test_a_raw_file_among_pictures_is_refused_by_name():
    with pytest.raises(ImageUnsupportedError, match=r"a\.cr2 is a camera's raw file"):
        by_form({"1.png": png(), "a.cr2": b"II*\0\x10\0\0\0CR\2\0" + bytes(600)})


def test_a_file_that_is_called_a_picture_and_is_none_is_refused_by_name():
    with pytest.raises(ImageUnsupportedError, match=r"b\.jpg is not a picture"):
        by_form({"a.png": png(), "b.jpg": b"<!DOCTYPE html><html>404</html>"})
    with pytest.raises(ImageUnreadableError, match=r"b\.jpg is empty"):
        by_form({"a.png": png(), "b.jpg": b""})


def test_files_without_pictures_are_refused_by_name():
    with pytest.raises(ImageUnsupportedError, match=r"4\.bmp is not a picture that is read here"):
        by_form({"4.bmp": encoded(quarters(), "BMP")})
    with pytest.raises(InvalidInputError, match="There are no pictures"):
        by_form({".DS_Store": b"x"})


def test_pictures_of_equal_names_are_all_used():
    uploads = [Upload("image.jpg", io.BytesIO(jpeg((size, 48)))) for size in (50, 60, 70)]
    assert len(select_uploads(uploads, [], Limits()).pictures) == 3


@pytest.mark.parametrize(("notes", "counted"), [(["a.md"], "1 file is"), (["a.md", "b.md"], "2 files are")])
def test_the_warning_counts_the_files_that_are_not_used(tmp_path, notes, counted):
    folder_of({"a.png": png(), **dict.fromkeys(notes, b"text")}, tmp_path)
    (warning,) = folder_files(tmp_path, Settings()).warnings
    names = ", ".join(notes)
    assert warning.message == f"{counted} not used (neither pictures nor their captions): {names}."
