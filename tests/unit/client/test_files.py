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
