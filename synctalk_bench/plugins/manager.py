"""The typed catalogue of components. Entry points load one by one: a broken plugin costs only its own names."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import pluggy

from synctalk_bench.errors import MissingExtra, PluginError
from synctalk_bench.plugins import hookspecs
from synctalk_bench.specs import ComponentSpec, Kind, MetricSpec, PresetSpec, SubjectSpec, TorsoSpec
from synctalk_bench.wording import suggest

if TYPE_CHECKING:
    from synctalk_bench.protocols import Context
    from synctalk_bench.runner.events import Event

HOOK_OF_KIND: dict[Kind, str] = {
    Kind.AUDIO: "synctalk_bench_audio_encoders",
    Kind.EXPRESSION: "synctalk_bench_expressions",
    Kind.POSE: "synctalk_bench_poses",
    Kind.TORSO: "synctalk_bench_torsos",
    Kind.RENDERER: "synctalk_bench_renderers",
    Kind.PORTRAIT: "synctalk_bench_portraits",
    Kind.METRIC: "synctalk_bench_metrics",
    Kind.SUBJECT: "synctalk_bench_subjects",
}
SPEC_OF_KIND: dict[Kind, type[ComponentSpec]] = {
    Kind.TORSO: TorsoSpec,
    Kind.METRIC: MetricSpec,
    Kind.SUBJECT: SubjectSpec,
}
KIND_NOUN: dict[Kind, str] = {
    Kind.AUDIO: "audio encoder",
    Kind.EXPRESSION: "expression source",
    Kind.POSE: "pose source",
    Kind.TORSO: "torso",
    Kind.RENDERER: "renderer",
    Kind.PORTRAIT: "portrait generator",
    Kind.METRIC: "metric",
    Kind.SUBJECT: "built-in subject",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A component in the catalogue and the distribution that brought it."""

    kind: Kind
    spec: ComponentSpec
    plugin: str  # entry-point name
    distribution: str  # "name version"


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be loaded, remembered until one of its names is asked for; ``mend`` says what to do."""

    plugin: str
    distribution: str
    reason: str
    mend: str = ""


class PluginManager:
    """Every component that is installed.

    Args:
        points: entry points to load, all that are installed by default; of other groups than ``synctalk_bench`` those
            whose group reads like it are broken, the others are somebody else's.

    Raises:
        PluginError: a name is owned by two distributions, when that name is asked for.
    """

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.GROUP)
        self._pluggy.add_hookspecs(hookspecs)
        self._entries: dict[tuple[Kind, str], list[Entry]] = {}
        self._presets: dict[str, list[tuple[PresetSpec, str]]] = {}
        self.broken: list[Broken] = []
        self._silenced: set[str] = set()  # observers that failed once
        every = list(_installed() if points is None else points)
        # An editable install beside a wheel lists a point twice; the pair (name, value) is what counts.
        ours = {(p.name, p.value): p for p in every if p.group == hookspecs.GROUP}
        for _, point in sorted(ours.items()):
            self._load(point)
        near = {group for group in {p.group for p in every} - {hookspecs.GROUP} if _means_us(group)}
        strayed = {(p.name, p.value): p for p in every if p.group in near}
        self.broken += [_strayed(point) for pair, point in sorted(strayed.items()) if pair not in ours]

    def _load(self, point: EntryPoint) -> None:
        origin, name = _origin(point), f"{point.name}={point.value}"
        try:
            module = point.load()
            self._pluggy.register(module, name=name)
            self._check_hooks(module)
            entries = [
                Entry(kind, self._checked(spec, kind), point.name, origin)
                for kind, hook in HOOK_OF_KIND.items()
                for spec in self._call(module, hook)
            ]
            presets = list(self._call(module, "synctalk_bench_presets"))
            if not (entries or presets or self._pluggy.get_hookcallers(module)):
                raise PluginError(f"{point.value} holds no hook; name the module with the functions synctalk_bench_…")
        except (Exception, SystemExit) as error:  # a stranger's module must not cost the user's other components
            if self._pluggy.has_plugin(name):
                self._pluggy.unregister(name=name)
            self.broken.append(Broken(point.name, origin, f"{type(error).__name__}: {error}"))
            return
        for entry in entries:
            self._entries.setdefault((entry.kind, entry.spec.name), []).append(entry)
        for preset in presets:
            self._presets.setdefault(preset.name, []).append((preset, origin))

    def _check_hooks(self, module: Any) -> None:
        """Raise PluginError for a hook of ``module`` that nobody calls, with the nearest one there is."""
        try:
            self._pluggy.check_pending()
        except pluggy.PluginValidationError as error:
            asked = [caller.name for caller in self._pluggy.get_hookcallers(module) or () if not caller.has_spec()]
            known = [name for name in vars(hookspecs) if name.startswith(f"{hookspecs.GROUP}_")]
            near = [match for name in asked for match in difflib.get_close_matches(name, known, n=1, cutoff=0.5)]
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise PluginError(f"there is no hook {', '.join(asked)}; {hint}") from error

    @staticmethod
    def _call(module: Any, hook: str) -> Iterable[Any]:
        function: Callable[[], Iterable[Any] | None] | None = getattr(module, hook, None)
        found = function() if function is not None else None
        if found is not None and not isinstance(found, Iterable):
            raise PluginError(f"{hook} returned one {type(found).__name__}; it must return a list of them")
        return found or ()

    @staticmethod
    def _checked(spec: object, kind: Kind) -> ComponentSpec:
        expected = SPEC_OF_KIND.get(kind, ComponentSpec)
        if not isinstance(spec, expected):
            raise PluginError(f"{HOOK_OF_KIND[kind]} returned {spec!r}; it must return {expected.__name__} values")
        if spec.target.count(":") != 1:
            raise PluginError(f"the target of '{spec.name}' is '{spec.target}'; it must read 'module:Class'")
        return spec

    def entries(self, kind: Kind | None = None) -> list[Entry]:
        """Return the components of one kind, or all, sorted by kind and name."""
        found = [e for group in self._entries.values() for e in group if kind in (None, e.kind)]
        return sorted(found, key=lambda e: (list(Kind).index(e.kind), e.spec.name))

    def names(self, kind: Kind) -> list[str]:
        """Return the names of one kind, sorted."""
        return sorted(name for k, name in self._entries if k == kind)

    def find(self, kind: Kind, name: str, *, where: str = "") -> Entry:
        """Return the component called ``name``.

        Raises:
            PluginError: unknown (with the nearest name and all that exist), or owned by two distributions.
        """
        owners = self._entries.get((kind, name), [])
        if len(owners) == 1:
            return owners[0]
        noun = KIND_NOUN[kind]
        if owners:
            both = " and ".join(f"'{e.plugin}' of {e.distribution}" for e in owners)
            raise PluginError(f"two plugins register the {noun} '{name}': {both}", hint="uninstall one", where=where)
        raise PluginError(f"no {noun} is named '{name}'", hint=self._suggestion(name, self.names(kind)), where=where)

    def _suggestion(self, name: str, names: list[str]) -> str:
        hint = suggest(name, names)
        for plugin in self.broken:
            hint += f"\n  the plugin '{plugin.plugin}' of {plugin.distribution} could not be loaded: {plugin.reason}"
        return hint

    def preset_paths(self) -> dict[str, str]:
        """Return the presets that plugins bring: name to file.

        Raises:
            PluginError: two distributions bring a preset of the same name.
        """
        for name, owners in self._presets.items():
            if len(owners) > 1:
                both = " and ".join(origin for _, origin in owners)
                raise PluginError(f"two plugins bring the preset '{name}': {both}", hint="uninstall one")
        return {name: owners[0][0].path for name, owners in self._presets.items()}

    def metric_specs(self) -> dict[str, MetricSpec]:
        """Return every metric's spec by name."""
        return {e.spec.name: e.spec for e in self.entries(Kind.METRIC) if isinstance(e.spec, MetricSpec)}

    def notify(self, event: Event) -> None:
        """Tell every observer. An observer's failure is its own: it is recorded, the observer hears no more."""
        for implementation in self._pluggy.hook.synctalk_bench_event.get_hookimpls():
            if implementation.plugin_name in self._silenced:
                continue
            try:
                implementation.function(event)
            except (Exception, SystemExit) as error:  # observers are strangers' code
                self._silenced.add(implementation.plugin_name)
                self.broken.append(Broken(implementation.plugin_name, "observer", f"{type(error).__name__}: {error}"))


