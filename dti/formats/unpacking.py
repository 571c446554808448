"""Bytes of anybody's as named tensors and plain values: safetensors, PyTorch's pickles, zip archives of either.

Owns how the kinds are told apart and that nothing is unpacked before its size was looked at. It knows no format; what
the names mean is for others to say.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping

from dti.embeddings import file as embedding_file
from dti.errors import EmbeddingFormatError
from dti.formats.external import Content, shown
from dti.formats.pickles import is_pickle, read_pickle

LIMIT_BYTES = 16 << 20
"""Far above the largest embedding (75 rows of 4,096 numbers for each of three encoders take 4 MiB)."""

_FILES_LIMIT = 64
"""Files in an archive; a pickle has one for every tensor and a handful of its own."""

_MEMBERS = (".safetensors", ".bin", ".pt")
"""What is read of an archive; a description beside it does no harm."""

_COMPRESSED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"

_HEADER = b"{"
"""Begins a safetensors header, behind its length in eight bytes, which may look like a pickle's beginning."""


def unpack(data: bytes) -> Content:
    """What a file holds.

    Raises:
        EmbeddingFormatError: it is too large, damaged, of none of the known kinds, or a pickle with more than weights.
    """
    check_size(len(data))
    if data.startswith(_ZIP):
        return Content(data, _unpack_zip(data), {})
    return _unpack_one(data)


def _unpack_one(data: bytes) -> Content:
    if data.startswith(_PICKLE) and data[8:9] != _HEADER:
        return Content(data, read_pickle(data), {})
    return _unpack_safetensors(data)


def check_size(size_bytes: int) -> None:
    """Refuse a file that is too large, which can be done before it is read.

    Raises:
        EmbeddingFormatError: what is allowed.
    """
    if size_bytes > LIMIT_BYTES:
        raise EmbeddingFormatError(f"The file has {size_bytes} bytes; an embedding has {LIMIT_BYTES} at most.")


def _unpack_safetensors(data: bytes) -> Content:
    if not embedding_file.has_header(data):
        raise EmbeddingFormatError("The file is neither safetensors nor a pickle of PyTorch's nor a zip of such files.")
    metadata = embedding_file.header(data).get("__metadata__")
    return Content(data, embedding_file.tensors(data), metadata if isinstance(metadata, dict) else {})


def _unpack_zip(data: bytes) -> Mapping[str, object]:
    """PyTorch keeps a pickle and its tensors in a zip; any other zip is an archive of files, of which some are read."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_unpacked_size(archive.infolist())
            if is_pickle(archive):
                return read_pickle(data)
            read = [name for name in archive.namelist() if name.endswith(_MEMBERS)]
            return {name: _unpack_member(name, archive.read(name)) for name in read}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise EmbeddingFormatError(f"The archive cannot be read: {error}.") from error


def _unpack_member(name: str, data: bytes) -> Mapping[str, object]:
    if not data.startswith(_ZIP):
        return _unpack_one(data).entries
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        _check_unpacked_size(archive.infolist())
        if not is_pickle(archive):
            raise EmbeddingFormatError(f"{shown(name)} is an archive inside an archive.")
    return read_pickle(data)


def _check_unpacked_size(files: list[zipfile.ZipInfo]) -> None:
    """Before anything is unpacked: an archive of a few bytes may announce gigabytes."""
    if any(info.compress_type not in _COMPRESSED for info in files):
        raise EmbeddingFormatError("The archive is packed in a way that is not read. Use a plain zip.")
    size = sum(info.file_size for info in files)
    if size > LIMIT_BYTES or len(files) > _FILES_LIMIT:
        raise EmbeddingFormatError(
            f"The archive holds {len(files)} files of {size} bytes; an embedding has {_FILES_LIMIT} files and "
            f"{LIMIT_BYTES} bytes at most."
        )
