"""A plan in the making: its tasks, each once, and which files they lack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from synctalk_bench.config.schema import Choice
from synctalk_bench.errors import AssetMismatch
from synctalk_bench.stages.control import CONTROLS
from synctalk_bench.stages.plan import Cell, Plan, Task
from synctalk_bench.store.fingerprint import Key

AssetDigest = Callable[[str], str | None]
"""Registry name -> SHA-256 of the file here, or None."""


class Tasks:
    """Collects the tasks of a plan in their order: each is added after its inputs."""

    def __init__(self, asset_digest: AssetDigest) -> None:
        self._made: dict[str, Task] = {}
        self._missing: dict[str, set[str]] = {}  # asset -> who needs it
        self._asset_digest = asset_digest

    def add(self, task: Task) -> str:
        """Add a task unless there is an equal one, and return its id."""
        self._made.setdefault(task.id, task)
        return task.id

    def digests(self, names: Iterable[str], user: str) -> dict[str, str | None]:
        """Return each asset's SHA-256; None, noted with the ``user``, for one that is missing or another file."""
        found: dict[str, str | None] = {}
        for name in names:
            try:
                found[name] = self._asset_digest(name)
            except AssetMismatch:  # for the task that opens the file to say; it must not stop the others
                found[name] = None
            if found[name] is None:
                self._missing.setdefault(name, set()).add(user)
        return found

    def key(self, stage: str, choice: Choice, inputs: Mapping[str, str], seed: int | None = None) -> Key:
        """Return the key of a stage that runs ``choice``; ``inputs`` are fingerprints by role."""
        spec = choice.entry.spec
        return Key(
            stage=stage,
            kind=str(choice.entry.kind),
            component=choice.name,
            version=spec.version,
            config=choice.key_fields(),
            inputs=dict(inputs),
            assets=self.digests(spec.assets_for(choice.config), choice.name),
            seed=seed,
        )

    def plan(self, name: str, cells: Iterable[Cell]) -> Plan:
        """Return the plan of the run ``name``."""
        missing = {asset: tuple(sorted(users)) for asset, users in sorted(self._missing.items())}
        return Plan(name, self._made, tuple(cells), missing)


def control_cell(
    name: str, *, subject: str, protocol: str, delivered: str, truth: str, scores: Mapping[str, str]
) -> Cell:
    """Return the cell of the control ``name``, which has neither seed nor channels."""
    return Cell(
        variant=f"control:{name}",
        subject=subject,
        seed=0,
        label=CONTROLS[name].label,
        protocol=protocol,
        channels={},
        delivered=delivered,
        truth=truth,
        scores=scores,
        control=True,
    )
