"""The workspace, the assets and what they unlock, and the plugins."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from synctalk_bench.doctor.finding import Machine, Notes

if TYPE_CHECKING:
    from synctalk_bench.assets.registry import Asset
    from synctalk_bench.assets.store import AssetStatus
    from synctalk_bench.config.schema import Choice, Preset

# Bytes. Five minutes of video at 512 x 512 take 2.6 GB prepared (1.3 a pixel, prepare/pipeline.py), a run some more.
ROOM, LEAST_ROOM = 5e9, 0.5e9
HASH_UP_TO = 200_000_000  # bytes: larger files are compared by size alone, to stay quick
ELSEWHERE = "choose another place with --workspace DIR or SYNCTALK_BENCH_WORKSPACE"


def workspace(machine: Machine, notes: Notes) -> None:
    """Write into the workspace, or where it would be made; look at the room and at file locks."""
    place = next(folder for folder in (machine.workspace, *machine.workspace.parents) if folder.exists())
    will = "" if place == machine.workspace else " (not there yet; the first run makes it)"
    if not place.is_dir():
        notes.problem(f"{place} is a file", "nothing can be kept", ELSEWHERE)
        return
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".doctor-") as folder:
            locks = _lock_holds(Path(folder))
    except OSError as error:
        notes.problem(f"{place} cannot be written: {error.strerror or error}", "nothing can be kept", ELSEWHERE)
        return
    free = shutil.disk_usage(place).free
    facts = f"{machine.workspace}{will}, {free / 1e9:,.1f} GB free"
    if free < LEAST_ROOM:
        notes.problem(facts, "not even 'run --preset quick' fits", f"free some space, or {ELSEWHERE}")
    elif free < ROOM:
        means = "five minutes of video at 512 pixels take 2.6 GB prepared, and a run some more"
        notes.warning(facts, means, f"free some space, or {ELSEWHERE}")
    else:
        notes.ok(facts)
    if locks:
        notes.ok("file locks hold between processes")
    else:
        means = "two runs at once could write the same result (a network disk without flock)"
        notes.warning("file locks do not hold here", means, f"one run at a time, or {ELSEWHERE}")


CHILD = """
import sys
from pathlib import Path
from synctalk_bench.errors import Leased
from synctalk_bench.store.lease import lease
try:
    with lease(Path(sys.argv[1])):
        sys.exit(10)
except Leased:
    sys.exit(11)
