"""A component described without importing it, so that listing and help never load torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a component does; each kind has one hook and one protocol."""

    AUDIO = "audio"
    EXPRESSION = "expression"
    POSE = "pose"
    TORSO = "torso"
    RENDERER = "renderer"
    PORTRAIT = "portrait"
    METRIC = "metric"
    SUBJECT = "subject"


def option(
    default: Any,
    help: str,
    *,
    neutral: bool = False,
    file: bool = False,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Any:
    """A config field with its help line and bounds.

    Args:
        neutral: the value cannot change a number (device, workers, log cadence), so it stays out of store keys.
        file: a text that is empty or names a file; store keys hold the file's content instead of its name.
        at_least, at_most: inclusive bounds, checked when a preset is resolved.
    """
    metadata = {"help": help, "neutral": neutral, "file": file, "at_least": at_least, "at_most": at_most}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class NoConfig:
    """A component without options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSpec:
    """What the harness knows of a component before it runs.

    Args:
        name: how presets and ``--set`` call it; lower case, dashes.
        summary: one line for ``plugins list``.
        target: ``"module:Class"``, imported only when a stage needs it and called as ``Class(config, context)``.
        config: a frozen dataclass of ``option`` fields (bool, int, float, str, Literal or tuples of these).
            It may define ``assets(self) -> tuple[str, ...]`` when the files it needs depend on its values.
        version: raise it when the same config gives other numbers; it is part of every store key.
        requires: channels that must be there first.
        provides: channels it makes.
        extra: the optional-dependency group that it needs, as in ``pip install 'synctalk-bench[face]'``.
        assets: registry names of the files it always needs.
        protocol: for portraits: the render protocol that its frames belong to (metrics spec 2.3). For renderers: what
            they predict, ``"mouth"``, where they take the rest of the head from the pictures of the frames that they
            draw; None for one that predicts the whole head. It stands behind the portrait's: ``head (mouth)``.
        torso_protocol: for portraits: the same where the torso is predicted; None where a predicted torso would not be
            seen in what is delivered, and a preset with both is refused.
        checkpoints: ``"module:Class"`` of the ``protocols.CheckpointFormat`` of the method's own code, if it has one.
        pretraining: how ``synctalk-bench pretrain NAME`` makes its weights, a ``protocols.Pretraining``, if it can.
    """

    name: str
    summary: str
    target: str
    config: type = NoConfig
    version: int = 1
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    extra: str | None = None
    assets: tuple[str, ...] = ()
    protocol: str | None = None
    torso_protocol: str | None = None
    checkpoints: str | None = None
    pretraining: ComponentSpec | None = None

    def assets_for(self, config: Any) -> tuple[str, ...]:
        """Registry names of the files that it needs under ``config``."""
        own = getattr(config, "assets", None)
        return self.assets + (tuple(own()) if callable(own) else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class TorsoSpec(ComponentSpec):
    """A torso, the layer between background and head.

    Args:
        predicted: False for one that hands on the subject's own pictures: it has no stage, and what is delivered keeps
            the portrait's ``protocol``.
    """

    predicted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec(ComponentSpec):
    """A metric: how its column reads and what it must be given.

    Args:
        label: column head, with backend or weights where several exist: ``LPIPS (alex)``.
        needs: any of ``truth``, ``audio``, ``landmarks``, ``action_units``, and one of ``region`` and ``lip_region``
            (the truth then comes with the face or the lip box of every frame).
        unit: of its values, for the axis of a plot: ``dB``; empty where they have none.
    """

    label: str
    higher_is_better: bool
    digits: int
    needs: frozenset[str] = frozenset({"truth"})
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSpec(ComponentSpec):
    """A subject that the package makes by itself; ``target`` writes the folder layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetSpec:
    """A preset shipped by a plugin: a TOML file of the format in docs/presets.md."""

    name: str
    path: str
