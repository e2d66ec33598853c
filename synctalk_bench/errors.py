"""Every error a user can cause: what happened, where, and what to type (design.md section 8).

The command line prints these without a traceback; anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import ClassVar


class SynctalkBenchError(Exception):
    """A failure that the user can act on.

    Args:
        message: what went wrong, with the offending value.
        hint: what to type or change; shown on its own line.
        where: file, option or preset key that the value came from.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        place = f"  ({self.where})" if self.where else ""
        hint = f"\n  {self.hint}" if self.hint else ""
        return f"{self.message}{place}{hint}"


class ConfigError(SynctalkBenchError):
    """A preset, an option or a ``--set`` value is unknown or of the wrong type."""

    exit_code = 2


class PluginError(SynctalkBenchError):
    """A plugin could not be loaded, clashes with another, or breaks its contract."""

    exit_code = 3


class PrerequisiteError(SynctalkBenchError):
    """Something outside the package is missing: an extra, a weight file, a device."""

    exit_code = 4


class MissingExtra(PrerequisiteError):
    """An optional dependency is not installed."""


class MissingAsset(PrerequisiteError):
    """A weight or data file is not on this machine."""


class AssetMismatch(PrerequisiteError):
    """A weight file is not the file it should be (wrong hash, truncated, a web page)."""


class MissingDevice(PrerequisiteError):
    """The device that was asked for is not here."""


class SubjectError(SynctalkBenchError):
    """A subject or a source video cannot be used as it is."""

    exit_code = 4


class MissingFile(SubjectError):
    """A file of the dataset layout is not there."""


class BadManifest(SubjectError):
    """A dataset file is there but cannot be read or contradicts another."""


class TooShort(SubjectError):
    """The clip has too few frames."""


class NoFace(SubjectError):
    """A face is missing, or more than one is there, in frames that the message lists."""


class NoAudio(SubjectError):
    """The source has no audio track."""


class WrongFps(SubjectError):
    """The frame rate is not what the dataset layout needs."""


class StageError(SynctalkBenchError):
    """A stage of a run failed; the rest of the run goes on."""

    exit_code = 1


class NotComparable(SynctalkBenchError):
    """Numbers that mean different things were to stand in one column; the message says what differs, and where."""

    exit_code = 2


class StoreError(SynctalkBenchError):
    """The workspace cannot be read or written."""

    exit_code = 5


class Damaged(StoreError):
    """A stored artifact does not match the digests it was written with."""


class Leased(StoreError):
    """Another process is working on this artifact."""


class NewerSchema(StoreError):
    """The workspace was written by a newer version."""
