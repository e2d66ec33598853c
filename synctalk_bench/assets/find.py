"""Where files may lie: folders of SYNCTALK_BENCH_ASSETS, the user cache, the package, and Hugging Face's cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from synctalk_bench.assets.registry import PACKAGED, Asset
from synctalk_bench.paths import expanded

FOLDERS = "SYNCTALK_BENCH_ASSETS"
CACHE = "SYNCTALK_BENCH_CACHE"


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that ``fetch`` and ``add`` write: SYNCTALK_BENCH_CACHE, else the user's cache (XDG)."""
    if environ.get(CACHE):
        return expanded(environ[CACHE])
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "synctalk-bench" / "assets"


def folders(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the folders of SYNCTALK_BENCH_ASSETS, a list separated as PATH is."""
    return tuple(expanded(part) for part in environ.get(FOLDERS, "").split(os.pathsep) if part)


def absent(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the folders of SYNCTALK_BENCH_ASSETS that are not there: a slip of the pen, most likely."""
    return tuple(folder for folder in folders(environ) if not folder.is_dir())


def candidates(asset: Asset, environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Yield every place where ``asset`` is looked for, the first that exists wins."""
    names = dict.fromkeys((*asset.paths, asset.file, *(form.file for form in asset.forms)))
    for folder in folders(environ):
        yield from (folder / name for name in names)
    yield from (cache_dir(environ) / name for name in (asset.file, *(form.file for form in asset.forms)))
    if asset.packaged:
        yield PACKAGED / asset.file
    if asset.hub:
        owner, model, file = asset.hub.split("/", 2)
        yield from sorted((hub_cache(environ) / f"models--{owner}--{model}" / "snapshots").glob(f"*/{file}"))


def hub_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of Hugging Face's cache, by its own variables."""
    if environ.get("HF_HUB_CACHE"):
        return expanded(environ["HF_HUB_CACHE"])
    home = environ.get("HF_HOME")
    return (expanded(home) if home else Path.home() / ".cache" / "huggingface") / "hub"


def locate(asset: Asset, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file on this machine that stands for ``asset``, unverified, or None."""
    return next((path for path in candidates(asset, environ) if path.is_file()), None)
