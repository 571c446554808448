"""The ZIP of a folder of training pictures."""

import io
import zipfile

import pytest
from dti_client.errors import SettingsError
from dti_client.files import zip_folder


def test_the_zip_contains_pictures_with_captions_and_masks_and_nothing_else(tmp_path):
    for name in ("a.png", "a.txt", "b.JPG", "b.mask.png", "notes.txt", ".hidden.png", "raw.cr2"):
        (tmp_path / name).write_bytes(name.encode())
    with zipfile.ZipFile(io.BytesIO(zip_folder(tmp_path))) as archive:
        assert archive.namelist() == ["a.png", "a.txt", "b.JPG", "b.mask.png"]
        assert archive.read("a.txt") == b"a.txt"


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no pictures"):
        zip_folder(tmp_path)
