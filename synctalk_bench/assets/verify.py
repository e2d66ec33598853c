"""Whether a file is the one that the registry means. Web pages and halves of files are the normal failure."""

from __future__ import annotations

import hashlib
from pathlib import Path

from synctalk_bench.assets.registry import Asset
from synctalk_bench.errors import AssetMismatch

_BLOCK = 1 << 20
_verified: dict[tuple[str, str, int, int], str] = {}


def verify(asset: Asset, path: Path) -> str:
    """Return the SHA-256 that stands for the content of ``path``, after checking that it is ``asset``.

    A file in another accepted form gives the digest of the first form: their content is the same. The result is kept
    for as long as path, size and modification time stay, so a file is read once in a process.

    Raises:
        AssetMismatch: a web page, a git-lfs pointer, a file of the wrong size, or one with another hash.
    """
    stat = path.stat()
    key = (asset.name, str(path.absolute()), stat.st_size, stat.st_mtime_ns)
    if key not in _verified:
        plausible(asset, path)
        _verified[key] = _check(asset, path)
    return _verified[key]


def plausible(asset: Asset, path: Path) -> None:
    """Check what can be seen of ``path`` without reading it whole.

    Raises:
        AssetMismatch: a web page, a git-lfs pointer, or a file of the wrong size.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(512)
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise _mismatch(asset, path, "is a web page, not the file: a log-in or error page was saved under its name")
    if head.startswith(b"version https://git-lfs"):
        raise _mismatch(asset, path, "is a git-lfs pointer, not the file: run 'git lfs pull' where it came from")
    sizes = {asset.bytes, *(form.bytes for form in asset.forms)} - {0}
    if sizes and size not in sizes:
        least = min(sizes)
        what = "is truncated" if size < least else "has the wrong size"
        expected = " or ".join(f"{value:,}" for value in sorted(sizes))
        raise _mismatch(asset, path, f"{what}: {size:,} bytes where {expected} are expected")
    if asset.size_range and not asset.size_range[0] <= size <= asset.size_range[1]:
        what = "is truncated" if size < asset.size_range[0] else "is too large"
        raise _mismatch(
            asset, path, f"{what}: {size:,} bytes where {asset.size_range[0]:,} or a little more are expected"
        )


def _check(asset: Asset, path: Path) -> str:
    """Return the SHA-256 that stands for the content of ``path``; raises AssetMismatch for another hash."""
    if asset.sha1 and (found := _digest(path, "sha1")) != asset.sha1:
        raise _mismatch(asset, path, f"has SHA-1 {found}, expected {asset.sha1}")
    found = _digest(path, "sha256")
    if asset.sha256:
        if found != asset.sha256 and found not in {form.sha256 for form in asset.forms}:
            raise _mismatch(asset, path, f"has SHA-256 {found}, expected {asset.sha256}")
        return asset.sha256
    return found


def is_git_blob(path: Path, prefix: str) -> bool:
    """Return whether git would name the content of ``path`` by hex digits that begin with ``prefix``."""
    header = f"blob {path.stat().st_size}\0".encode()
    return _digest(path, "sha1", header).startswith(prefix)


def _digest(path: Path, algorithm: str, header: bytes = b"") -> str:
    # SHA-1 here only compares with identities that others published; nothing is trusted because of it.
    digest = hashlib.new(algorithm, header, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _mismatch(asset: Asset, path: Path, problem: str) -> AssetMismatch:
    return AssetMismatch(
        f"the asset '{asset.name}' {problem}", hint=f"delete it and get it again: {asset.way()}", where=str(path)
    )
