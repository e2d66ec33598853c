"""A resolved preset: which component in which place with which values, and where each value came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synctalk_bench.errors import ConfigError
from synctalk_bench.plugins.manager import Entry
from synctalk_bench.specs import Kind, TorsoSpec
from synctalk_bench.store.fingerprint import config_fields, digest

SCHEMA = 1
SLOTS: tuple[Kind, ...] = (Kind.AUDIO, Kind.EXPRESSION, Kind.POSE, Kind.TORSO, Kind.RENDERER, Kind.PORTRAIT)
"""The places a preset fills, in the order data flows through them."""

DEFAULTS: Mapping[Kind, str] = {Kind.TORSO: "captured"}
"""What stands in a place that a preset does not name. It is left out of what a run stores, so that the runs of presets
from before there was the place keep their names."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A component chosen for a place, with its checked config."""

    entry: Entry
    config: Any
    origins: Mapping[str, str]  # field -> "default", "preset full", "variant x", "--set"

    @property
    def name(self) -> str:
        """The component's name."""
        return self.entry.spec.name

    def values(self) -> dict[str, Any]:
        """Return every field as a JSON value, with ``use``."""
        fields = dataclasses.fields(self.config)
        plain = {f.name: list(v) if isinstance(v := getattr(self.config, f.name), tuple) else v for f in fields}
        return {"use": self.name} | plain

    def key_fields(self) -> dict[str, Any]:
        """Return the fields that can change a number."""
        return config_fields(self.config)


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the table: a full set of components; ``paper`` is the published row that it stands beside, or none."""

    name: str
    label: str
    choices: Mapping[Kind, Choice]
    paper: str = ""


def predicted_torso(choices: Mapping[Kind, Choice]) -> Choice | None:
    """Return the torso where it is predicted; None where the subject's own is shown."""
    torso = choices[Kind.TORSO]
    return torso if isinstance(torso.entry.spec, TorsoSpec) and torso.entry.spec.predicted else None


def delivered_protocol(choices: Mapping[Kind, Choice]) -> str:
    """Return the render protocol of what ``choices`` deliver (metrics spec 2.3): ``head``, ``portrait (mouth)`` ...

    It is the portrait's; where the renderer predicts less than the head, what it does predict stands behind it.

    Raises:
        ConfigError: the portrait would not show the torso that is predicted.
    """
    part = choices[Kind.RENDERER].entry.spec.protocol
    return _shown_protocol(choices) + (f" ({part})" if part else "")


def _shown_protocol(choices: Mapping[Kind, Choice]) -> str:
    """Return the protocol of a whole head, drawn and delivered by ``choices``."""
    torso, portrait = predicted_torso(choices), choices[Kind.PORTRAIT]
    if torso is None:
        return portrait.entry.spec.protocol or "head"
    if portrait.entry.spec.torso_protocol is None:
        raise ConfigError(
            f"the torso '{torso.name}' is predicted, and the portrait '{portrait.name}' delivers the captured one: "
            "it would be trained and never seen",
            hint="the portrait 'none' delivers head and torso as they are drawn (portrait.use=none; of synthesize: "
            f"--portrait none); with torso.use={DEFAULTS[Kind.TORSO]} every portrait is possible",
            where=f"torso.use, from {torso.origins.get('use', 'default')}",
        )
    return portrait.entry.spec.torso_protocol


@dataclass(frozen=True, slots=True)
class SubjectChoice:
    """A subject by name; ``choice`` is set for built-in ones, which can be made on demand."""

    name: str
    choice: Choice | None


@dataclass(frozen=True, slots=True)
class Preset:
    """Everything a run does. The first variant is the baseline."""

    name: str
    summary: str
    subjects: tuple[SubjectChoice, ...]
    seeds: tuple[int, ...]
    metrics: tuple[Choice, ...]
    variants: tuple[Variant, ...]
    origins: Mapping[str, str]  # of subjects, seeds, metrics

    def resolved(self) -> dict[str, Any]:
        """Return the whole preset as JSON values; this is what a run stores."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "summary": self.summary,
            "subjects": [
                {"name": s.name} | ({"built-in": s.choice.values()} if s.choice else {}) for s in self.subjects
            ],
            "seeds": list(self.seeds),
            "metrics": [m.values() for m in self.metrics],
            "baseline": self.variants[0].name,
            "variants": {
                v.name: {"label": v.label}
                | ({"paper": v.paper} if v.paper else {})
                | {str(k): c.values() for k, c in v.choices.items() if c.values() != {"use": DEFAULTS.get(k)}}
                for v in self.variants
            },
        }

    @property
    def run_name(self) -> str:
        """``<preset>-<8 hex digits>``: the same values give the same run directory."""
        content = self.resolved()
        for neutral in ("summary", "schema", "baseline"):
            content.pop(neutral)
        return f"{self.name}-{digest(content)[:8]}"

    def alike(self) -> list[tuple[str, ...]]:
        """Return the variants that differ in nothing, together: a ``--set`` may have taken away what one changes."""
        groups: dict[str, list[str]] = {}
        for variant in self.variants:
            fields = {str(kind): [choice.name, choice.key_fields()] for kind, choice in variant.choices.items()}
            groups.setdefault(digest(fields), []).append(variant.name)
        return [tuple(names) for names in groups.values() if len(names) > 1]
