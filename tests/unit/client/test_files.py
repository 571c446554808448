"""The ZIP of a folder of training pictures."""

import io
import zipfile

import pytest
from dti_client.errors import SettingsError
from dti_client.files import zip_folder


def test_the_zip_contains_every_file_since_the_service_finds_the_pictures(tmp_path):
    names = ["5", "a.png", "a.txt", "b.JPG", "b.mask.png", "notes.md", "sub/c.jfif"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    with zipfile.ZipFile(io.BytesIO(zip_folder(tmp_path))) as archive:
        assert archive.namelist() == names
        assert archive.read("a.txt") == b"a.txt"


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no pictures"):
        zip_folder(tmp_path)


def large(path, head):
    with path.open("wb") as file:
        file.write(head)
        file.truncate(33_000_000)


@pytest.mark.parametrize(
    "head", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\1WEBP", b"\0\0\0\x18ftypheic", b"II*\0\x08\0\0\0"]
)
def test_a_picture_that_is_too_large_is_refused_by_name(tmp_path, head):
    (tmp_path / "a.png").write_bytes(b"small")
    large(tmp_path / "b.jpg", head)
    with pytest.raises(SettingsError, match=r"b\.jpg has 33000000 bytes: at most 32000000"):
        zip_folder(tmp_path)


def test_of_another_large_file_the_first_bytes_are_sent(tmp_path):
    large(tmp_path / "film.mp4", b"\0\0\0\x18ftypmp42")
    with zipfile.ZipFile(io.BytesIO(zip_folder(tmp_path))) as archive:
        assert archive.getinfo("film.mp4").file_size == 4096
