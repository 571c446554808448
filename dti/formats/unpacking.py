"""Unpacking of untrusted files: safetensors, PyTorch pickles, and zip archives of either, with size limits.

Sizes are checked before anything is unpacked. `dti.formats` interprets the names.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping

from dti.embeddings import file as embedding_file
from dti.errors import EmbeddingFormatError
from dti.formats.external import Content, shown
from dti.formats.pickles import is_pickle, read_pickle
from dti.spec.clutter import is_clutter

LIMIT_BYTES = 16 << 20
"""Maximum size, far above the largest embedding (75 rows of 4,096 components for three encoders take 4 MiB)."""

_FILES_LIMIT = 64
"""Maximum number of archive members; a PyTorch file has one per tensor and a few more."""

_MEMBERS = (".safetensors", ".bin", ".pt")
"""Extensions of the members that are read; others are ignored."""

_COMPRESSED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"

_HEADER = b"{"
"""First byte of a safetensors header, after an 8-byte length that may start like a pickle."""


def unpack(data: bytes) -> Content:
    """Unpack a file.

    Raises:
        EmbeddingFormatError: it is too large, damaged, of no supported kind, or a pickle with more than weights.
    """
    check_size(len(data))
    if data.startswith(_ZIP):
        single = _single_member(data)
        if single is None or single.startswith(_ZIP):
            return Content(data, _unpack_zip(data) if single is None else _unpack_member("the file in it", single), {})
        return _unpack_one(single)
    return _unpack_one(data)


def _single_member(data: bytes) -> bytes | None:
    """The only embedding in an archive, where its name says nothing about an encoder."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_unpacked_size(archive.infolist())
            names = [] if is_pickle(archive) else _readable(archive)
            is_single = len(names) == 1 and "learned_embeds" not in names[0]
            return archive.read(names[0]) if is_single else None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise EmbeddingFormatError(f"The archive cannot be read: {error}.") from error


def _readable(archive: zipfile.ZipFile) -> list[str]:
    """Names of the embeddings in an archive, without what operating systems add."""
    return [name for name in archive.namelist() if name.lower().endswith(_MEMBERS) and not is_clutter(name)]


def _unpack_one(data: bytes) -> Content:
    if data.startswith(_PICKLE) and data[8:9] != _HEADER:
        return Content(data, read_pickle(data), {})
    return _unpack_safetensors(data)


def check_size(size_bytes: int) -> None:
    """Refuse a file that is too large, before it is read.

    Raises:
        EmbeddingFormatError: the file exceeds `LIMIT_BYTES`.
    """
    if size_bytes > LIMIT_BYTES:
        raise EmbeddingFormatError(f"The file has {size_bytes} bytes; an embedding has {LIMIT_BYTES} at most.")


def _unpack_safetensors(data: bytes) -> Content:
    if not embedding_file.has_header(data):
        raise EmbeddingFormatError("The file is neither safetensors nor a pickle of PyTorch's nor a zip of such files.")
    metadata = embedding_file.header(data).get("__metadata__")
    return Content(data, embedding_file.tensors(data), metadata if isinstance(metadata, dict) else {})


def _unpack_zip(data: bytes) -> Mapping[str, object]:
    """Unpack a PyTorch file (a zipped pickle), or an archive of embedding files."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_unpacked_size(archive.infolist())
            if is_pickle(archive):
                return read_pickle(data)
            return {name: _unpack_member(name, archive.read(name)) for name in _readable(archive)}
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
    """Refuse archives that unpack to too much (zip bombs)."""
    if any(info.compress_type not in _COMPRESSED for info in files):
        raise EmbeddingFormatError("The archive is packed in a way that is not read. Use a plain zip.")
    size = sum(info.file_size for info in files)
    if size > LIMIT_BYTES or len(files) > _FILES_LIMIT:
        raise EmbeddingFormatError(
            f"The archive holds {len(files)} files of {size} bytes; an embedding has {_FILES_LIMIT} files and "
            f"{LIMIT_BYTES} bytes at most."
        )
