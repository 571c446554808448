"""Files of a study: written at once or not at all, and tables with one row per picture."""

import csv
import io
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

Row = Mapping[str, str | int | float | None]


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file at once, so that an interruption leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.write_bytes(data)
    temporary.replace(path)


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV; the columns are the union of theirs, in order of appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
