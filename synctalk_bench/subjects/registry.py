"""The workspace's subjects by name: prepared here, or official-layout folders that stay where they are."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synctalk_bench.errors import BadManifest, ConfigError, MissingFile, StoreError, SubjectError
from synctalk_bench.store.atomic import explained, write_json
from synctalk_bench.store.fingerprint import digest, file_digest
from synctalk_bench.subjects.files import read_record
from synctalk_bench.subjects.folder import FolderScene, open_subject
from synctalk_bench.subjects.layout import RECORD
from synctalk_bench.wording import suggest

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
_LONGEST = 200  # bytes: file systems take 255, and an ending is put behind it


@dataclass(frozen=True, slots=True)
class Registered:
    """A subject of this workspace."""

    name: str
    root: Path
    digest: str


class SubjectRegistry:
    """The directory ``<workspace>/subjects``: one ``NAME.json`` a subject, and the folders of prepared ones.

    Args:
        reserved: names of built-in subjects; one registered under such a name would never be used.
    """

    def __init__(self, workspace: Path, *, reserved: Collection[str] = ()) -> None:
        self.root = workspace / "subjects"
        self._reserved = reserved

    def free_name(self, name: str) -> str:
        """Return ``name`` if a subject can be registered under it; raises SubjectError otherwise."""
        if check_name(name) in self._reserved:
            raise SubjectError(
                f"'{name}' is the name of a built-in subject, which would be used in place of yours",
                hint="choose another: prepare --subject NAME, or subjects import --name NAME",
            )
        return name

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
            SubjectError: the folder is not a usable dataset, or the name cannot be used.
        """
        self.free_name(name)
        found, inventory = self._measure(name, root.resolve(), progress)
        self._write(found, inventory)
        return found

    @staticmethod
    def _measure(name: str, root: Path, progress: Callable[[int, int], None]) -> tuple[Registered, str]:
        """Check a folder and return what there is to remember of it."""
        scene = FolderScene(open_subject(root, name=name, digest=""))
        scene.image("ori", 0)  # what a run would stumble over after minutes: another size than the transforms say,
        scene.image("gt", 0)
        scene.audio()  # or no sound
        inventory = _inventory(root)  # taken first: what changes while it is read is noticed the next time
        return Registered(name, root, _digest(root, progress)), inventory

    def _write(self, found: Registered, inventory: str) -> None:
        record = {
            "name": found.name,
            "root": self._written(found.root),
            "digest": found.digest,
            "inventory": inventory,
        }
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        write_json(self.root / f"{found.name}.json", record)

    def _written(self, root: Path) -> str:
        """Return ``root`` as it is recorded: relative inside this directory, so that a workspace can be moved."""
        own = self.root.resolve()
        return root.relative_to(own).as_posix() if root.is_relative_to(own) else str(root)

    def find(self, name: str, say: Callable[[str], None] = lambda line: None) -> Registered:
        """Return a registered subject; its digest is made anew when files changed since.

        Raises:
            ConfigError: there is no such subject, with the nearest name.
            MissingFile: its folder is gone.
        """
        path = self.root / f"{check_name(name)}.json"
        if not path.is_file():
            known = [*self.names(), *self._reserved]
            raise ConfigError(
                f"no subject is named '{name}'",
                hint=f"{suggest(name, known)}\n  make one:  synctalk-bench prepare VIDEO --subject {name}"
                f"\n  or take one:  synctalk-bench subjects import DIR --name {name}",
                where="subjects",
            )
        try:
            record: dict[str, Any] = json.loads(path.read_text())
            root, known_digest, inventory = (
                self.root.resolve() / record["root"],
                str(record["digest"]),
                record["inventory"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadManifest(f"{path} cannot be read: {error!r}", hint="import the subject again") from error
        if not root.is_dir():
            raise MissingFile(
                f"the folder of subject '{name}' is gone: {root}",
                hint=f"synctalk-bench subjects import DIR --name {name}",
            )
        if inventory != _inventory(root):
            say(f"the files of subject '{name}' changed since it was registered; computing its digest again")
            found, inventory = self._measure(name, root, lambda done, total: None)
            try:
                self._write(found, inventory)
            except StoreError as error:  # looking needs no right to write
                say(f"it could not be remembered, and will be computed again: {error.message}")
            return found
        return Registered(name, root, known_digest)


def check_name(name: str) -> str:
    """Return ``name`` if it can name a folder here; raises SubjectError otherwise."""
    if not _NAME.fullmatch(name) or name in (".", "..") or len(name.encode()) > _LONGEST:
        raise SubjectError(
            f"'{name}' cannot name a subject", hint=f"use letters, digits, '_', '-' and '.', at most {_LONGEST}"
        )
    return name


def name_of(video: Path) -> str:
    """Return a name for the subject of ``video``: its file's name, whatever cannot stand in a name as '-'.

    Raises:
        SubjectError: no letter or digit is in it.
    """
    # Composed form: macOS writes é as e and an accent, which alone is no letter.
    stem = unicodedata.normalize("NFC", video.stem)
    name = re.sub(r"[^\w.-]+", "-", stem).strip("-.")
    if not re.search(r"\w", name.replace("_", "")):
        raise SubjectError(
            f"the file's name '{video.name}' gives no name for a subject", hint="give one: --subject NAME"
        )
    return check_name(name)


def _files(root: Path) -> Iterator[Path]:
    yield from (path for name in _CONTENT if (path := root / name).is_file())
    for folder in _PICTURES:
        yield from sorted(p for p in (root / folder).glob("*") if p.suffix in (".jpg", ".png", ".lms"))


def _inventory(root: Path) -> str:
    """Return a digest of every content file's name, size and times: cheap, and different after any change.

    The change time is the one that ``cp -p`` and ``touch`` cannot set.
    """
    total = hashlib.sha256()
    own = [root / RECORD] if (root / RECORD).is_file() else []
    for path in (*_files(root), *own):
        facts = path.stat()
        line = f"{path.relative_to(root).as_posix()}\0{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}\n"
        total.update(os.fsencode(line))
    return total.hexdigest()


def _digest(root: Path, progress: Callable[[int, int], None]) -> str:
    files = list(_files(root))
    total = hashlib.sha256()
    for number, path in enumerate(files, 1):
        total.update(f"{path.relative_to(root).as_posix()}\0{file_digest(path)}\n".encode())
        progress(number, len(files))
    return digest({"files": total.hexdigest(), "fps": read_record(root)[1]})
