"""A resolved preset: which component in which place with which values, and where each value came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synctalk_bench.plugins.manager import Entry
from synctalk_bench.specs import Kind, MetricSpec
from synctalk_bench.store.fingerprint import config_fields, digest

SCHEMA = 1
SLOTS: tuple[Kind, ...] = (Kind.AUDIO, Kind.EXPRESSION, Kind.POSE, Kind.RENDERER, Kind.PORTRAIT)
"""The places a preset fills, in the order data flows through them."""


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
    """One row of the table: a full set of components."""

    name: str
    label: str
    choices: Mapping[Kind, Choice]


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
            "variants": {
                v.name: {"label": v.label} | {str(k): c.values() for k, c in v.choices.items()} for v in self.variants
            },
        }

    @property
    def run_name(self) -> str:
        """``<preset>-<8 hex digits>``: the same values give the same run directory."""
        content = self.resolved()
        for neutral in ("summary", "schema"):
            content.pop(neutral)
        return f"{self.name}-{digest(content)[:8]}"

    def metric_spec(self, name: str) -> MetricSpec:
        """Return the spec of a metric of this preset."""
        for metric in self.metrics:
            if metric.name == name and isinstance(metric.entry.spec, MetricSpec):
                return metric.entry.spec
        raise KeyError(name)
