"""What every component owes the harness, checked on a subject in memory: ``check(spec, kind)``.

Nothing here knows a component by name; what is tried follows from its kind and from the protocols that it fulfils. A
check that cannot be made (an asset, an extra or a device is missing) is ``skipped`` with the reason: it is not a pass.
"""

from __future__ import annotations

import dataclasses
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from synctalk_bench.artifacts import Status
from synctalk_bench.config.coerce import build_config
from synctalk_bench.errors import AssetMismatch, PrerequisiteError, SynctalkBenchError
from synctalk_bench.plugins.manager import SPEC_OF_KIND, build
from synctalk_bench.protocols import Context
from synctalk_bench.specs import ComponentSpec, Kind, MetricSpec, TorsoSpec
from synctalk_bench.testing.bench import Bench, Failure, Skip, Try, require
from synctalk_bench.testing.conduct import CONDUCTS, PROTOCOLS
from synctalk_bench.testing.imports import declaring_module, heavy_imports
from synctalk_bench.testing.training import training

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
CHANNEL = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried and how it went."""

    name: str
    status: Status
    detail: str = ""

    @property
    def ok(self) -> bool:
        """True for a pass; a skipped check is not one."""
        return self.status == "ok"


def check(
    spec: ComponentSpec,
    kind: Kind,
    *,
    config_overrides: Mapping[str, Any] | None = None,
    device: str = "cpu",
    seed: int = 0,
    asset: Callable[[str], Path] | None = None,
    module: str | None = None,
) -> list[Check]:
    """Return what was checked, in order; never raises for what the component does.

    Args:
        config_overrides: values that replace defaults, ``{"weights": "seeded"}``.
        asset: registry name to file, as ``Context.asset``; without it every asset is missing.
        module: the module that declares the component; found through its entry point when left out.
    """
    with TemporaryDirectory(prefix="synctalk-check-") as name:
        folder = Path(name)
        (folder / "scratch").mkdir()
        context = Context(device=device, seed=seed, scratch=folder / "scratch")
        if asset is not None:
            context = dataclasses.replace(context, asset=asset)

        def make(tiny: bool) -> Any:
            config = build_config(spec.config, config_overrides or {}, prefix=kind.value, origins={})
            return build(spec, tiny_config(config) if tiny else config, context)

        results = [_attempt(attempt, spec) for attempt in _declaration(spec, kind, module)]
        bench = Bench(spec=spec, device=device, make=make, folder=folder)
        results.append(_attempt(("builds", lambda: _builds(kind, bench)), spec))
        results += _conducts(bench, kind, buildable=results[-1])
        return results


def tiny_config(config: Any) -> Any:
    """Return the config's own small schedule, ``config.tiny()``, or the config itself when it offers none."""
    tiny = getattr(config, "tiny", None)
    return tiny() if callable(tiny) else config


def _attempt(attempt: Try, spec: ComponentSpec) -> Check:
    name, action = attempt
    try:
        return Check(name, "ok", action() or "")
    except Skip as reason:
        return Check(name, "skipped", str(reason))
    except AssetMismatch as error:  # the file is there and wrong: not something to skip over
        return Check(name, "failed", str(error))
    except PrerequisiteError as error:
        return Check(name, "skipped", str(error))
    except (Failure, SynctalkBenchError) as error:
        return Check(name, "failed", str(error))
    except Exception as error:  # whatever the component raises is a finding about the component
        return Check(name, "failed", f"{type(error).__name__}: {error}{_line_of(error, spec)}")


def _line_of(error: Exception, spec: ComponentSpec) -> str:
    """Return " (file, line n)": the deepest place of the component's own package in the error's traceback, if any."""
    package = spec.target.partition(":")[0].partition(".")[0]
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] == package and not module.startswith("synctalk_bench.testing."):
            return f" ({Path(frame.f_code.co_filename).name}, line {line})"
    return ""


# --- declared --------------------------------------------------------------------------------------------------------


def _declaration(spec: ComponentSpec, kind: Kind, module: str | None) -> Iterator[Try]:
    yield "spec", lambda: _spec(spec, kind)
    yield "config", lambda: _config(spec)
    yield "declared without torch", lambda: _light(spec, module)


