"""The workspace's subjects by name: prepared here, or official-layout folders that stay where they are."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synctalk_bench.errors import BadManifest, ConfigError, MissingFile, SubjectError
from synctalk_bench.store.atomic import explained, write_json
from synctalk_bench.store.fingerprint import digest, file_digest
from synctalk_bench.subjects.folder import RECORD, open_subject

# What a number can depend on (spec A.1); debug pictures, caches and our own records stay out.
_CONTENT = (
    "aud.wav",
    "au.csv",
    "bc.jpg",
    "bs.npy",
    "bundle_adjustment.pt",
    "track_params.pt",
    "transforms_train.json",
    "transforms_val.json",
)
_PICTURES = ("ori_imgs", "gt_imgs", "torso_imgs", "parsing", "face_mask")
_NAME = re.compile(r"[\w][\w.-]*", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Registered:
    """A subject of this workspace."""

    name: str
    root: Path
    digest: str


class SubjectRegistry:
    """The directory ``<workspace>/subjects``: one ``NAME.json`` a subject, and the folders of prepared ones."""

    def __init__(self, workspace: Path) -> None:
        self.root = workspace / "subjects"

    def folder(self, name: str) -> Path:
        """Return where a subject prepared here lies."""
        return self.root / check_name(name)

    def names(self) -> list[str]:
        """Return every registered name, sorted."""
        return sorted(p.stem for p in self.root.glob("*.json")) if self.root.is_dir() else []

    def register(
        self, name: str, root: Path, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Registered:
        """Check the folder ``root``, compute its digest and remember it as ``name``.

        Raises:
            SubjectError: the folder is not a usable dataset.
        """
        if not root.is_dir():
            raise MissingFile(f"{root} is not a folder", hint="give the folder that holds transforms_train.json")
        open_subject(root.resolve(), name=check_name(name), digest="")
        total = _digest(root, progress)
        record = {"name": name, "root": str(root.resolve()), "digest": total, "inventory": _inventory(root)}
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        write_json(self.root / f"{name}.json", record)
        return Registered(name, root.resolve(), total)

    def find(self, name: str, say: Callable[[str], None] = lambda line: None) -> Registered:
        """Return a registered subject; its digest is made anew when files changed since.

        Raises:
            ConfigError: there is no such subject, with the nearest name.
            MissingFile: its folder is gone.
        """
        path = self.root / f"{check_name(name)}.json"
        if not path.is_file():
            known = [*self.names(), "synthetic"]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise ConfigError(
                f"no subject is named '{name}'",
                hint=(f"did you mean '{near[0]}'?  " if near else "")
                + f"there are: {', '.join(known)}\n  make one:  synctalk-bench prepare VIDEO --subject {name}"
                + f"\n  or take one:  synctalk-bench subjects import DIR --name {name}",
                where="subjects",
            )
        try:
            record: dict[str, Any] = json.loads(path.read_text())
            root, known_digest, inventory = Path(record["root"]), str(record["digest"]), record["inventory"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadManifest(f"{path} cannot be read: {error!r}", hint="import the subject again") from error
        if not root.is_dir():
            raise MissingFile(
                f"the folder of subject '{name}' is gone: {root}",
                hint=f"synctalk-bench subjects import DIR --name {name}",
            )
        if inventory != _inventory(root):
            say(f"the files of subject '{name}' changed since it was registered; computing its digest again")
            return self.register(name, root)
        return Registered(name, root, known_digest)


def check_name(name: str) -> str:
    """Return ``name`` if it can name a folder here; raises SubjectError otherwise."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise SubjectError(f"'{name}' cannot name a subject", hint="use letters, digits, '_', '-' and '.'")
    return name


def _files(root: Path) -> Iterator[Path]:
    yield from (path for name in _CONTENT if (path := root / name).is_file())
    for folder in _PICTURES:
        yield from sorted(p for p in (root / folder).glob("*") if p.suffix in (".jpg", ".png", ".lms"))


def _inventory(root: Path) -> list[int]:
    """Return count, bytes and newest change of the content: cheap, and different after any ordinary edit."""
    facts = [path.stat() for path in _files(root)]
    return [len(facts), sum(f.st_size for f in facts), max((f.st_mtime_ns for f in facts), default=0)]


def _digest(root: Path, progress: Callable[[int, int], None]) -> str:
    files = list(_files(root))
    total = hashlib.sha256()
    for number, path in enumerate(files, 1):
        total.update(f"{path.relative_to(root).as_posix()}\0{file_digest(path)}\n".encode())
        progress(number, len(files))
    record = root / RECORD
    fps = json.loads(record.read_text()).get("fps", 25.0) if record.is_file() else 25.0
    return digest({"files": total.hexdigest(), "fps": float(fps)})
