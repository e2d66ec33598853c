"""The trained cells of a finished run, found by what their results were made from.

Keys are read and not made anew: a run stays usable when a later version of the package would train it differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from synctalk_bench.artifacts import ResultRow
from synctalk_bench.config.schema import Variant
from synctalk_bench.errors import ConfigError, Damaged
from synctalk_bench.store.store import Artifact, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedCell:
    """One variant on one subject with one seed, and where its pieces lie.

    Args:
        train: the trained renderer.
        torso: the trained torso; None where the captured one was shown.
        channels: the tracks that drove both, by channel.
        subject_artifact: the subject where the run made it; None for one of the user's own.
        subject_digest: of the subject that it was trained on.
    """

    variant: Variant
    subject: str
    seed: int
    train: Artifact
    torso: Artifact | None = None
    channels: Mapping[str, Artifact]
    subject_artifact: Artifact | None
    subject_digest: str

    @property
    def name(self) -> str:
        """``variant/subject/seed``."""
        return f"{self.variant.name}/{self.subject}/{self.seed}"


def trained_cells(rows: Iterable[ResultRow], variants: Mapping[str, Variant], store: Store) -> dict[str, TrainedCell]:
    """Return, by name, the cells behind ``rows`` whose training is in ``store``.

    A score leads to the delivered clip, that to the rendered one, and that to the training, the channels and the torso.
    """
    found: dict[str, TrainedCell] = {}
    for row in rows:
        name = f"{row.variant}/{row.subject}/{row.seed}"
        if row.control or row.score.status != "ok" or name in found or row.variant not in variants:
            continue
        score = store.find(row.fingerprint)
        delivered = _input(store, score, "rendered")
        drawn = _input(store, delivered, "rendered")
        train = _input(store, drawn, "trained")
        if drawn is None or train is None or not train.done:
            continue
        layers = _input(store, drawn, "torso")
        torso = _input(store, layers, "trained")
        if "torso" in drawn.key.inputs and (torso is None or not torso.done):
            continue
        found[name] = TrainedCell(
            variant=variants[row.variant],
            subject=row.subject,
            seed=row.seed,
            train=train,
            torso=torso,
            channels=_channels(store, layers) | _channels(store, drawn),
            subject_artifact=_input(store, drawn, "subject"),
            subject_digest=drawn.key.inputs["subject"],
        )
    return found


def _channels(store: Store, artifact: Artifact | None) -> dict[str, Artifact]:
    """Return the tracks behind ``artifact`` by channel, with those that they were made from."""
    found: dict[str, Artifact] = {}
    for role in artifact.key.inputs if artifact is not None else ():
        if role.startswith("channel:") and (track := _input(store, artifact, role)) is not None:
            found |= {role.removeprefix("channel:"): track} | _channels(store, track)
    return found


def _input(store: Store, artifact: Artifact | None, role: str) -> Artifact | None:
    return store.find(artifact.key.inputs.get(role, "")) if artifact is not None else None


def choose_cell(
    cells: Mapping[str, TrainedCell], *, run: str, variant: str = "", subject: str = "", seed: int | None = None
) -> TrainedCell:
    """Return the one cell that fits what is given.

    Raises:
        ConfigError: none fits or several do; the message lists them.
    """
    if not cells:
        raise ConfigError(
            f"the run {run} has no trained head in this workspace",
            hint="choose another with --run, or make one: synctalk-bench run --preset quick",
            where="--run",
        )
    fitting = [
        cell
        for cell in cells.values()
        if (not variant or cell.variant.name == variant)
        and (not subject or cell.subject == subject)
        and (seed is None or cell.seed == seed)
    ]
    if len(fitting) == 1:
        return fitting[0]
    problem = "none of its heads fits" if not fitting else f"{len(fitting)} of its heads fit"
    raise ConfigError(
        f"the run {run}: {problem}",
        hint=f"choose by --variant, --subject and --seed; there are: {', '.join(sorted(cells))}",
    )


def channel_file(track: Artifact) -> Path:
    """Return the values of a stored channel; raises Damaged when they are gone."""
    path = track.path / "values.safetensors"
    if not path.is_file():
        raise Damaged(f"{path} is gone", hint="make it again with the same 'synctalk-bench run'")
    return path