def _spec(spec: ComponentSpec, kind: Kind) -> str:
    expected = SPEC_OF_KIND.get(kind, ComponentSpec)
    require(isinstance(spec, expected), f"a {kind} is declared with {expected.__name__}, not {type(spec).__name__}")
    require(NAME.fullmatch(spec.name), f"the name {spec.name!r} is not lower-case words joined by dashes")
    require(spec.summary.strip() and "\n" not in spec.summary, "the summary is not one line of text")
    require(TARGET.fullmatch(spec.target), f"the target {spec.target!r} does not read 'module:Class'")
    require(type(spec.version) is int and spec.version >= 1, f"the version {spec.version!r} is not a number from 1 up")
    for field in ("requires", "provides", "assets"):
        value = getattr(spec, field)
        right = isinstance(value, tuple) and all(isinstance(item, str) and CHANNEL.fullmatch(item) for item in value)
        require(right, f"{field} = {value!r} is not a tuple of names; did you mean ({value!r},)?")
    if kind in (Kind.AUDIO, Kind.EXPRESSION, Kind.POSE):
        require(spec.provides == (kind.value,), f"provides = {spec.provides!r}; an {kind} component makes '{kind}'")
    if kind is Kind.PORTRAIT:
        require(spec.protocol, "a portrait generator names the protocol of its frames: protocol='head' or 'portrait'")
    if isinstance(spec, TorsoSpec):
        require(type(spec.predicted) is bool, f"predicted = {spec.predicted!r} is neither True nor False")
    if isinstance(spec, MetricSpec):
        known = {"truth", "audio", "landmarks", "action_units", "region", "lip_region"}
        require(spec.label.strip() and spec.digits >= 0, "a metric has a column label and a number of digits")
        require(
            spec.needs <= known, f"needs {sorted(spec.needs - known)}, which no clip has; there are {sorted(known)}"
        )
    return f"version {spec.version}"


def _config(spec: ComponentSpec) -> str:
    cls = spec.config
    require(isinstance(cls, type), f"config = {cls!r} is not a class; give the class itself, without brackets")
    frozen = dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    require(frozen, f"{cls.__name__} is not a frozen dataclass")
    fields = dataclasses.fields(cls)
    for field in fields:
        require(
            "help" in field.metadata and str(field.metadata["help"]).strip(),
            f"{cls.__name__}.{field.name} is not an option(default, help)",
        )
        require(field.default is not dataclasses.MISSING, f"{cls.__name__}.{field.name} has no default")
    # Types and bounds hold for the defaults as they do for a user's values.
    build_config(
        cls, {f.name: f.default for f in fields}, prefix=spec.name, origins=dict.fromkeys(_names(cls), "default")
    )
    needed = spec.assets_for(cls())
    require(all(isinstance(item, str) for item in needed), f"assets() gives {needed!r}, not names")
    return ", ".join(f.name for f in fields) or "no options"


def _names(cls: Any) -> list[str]:
    return [f.name for f in dataclasses.fields(cls)]


def _light(spec: ComponentSpec, module: str | None) -> str:
    found = module or declaring_module(spec)
    if found is None:
        raise Skip("no entry point of the group 'synctalk_bench' lies in the component's package; is it installed?")
    heavy = heavy_imports(found)
    require(not heavy, f"importing {found} loads {', '.join(heavy)}; import them in the module of the target instead")
    return found


# --- built and run ---------------------------------------------------------------------------------------------------


def _builds(kind: Kind, bench: Bench) -> str:
    component, protocol = bench.component(), PROTOCOLS[kind]
    lacks = [member for member in dir(protocol) if not member.startswith("_") and not hasattr(component, member)]
    name = type(component).__name__
    require(isinstance(component, protocol), f"{name} lacks {' and '.join(lacks)} of {protocol.__name__}")
    return name


def _conducts(bench: Bench, kind: Kind, *, buildable: Check) -> list[Check]:
    """Run the checks of the kind, and those of training when it trains; skip all when it cannot be built."""
    attempts = list(CONDUCTS[kind](bench))
    if buildable.ok:
        attempts += training(bench, kind)
        return [_attempt(attempt, bench.spec) for attempt in attempts]
    why = buildable.detail if buildable.status == "skipped" else "it cannot be built"
    return [Check(name, "skipped", why) for name, _ in attempts]
