"""Files into the user cache, from a public address or from the user's disk: whole and verified, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from synctalk_bench.assets.registry import Asset
from synctalk_bench.assets.verify import verify
from synctalk_bench.errors import AssetMismatch, MissingFile, PrerequisiteError

Progress = Callable[[int, int], None]
"""Called with bytes so far and bytes in all (0 where the server does not say)."""

TIMEOUT = (15.0, 60.0)  # seconds to connect, and to wait for the next bytes


class _Bar:
    """What pooch calls while it downloads, handed on as ``progress(done, total)``."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0
        self.total = 0

    def update(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing is held open."""


def download(url: str, target: Path, progress: Progress) -> None:
    """Write what ``url`` gives to ``target``. Raises what requests raises."""
    import pooch

    pooch.HTTPDownloader(progressbar=_Bar(progress), timeout=TIMEOUT)(url, str(target), None)


def fetch(
    asset: Asset,
    folder: Path,
    progress: Progress,
    *,
    downloader: Callable[[str, Path, Progress], None] = download,
) -> Path:
    """Return the verified file in ``folder``, after getting it from its public address.

    Raises:
        PrerequisiteError: the asset may not be fetched freely, or the network did not give it.
        AssetMismatch: something else came back, such as a web page. Nothing is left behind.
    """
    if asset.fetch != "free":
        raise PrerequisiteError(
            f"the asset '{asset.name}' cannot be fetched freely ({asset.licence})", hint=asset.way()
        )
    if not asset.url.startswith("https://"):
        raise PrerequisiteError(f"the address of the asset '{asset.name}' is not https: {asset.url}")
    target = folder / asset.fetched_form.file
    with _staged(folder) as staging:
        part = staging / target.name
        try:
            downloader(asset.url, part, progress)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; a bad address is a ValueError
            raise PrerequisiteError(
                f"the asset '{asset.name}' could not be fetched from {asset.url}: {_reason(error, asset.url)}",
                hint="on a machine without network: get that file elsewhere, then "
                f"'synctalk-bench assets add {asset.name} FILE'",
            ) from error
        verify(asset, part)
        _publish(part, target)
    return target


def add(asset: Asset, file: Path, folder: Path) -> Path:
    """Return the verified copy of the user's ``file`` in ``folder``.

    Raises:
        MissingFile: ``file`` is not there.
        AssetMismatch: it is not the asset.
    """
    if not file.is_file():
        raise MissingFile(f"{file} is not a file", hint=f"synctalk-bench assets add {asset.name} FILE")
    try:
        digest = verify(asset, file)
    except AssetMismatch as error:  # the user's own file, wherever it lies: nobody should be told to delete it
        raise AssetMismatch(error.message, hint=f"the right one: {asset.way()}", where=error.where) from error
    target = folder / next((form.file for form in asset.forms if form.bytes == file.stat().st_size), asset.file)
    with _staged(folder) as staging:
        part = staging / target.name
        shutil.copyfile(file, part)
        if verify(asset, part) != digest:
            raise PrerequisiteError(f"{file} changed while it was copied", hint="run the same command again")
        _publish(part, target)
    return target


@contextlib.contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """Give a directory inside ``folder``, removed afterwards with all that is in it; a read-only disk is explained."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = tempfile.TemporaryDirectory(prefix=".part-", dir=folder)
    except OSError as error:
        raise PrerequisiteError(
            f"the asset cache {folder} cannot be written: {error.strerror}",
            hint="name another folder: SYNCTALK_BENCH_CACHE=DIR",
        ) from error
    with staging as name:
        yield Path(name)


def _publish(part: Path, target: Path) -> None:
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(target)


def _reason(error: Exception, url: str) -> str:
    """Return why ``url`` gave nothing, in one line: the chain of a network's own errors says it in five."""
    import requests

    # A refused certificate is a ConnectionError too, and its own words are the ones that help.
    plain = isinstance(error, requests.ConnectionError) and not isinstance(error, requests.exceptions.SSLError)
    if isinstance(error, requests.Timeout):
        return f"{urlsplit(url).hostname} does not answer"
    if plain:
        return f"no connection to {urlsplit(url).hostname}"
    return (str(error).splitlines() or [type(error).__name__])[0]
