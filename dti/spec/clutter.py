"""Files that lie beside a user's own and are not meant: hidden ones, and those of operating systems and servers.

Torch-free. One rule for every way in which files arrive: forms, folders, archives of pictures and of embeddings.
"""

_FOLDERS = frozenset(
    {
        "__macosx",
        "__pycache__",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@tmp",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "lost+found",
        "recycler",
        "system volume information",
    }
)
_FILES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "picasa.ini", "zbthumbnail.info"}
)


def parts_of(path: str) -> tuple[str, ...]:
    """The names in a path, written with slashes or, as by packers on Windows, with backslashes; without . and .."""
    return tuple(part for part in path.replace("\\", "/").split("/") if part.strip() not in {"", ".", ".."})


def is_clutter(path: str) -> bool:
    """Whether a path is hidden, or of an operating system: a resource fork, a thumbnail, a recycle bin."""
    *folders, name = parts_of(path) or ("",)
    if any(folder.startswith(".") or folder.lower() in _FOLDERS for folder in folders):
        return True
    return name.startswith((".", "~$")) or name.endswith("~") or name.lower() in _FILES | _FOLDERS
