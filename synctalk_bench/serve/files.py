"""From a request's path and range to bytes of a file inside the folder that is served, and to nothing outside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from os import fsencode
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from synctalk_bench.study.files import SUFFIX

# Written out, because what the operating system's table says differs from machine to machine.
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".tex": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".wav": "audio/wav",
}
UNKNOWN: Final = "application/octet-stream"
PAGES: Final = ("index.html", "report.html")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def find(root: Path, target: str) -> Path | None:
    """Return the file or folder inside ``root`` that the request target names, None where there is none.

    Args:
        root: resolved.
        target: as it stands in the request line: percent-encoded, perhaps with ``?query``.

    Nothing outside ``root`` is found, whether by ``..``, by an absolute path or by a symbolic link; nor is a study's
    key, or anything whose name begins with a dot.
    """
    path = unquote(target.partition("?")[0].partition("#")[0], errors="surrogateescape")  # names need not be UTF-8
    if not path.startswith("/") or "\0" in path or "\\" in path:
        return None
    parts = [part for part in path.split("/") if part]
    if any(_private(part) for part in parts):
        return None
    try:
        found = root.joinpath(*parts).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
    if not found.is_relative_to(root) or any(_private(part) for part in found.relative_to(root).parts):
        return None
    if path.endswith("/") and found.is_file():
        return None
    return found if found.is_file() or found.is_dir() else None


def _private(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(SUFFIX)  # some disks take either case


def content_type(path: Path) -> str:
    """Return the media type of a file by its suffix."""
    return TYPES.get(path.suffix.lower(), UNKNOWN)


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes ``first`` to ``stop`` (exclusive) of a file."""

    first: int
    stop: int


def part_of(header: str | None, size: int) -> Part | None:
    """Return the bytes of a file of ``size`` that a Range header asks for (RFC 9110, 14.1.2), None for all of them.

    What is not one range of bytes is ignored, as the standard allows.

    Raises:
        ValueError: the range begins behind the end.
    """
    asked = _RANGE.fullmatch((header or "").strip())
    if asked is None or asked[1] == asked[2] == "":
        return None
    if not asked[1]:
        if int(asked[2]) == 0 or size == 0:
            raise ValueError("an empty range")
        return Part(max(0, size - int(asked[2])), size)
    first, last = int(asked[1]), int(asked[2]) if asked[2] else size - 1
    if asked[2] and last < first:
        return None
    if first >= size:
        raise ValueError("a range behind the end")
    return Part(first, min(last + 1, size))


def listing(root: Path, folder: Path) -> str:
    """Return a page of links to what lies in ``folder``, for a run that has no page of its own."""
    place = "/".join((root.name, *folder.relative_to(root).parts, ""))
    inside = sorted(folder.iterdir(), key=lambda path: (path.is_file(), path.name))
    shown = [path.name + "/" * path.is_dir() for path in inside if not _private(path.name)]
    above = '<li><a href="../">../</a></li>' if folder != root else ""
    links = "".join(f'<li><a href="{escape(quote(fsencode(text)))}">{_text(text)}</a></li>' for text in shown)
    title = _text(place)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
        f"<ul>{above}{links}</ul></html>\n"
    )


def _text(name: str) -> str:
    """Return a file's name as HTML; what is not UTF-8 in it as U+FFFD."""
    return escape(fsencode(name).decode(errors="replace"))
