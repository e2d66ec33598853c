"""One thing that a check found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is so, what follows from it, and what to type.

    Args:
        check: the check that found it.
        level: ``problem``: something that every run needs is broken; ``warning``: runs work, but slower, or without
            what the text names.
        found: a fact, with its values.
        means: what it does to the user's runs; empty where ``found`` says it all.
        type: a command, or what else to do; empty where nothing is needed.
    """

    check: str
    level: Level
    found: str
    means: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the checks look at.

    Args:
        environ: environment variables.
        workspace: the folder that results would go to, there or not.
    """

    environ: Mapping[str, str]
    workspace: Path


@dataclass(slots=True)
class Notes:
    """Collects the findings of one check."""

    check: str
    found: list[Finding] = field(default_factory=list)

    def ok(self, found: str, means: str = "") -> None:
        """Note that all is well."""
        self.found.append(Finding(check=self.check, level="ok", found=found, means=means))

    def warning(self, found: str, means: str, type: str) -> None:
        """Note what makes runs slower or leaves something out."""
        self.found.append(Finding(check=self.check, level="warning", found=found, means=means, type=type))

    def problem(self, found: str, means: str, type: str) -> None:
        """Note what no run can do without."""
        self.found.append(Finding(check=self.check, level="problem", found=found, means=means, type=type))


def usable(findings: Iterable[Finding]) -> bool:
    """Return whether nothing that every run needs is broken."""
    return all(finding.level != "problem" for finding in findings)
