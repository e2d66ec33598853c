"""The one door to third-party files: by name, verified before first use."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Literal

from synctalk_bench.assets import fetch as _fetch
from synctalk_bench.assets.find import FOLDERS, absent, cache_dir, candidates, folders, locate
from synctalk_bench.assets.registry import Asset, lookup, registry
from synctalk_bench.assets.verify import is_git_blob, verify
from synctalk_bench.errors import AssetMismatch, MissingAsset


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetStatus:
    """Where an asset stands on this machine.

    Args:
        state: ``ready``; ``unpinned``: there and plausible, but its hash was not known beforehand; ``missing``;
            ``wrong``: a file is there under its name, but it is another.
        sha256: of the content, None unless ready or unpinned.
        detail: what is wrong, or how to get it.
    """

    asset: Asset
    state: Literal["ready", "unpinned", "missing", "wrong"]
    path: Path | None = None
    sha256: str | None = None
    detail: str = ""


class AssetStore:
    """Files of the registry on this machine.

    Args:
        assets: the registry; the package's own by default.
        environ: where SYNCTALK_BENCH_ASSETS and SYNCTALK_BENCH_CACHE are read.
    """

    def __init__(self, assets: Mapping[str, Asset] | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._assets = registry() if assets is None else assets
        self._environ = environ
        if parent_process() is None:  # workers inherit the environment; one of them saying it is enough
            _say_absent(absent(environ))

    def __getitem__(self, name: str) -> Asset:
        return lookup(name, self._assets)

    def path(self, name: str) -> Path:
        """Return the verified file of the asset ``name``.

        Raises:
            ConfigError: no asset has that name.
            MissingAsset: it is not on this machine; the hint says how to get it.
            AssetMismatch: the file under its name is another.
        """
        asset = self[name]
        path = locate(asset, self._environ)
        if path is None:
            raise self._missing(asset)
        verify(asset, path)
        return path

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 that stands for the asset's content, or None where it is not on this machine.

        Raises:
            ConfigError, AssetMismatch: as ``path``.
        """
        asset = self[name]
        path = locate(asset, self._environ)
        return None if path is None else verify(asset, path)

    def status(self) -> list[AssetStatus]:
        """Return the state of every asset in registry order; present files are read and hashed."""
        return [self.status_of(name) for name in self._assets]

    def status_of(self, name: str) -> AssetStatus:
        """Return the state of one asset."""
        asset = self[name]
        path = locate(asset, self._environ)
        if path is None:
            return AssetStatus(asset=asset, state="missing", detail=asset.way())
        try:
            digest = verify(asset, path)
        except AssetMismatch as error:
            return AssetStatus(asset=asset, state="wrong", path=path, detail=error.message)
        if asset.pinned:
            return AssetStatus(asset=asset, state="ready", path=path, sha256=digest)
        if asset.git_blob and is_git_blob(path, asset.git_blob):
            return AssetStatus(
                asset=asset, state="ready", path=path, sha256=digest, detail=f"git blob {asset.git_blob}"
            )
        note = "its hash is not known beforehand: it is recorded with every result"
        return AssetStatus(asset=asset, state="unpinned", path=path, sha256=digest, detail=note)

    def fetch(self, name: str, progress: _fetch.Progress = lambda done, total: None) -> Path:
        """Return the verified file, after getting it into the user cache where it is not there yet.

        Raises:
            PrerequisiteError: not free to fetch, or no network.
            AssetMismatch: the address gave something else.
        """
        asset = self[name]
        path = locate(asset, self._environ)
        if path is not None:
            try:
                verify(asset, path)
                return path
            except AssetMismatch:
                # A file outside the cache is the user's own: it is neither overwritten nor passed over.
                if path.parent != cache_dir(self._environ):
                    raise
        return _fetch.fetch(asset, cache_dir(self._environ), progress)

    def add(self, name: str, file: Path) -> Path:
        """Return the verified copy of the user's ``file`` in the user cache."""
        return _fetch.add(self[name], file, cache_dir(self._environ))

    def _missing(self, asset: Asset) -> MissingAsset:
        looked = dict.fromkeys(str(path.parent) for path in candidates(asset, self._environ))
        note = "" if folders(self._environ) else "; SYNCTALK_BENCH_ASSETS is not set"
        return MissingAsset(
            f"the asset '{asset.name}' is not on this machine; needed by: {', '.join(asset.needed_by)}",
            hint=asset.way(),
            where=f"looked for {asset.file} in {', '.join(looked)}{note}",
        )


@cache
def _say_absent(missing: tuple[Path, ...]) -> None:
    """Say on standard error, once a process, which folders are passed over."""
    for folder in missing:
        sys.stderr.write(f"warning: {FOLDERS} names {folder}, which is no folder; it is passed over\n")