def _installed() -> Iterator[EntryPoint]:
    """Yield every entry point of this environment, by groups."""
    found = entry_points()
    for group in found.groups:
        yield from found.select(group=group)


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"


def _means_us(group: str) -> bool:
    """Return whether an entry point's group is a slip of the hand for ours, ``synctalk-bench`` or one a kind."""
    plain = group.lower().replace("-", "_")
    return plain.startswith("synctalk") or bool(difflib.get_close_matches(plain, [hookspecs.GROUP], cutoff=0.8))


def _strayed(point: EntryPoint) -> Broken:
    reason = f"its entry point is in the group '{point.group}', which nobody reads; did you mean '{hookspecs.GROUP}'?"
    mend = f"write [project.entry-points.{hookspecs.GROUP}] in its pyproject.toml and install it again"
    return Broken(point.name, _origin(point), reason, mend)


def _distribution_of(package: str) -> str:
    """Return the distribution whose entry point lies in ``package``; this one, where none says so."""
    points = entry_points(group=hookspecs.GROUP)
    own = (p.dist.name for p in points if p.dist and p.value.partition(":")[0].partition(".")[0] == package)
    return next(own, "synctalk-bench")


def build(spec: ComponentSpec, config: Any, context: Context) -> Any:
    """Import the component's class and make one.

    Raises:
        MissingExtra: an optional dependency is not installed.
        PluginError: the class is not where the spec says.
    """
    module_name, _, class_name = spec.target.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        root = module_name.partition(".")[0]
        if error.name and error.name.partition(".")[0] != root and spec.extra:
            raise MissingExtra(
                f"'{spec.name}' needs the package '{error.name}'",
                hint=f"pip install '{_distribution_of(root)}[{spec.extra}]'",
            ) from error
        raise PluginError(f"'{spec.name}' cannot be imported from {spec.target}: {error}") from error
    except AttributeError as error:
        raise PluginError(f"'{spec.name}' names {spec.target}, and {module_name} has no {class_name}") from error
    return factory(config, context)


@cache
def plugins() -> PluginManager:
    """Return the catalogue of this process, loaded once."""
    return PluginManager()