"""


def _lock_holds(folder: Path) -> bool:
    """Return whether a second process is kept out of a folder that this one holds."""
    from synctalk_bench.store.lease import lease

    with lease(folder):
        done = subprocess.run([sys.executable, "-c", CHILD, str(folder)], capture_output=True, timeout=20, check=False)
    if done.returncode not in (10, 11):
        raise OSError(f"a lock could not be tried: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return done.returncode == 11


def asset_folders(machine: Machine, notes: Notes) -> None:
    """Look whether every folder of SYNCTALK_BENCH_ASSETS is there."""
    from synctalk_bench.assets.find import FOLDERS, cache_dir, folders

    named = {folder: _obstacle(folder) for folder in folders(machine.environ)}
    good = os.pathsep.join(str(folder) for folder, obstacle in named.items() if not obstacle)
    way = f"export {FOLDERS}={good}" if good else f"unset {FOLDERS}"
    for folder, obstacle in named.items():
        if obstacle:
            notes.warning(f"{folder} {obstacle}", f"{FOLDERS} names it; it is passed over", f"{way}, or mend the path")
        else:
            notes.ok(str(folder))
    cache = cache_dir(machine.environ)
    notes.ok(f"{cache}{'' if cache.is_dir() else ' (not there yet; the first fetch makes it)'}")


def _obstacle(folder: Path) -> str:
    """Return why files of ``folder`` cannot be used, or nothing."""
    if not folder.exists():
        return "is not there"
    if not folder.is_dir():
        return "is not a folder"
    return "" if os.access(folder, os.R_OK | os.X_OK) else "cannot be read"


def assets(machine: Machine, notes: Notes) -> None:
    """Compare the files that are here with the registry, and say what they are for."""
    found = {state: [s for s in _statuses(machine) if s.state == state] for state in ("ready", "unpinned", "wrong")}
    for status in found["wrong"]:
        way = f"delete it, then: {status.asset.way()}"
        notes.problem(f"{status.path} is not {status.asset.name}: it {status.detail}", _needs(status.asset), way)
    for status in (*found["ready"], *found["unpinned"]):
        notes.ok(f"{status.asset.name}{': ' + status.detail if status.detail else ''}", _needs(status.asset))
    if not any(found.values()):
        notes.ok("none is here", "the synthetic subject, training and PSNR, SSIM, MS-SSIM need none")


def _needs(asset: Asset) -> str:
    return f"for {', '.join(asset.needed_by)}"


def _statuses(machine: Machine) -> Iterator[AssetStatus]:
    """Yield the assets that are here, verified by hash, the largest by size alone."""
    from synctalk_bench.assets.find import locate
    from synctalk_bench.assets.registry import registry
    from synctalk_bench.assets.store import AssetStatus, AssetStore
    from synctalk_bench.assets.verify import plausible
    from synctalk_bench.errors import AssetMismatch

    store = AssetStore(environ=machine.environ)
    for name, asset in registry().items():
        path = locate(asset, machine.environ)
        if path is None:
            continue
        if path.stat().st_size <= HASH_UP_TO:
            yield store.status_of(name)
            continue
        try:
            plausible(asset, path)
        except AssetMismatch as error:
            yield AssetStatus(asset=asset, state="wrong", path=path, detail=error.message)
        else:
            yield AssetStatus(asset=asset, state="ready", path=path, detail="size alone; 'assets verify' hashes it")


def presets(machine: Machine, notes: Notes) -> None:
    """Say which presets have every file, and which components and metrics of the others lack some."""
    from synctalk_bench.assets.find import locate
    from synctalk_bench.assets.registry import lookup
    from synctalk_bench.config.files import preset_files
    from synctalk_bench.config.load import load_preset
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.specs import Kind

    # What is missing, and whether only scores need it: who does, and in which presets.
    lacking: dict[tuple[frozenset[str], bool], tuple[set[str], set[str]]] = {}
    for name in sorted(preset_files(plugins())):
        complete = True
        for choice in _choices(load_preset(name, plugins())):
            needed = choice.entry.spec.assets_for(choice.config)
            if files := frozenset(a for a in needed if locate(lookup(a), machine.environ) is None):
                complete = False
                who, where = lacking.setdefault((files, choice.entry.kind is Kind.METRIC), (set(), set()))
                who.add(choice.name)
                where.add(name)
        if complete:
            notes.ok(f"{name}: every file is here")
    for (files, scores), (who, where) in lacking.items():
        follows = "these cells say so, the rest is computed" if scores else "such rows are not made"
        facts = f"{', '.join(sorted(who))}: {_some(sorted(files))} missing"
        notes.warning(facts, f"in {', '.join(sorted(where))}: {follows}", _get(files))


def _choices(preset: Preset) -> Iterator[Choice]:
    for variant in preset.variants:
        yield from variant.choices.values()
    yield from preset.metrics


def _get(files: Iterable[str]) -> str:
    """Return what gets the files: those that may be fetched freely in one command."""
    from synctalk_bench.assets.registry import lookup

    assets = sorted(files)
    free = [asset for asset in assets if lookup(asset).fetch == "free"]
    own = [asset for asset in assets if asset not in free]
    ways = [f"synctalk-bench assets fetch {' '.join(free)}"] if free else []
    ways += [f"synctalk-bench assets how {own[0]}{' (and so on)' if len(own) > 1 else ''}"] if own else []
    return "; ".join(ways)


def _some(names: list[str], most: int = 4) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def plugins(machine: Machine, notes: Notes) -> None:
    """Say which plugins could not be loaded."""
    from synctalk_bench.plugins.manager import PluginManager

    manager = PluginManager()
    for broken in manager.broken:
        means = "its components are missing; the others work"
        name = broken.distribution.split()[0]
        way = broken.mend or f"pip install --upgrade --force-reinstall {name}, or pip uninstall {name}"
        notes.warning(f"'{broken.plugin}' of {broken.distribution}: {broken.reason}", means, way)
    entries = manager.entries()
    if not entries:
        notes.problem("no component is installed", "nothing can run", "pip install --force-reinstall synctalk-bench")
        return
    sources = {entry.distribution.split()[0] for entry in entries}
    notes.ok(f"{len(entries)} components of {', '.join(sorted(sources))}")
