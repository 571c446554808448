"""Formats of uploaded files by their first bytes; names and suffixes are ignored."""

HEAD_BYTES = 512
"""Bytes that are enough to tell every format."""

PICTURES = "JPEG, PNG, WebP, GIF, HEIC, AVIF or TIFF"
"""The formats that are read, for messages."""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_RAW_BRANDS = {b"crx "}
_BRANDS_END = 128
"""End of the search for brands in a file with a long first box."""

_RAW_SIGNATURES = (
    b"II*\0\x10\0\0\0CR",  # Canon CR2
    b"II\x1a\0\0\0HEAPCCDR",  # Canon CRW
    b"IIRO",  # Olympus ORF, as the next two
    b"IIRS",
    b"MMOR",
    b"IIU\0",  # Panasonic RW2
    b"FUJIFILMCCD-RAW",
    b"FOVb",  # Sigma X3F
    b"\0MRM",  # Minolta
    b"ARRIRAW",
)
_PHASE_ONE = (b"II*\0IIII", b"MM\0*MMMM")

_UNREADABLE = (
    (b"BM", "BMP"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\x01\0", "icon"),
    (b"<svg", "SVG"),
    (b"%PDF", "PDF"),
    (b"gimp xcf", "GIMP"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"qoif", "QOI"),
)
"""Pictures in formats that are not read."""

_ARCHIVES = (
    (b"PK\x03\x04", "ZIP"),
    (b"PK\x05\x06", "ZIP"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
)
_TAR = (257, b"ustar")


def kind_of(head: bytes) -> str | None:
    """The format of a picture that is read, in Pillow's names; None for other files."""
    if is_raw(head):
        return None
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brands = _brands(head)
        return "AVIF" if brands & _AVIF_BRANDS else "HEIF" if brands & _HEIF_BRANDS else None
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)


def is_raw(head: bytes) -> bool:
    """Whether a file is raw data of a camera; those in TIFF without a sign of their own are told by their tags."""
    return head.startswith(_RAW_SIGNATURES + _PHASE_ONE) or (head[4:8] == b"ftyp" and bool(_brands(head) & _RAW_BRANDS))


def unreadable_picture(head: bytes) -> str | None:
    """The name of a picture format that is not read; None for other files."""
    return next((name for signature, name in _UNREADABLE if head.lstrip(b"\xef\xbb\xbf").startswith(signature)), None)


def archive_of(head: bytes) -> str | None:
    """The name of an archive format; None for other files."""
    if head[_TAR[0] :].startswith(_TAR[1]):
        return "tar"
    return next((name for signature, name in _ARCHIVES if head.startswith(signature)), None)


def _brands(head: bytes) -> set[bytes]:
    # AVIF files may name the general brand mif1 first: all brands count.
    end = min(int.from_bytes(head[:4], "big"), _BRANDS_END)
    return {head[start : start + 4] for start in range(8, end, 4)}
