"""The list of third-party files (registry.toml), and of the weights that the package brings, as frozen records."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

from synctalk_bench.errors import ConfigError
from synctalk_bench.paths import expanded
from synctalk_bench.wording import suggest

Commercial = Literal["yes", "no", "unknown"]
REGISTRY = Path(__file__).with_name("registry.toml")
PACKAGED = Path(__file__).with_name("packaged")  # weights of our own making, each beside its card NAME.json


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Another file with the same content, such as a full checkpoint where only its trunk is used."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One third-party file.

    Args:
        name: how the registry, errors and ``assets fetch`` call it.
        file: its file name in the user cache.
        paths: where it may lie inside a folder of ``SYNCTALK_BENCH_ASSETS``, besides ``file`` itself.
        hub: ``owner/name/file`` on the Hugging Face hub; also looked for in its cache.
        sha256: of the file, 64 hex digits; empty where it is not known, then ``sha1``, ``git_blob`` and the size hold.
        bytes: its exact size, 0 where it is not known.
        size_range: least and most bytes that are believed where the exact size is not known.
        git_blob: first hex digits of its git object name.
        forms: other files with the same content that are taken as well.
        url: what ``fetch`` gets, https; empty where it may not be fetched freely.
        fetch: ``free`` when one command gets it, ``manual`` when ``how`` says what to do.
        commercial: whether its licence allows commercial use.
        needed_by: what asks for it, in words.
        packaged: whether it lies in the package itself.
    """

    name: str
    summary: str
    file: str
    paths: tuple[str, ...] = ()
    hub: str = ""
    sha256: str = ""
    sha1: str = ""
    git_blob: str = ""
    bytes: int = 0
    size_range: tuple[int, int] | None = None
    forms: tuple[Form, ...] = ()
    url: str = ""
    fetch: Literal["free", "manual"]
    how: str = ""
    licence: str
    commercial: Commercial
    needed_by: tuple[str, ...]
    packaged: bool = False

    @property
    def pinned(self) -> bool:
        """Whether the exact content is known beforehand."""
        return bool(self.sha256 or self.sha1)

    @property
    def fetched_form(self) -> Form:
        """What stands behind ``url``: the form of that file name, or the file itself."""
        name = self.url.rsplit("/", 1)[-1]
        own = Form(file=self.file, sha256=self.sha256, bytes=self.bytes)
        return next((form for form in self.forms if form.file == name), own)

    def way(self) -> str:
        """Return what to type or do to get it."""
        if self.fetch == "free":
            size = self.fetched_form.bytes
            cost = f" ({_megabytes(size)}, {self.licence})" if size else f" ({self.licence})"
            return f"synctalk-bench assets fetch {self.name}{cost}"
        add = "" if "/" in self.name or self.packaged else f" Then: synctalk-bench assets add {self.name} FILE"
        return self.how + add


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1_000_000 else f"{max(1, round(size / 1e3))} kB"


def _asset(name: str, table: Mapping[str, Any]) -> Asset:
    values = dict(table)
    values["paths"] = tuple(values.get("paths", ()))
    values["needed_by"] = tuple(values["needed_by"])
    values["forms"] = tuple(Form(**form) for form in values.get("forms", ()))
    if "size_range" in values:
        least, most = values["size_range"]
        values["size_range"] = (least, most)
    return Asset(name=name, **values)


def read(path: Path) -> Mapping[str, Asset]:
    """Return the assets of a registry file by name, in its order."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    tables = cast("dict[str, dict[str, Any]]", content["asset"])
    return MappingProxyType({name: _asset(name, table) for name, table in tables.items()})


@cache
def registry() -> Mapping[str, Asset]:
    """Return every asset that the package knows, by name."""
    return MappingProxyType({**read(REGISTRY), **{asset.name: asset for asset in packaged(PACKAGED)}})


def packaged(folder: Path) -> tuple[Asset, ...]:
    """Return the weights in ``folder`` of the package, as the cards beside them say (docs/pretraining.md)."""
    return tuple(_packaged(path) for path in sorted(folder.glob("*.json")))


def _packaged(card: Path) -> Asset:
    facts = json.loads(card.read_text(encoding="utf-8"))
    return Asset(
        name=card.stem,
        summary=facts["summary"],
        file=facts["file"],
        sha256=facts["sha256"],
        bytes=facts["bytes"],
        fetch="manual",
        how="It is a part of the package: pip install --force-reinstall synctalk-bench.",
        licence="Apache-2.0 (synctalk-bench)",
        commercial="yes",
        needed_by=(facts["needed_by"],),
        packaged=True,
    )


def _own_file(path: str) -> Asset:
    """Return the record of a file that is not in the registry: nothing is known of it but its content."""
    return Asset(
        name=path,
        summary="a file of your own",
        file=str(expanded(path).absolute()),  # absolute: it is looked for there and nowhere else
        fetch="manual",
        how="Check the path, or use an asset: synctalk-bench assets list.",
        licence="your own",
        commercial="unknown",
        needed_by=("the option that names it",),
    )


def lookup(name: str, known: Mapping[str, Asset] | None = None) -> Asset:
    """Return the asset called ``name``; a name with a slash is the path of a file of the user's own.

    Raises:
        ConfigError: there is none; the message names the nearest and all the others.
    """
    assets = registry() if known is None else known
    if name in assets:
        return assets[name]
    if "/" in name:
        return _own_file(name)
    own = f"for a file of yours write a slash: ./{name}\n  " if Path(name).exists() else ""
    raise ConfigError(f"no asset is named '{name}'", hint=own + suggest(name, assets))
