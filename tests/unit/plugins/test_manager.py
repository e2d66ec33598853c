"""The catalogue: what is found, what is refused, and that one broken plugin harms nobody else."""

from __future__ import annotations

import pathlib
import sys
import types
from importlib.metadata import EntryPoint

import pytest

from synctalk_bench.errors import MissingExtra, PluginError
from synctalk_bench.plugins import hookspecs
from synctalk_bench.plugins.manager import HOOK_OF_KIND, PluginManager, build, plugins
from synctalk_bench.protocols import Context
from synctalk_bench.runner.events import Event
from synctalk_bench.specs import ComponentSpec, Kind


def point(name: str, module: types.ModuleType | None = None) -> EntryPoint:
    if module is not None:
        sys.modules[name] = module
    return EntryPoint(name, name, "synctalk_bench")


def module_with(**functions: object) -> types.ModuleType:
    module = types.ModuleType("made")
    for name, function in functions.items():
        setattr(module, name, hookspecs.hookimpl(function))
    return module


def test_every_kind_has_a_hook_and_a_component() -> None:
    assert plugins().broken == []
    for kind, hook in HOOK_OF_KIND.items():
        assert hasattr(hookspecs, hook)
        assert plugins().names(kind), kind


def test_a_broken_plugin_is_remembered_and_the_rest_works() -> None:
    manager = PluginManager([point("fake_components"), point("does_not_exist")])
    assert "tone" in manager.names(Kind.AUDIO)
    with pytest.raises(PluginError, match=r"does_not_exist.*could not be loaded"):
        manager.find(Kind.AUDIO, "theirs")


@pytest.mark.parametrize("returned", [[3], [ComponentSpec(name="x", summary="", target="no-colon")], 3])
def test_wrong_returns_break_only_their_plugin(returned: object) -> None:
    bad = module_with(synctalk_bench_audio_encoders=lambda: returned)
    manager = PluginManager([point("fake_components"), point("bad_plugin", bad)])
    assert [b.plugin for b in manager.broken] == ["bad_plugin"]
    assert "tone" in manager.names(Kind.AUDIO)


def test_a_single_spec_instead_of_a_list_is_explained() -> None:
    spec = ComponentSpec(name="x", summary="", target="a:B")
    manager = PluginManager([point("lone", module_with(synctalk_bench_audio_encoders=lambda: spec))])
    assert "must return a list" in manager.broken[0].reason and "ComponentSpec" in manager.broken[0].reason


def test_an_entry_point_without_a_hook_is_reported() -> None:
    """A misspelling without ``@hookimpl``, or the entry point of a function instead of its module."""
    empty = types.ModuleType("empty")
    empty.synctalk_bench_audio_encodres = list  # type: ignore[attr-defined]
    (broken,) = PluginManager([point("empty_plugin", empty)]).broken
    assert "empty_plugin holds no hook" in broken.reason
    assert not PluginManager([point("watches", module_with(synctalk_bench_event=lambda event: None))]).broken


@pytest.mark.parametrize(
    "group", ["synctalk-bench", "synctalkbench", "sync_talk_bench", "Synctalk_Bench", "synctalk_bench.audio_encoders"]
)
def test_a_misspelt_group_is_told(group: str) -> None:
    points = [point("fake_components"), EntryPoint("theirs", "not_even_there", group)]
    (strayed,) = PluginManager([*points, *points]).broken  # some installations list a point twice
    assert strayed.plugin == "theirs" and f"'{group}'" in strayed.reason
    assert strayed.reason.endswith("did you mean 'synctalk_bench'?")
    assert "[project.entry-points.synctalk_bench]" in strayed.mend
    there_too = EntryPoint("fake_components", "fake_components", group)
    assert PluginManager([points[0], there_too]).broken == []


@pytest.mark.parametrize("group", ["console_scripts", "pytest11", "torch_bench", "mkdocs.plugins"])
def test_other_groups_are_none_of_our_business(group: str) -> None:
    assert PluginManager([EntryPoint("theirs", "not_even_there", group)]).broken == []


def test_misspelt_hook_is_refused() -> None:
    bad = module_with(synctalk_bench_audio_encodres=lambda: ())
    (broken,) = PluginManager([point("misspelt", bad)]).broken
    assert broken.reason == (
        "PluginError: there is no hook synctalk_bench_audio_encodres; did you mean synctalk_bench_audio_encoders?"
    )


def test_a_name_owned_twice_names_both() -> None:
    spec = ComponentSpec(name="tone", summary="", target="a:B")
    other = module_with(synctalk_bench_audio_encoders=lambda: [spec])
    manager = PluginManager([point("fake_components"), point("other_plugin", other)])
    with pytest.raises(PluginError, match=r"fake_components.*other_plugin"):
        manager.find(Kind.AUDIO, "tone")


def test_nearest_name_is_offered(fakes: PluginManager) -> None:
    with pytest.raises(PluginError, match="did you mean 'tone'"):
        fakes.find(Kind.AUDIO, "tonne")


def test_build_explains(fakes: PluginManager) -> None:
    missing = ComponentSpec(name="x", summary="", target="fake_components:Nobody")
    with pytest.raises(PluginError, match="has no Nobody"):
        build(missing, None, Context())
    sys.modules["needs_more"] = None  # type: ignore[assignment]
    wants = types.ModuleType("wants_more")
    with pytest.raises(PluginError):
        build(ComponentSpec(name="x", summary="", target="needs_more:X", extra="face"), None, Context())
    del sys.modules["needs_more"], wants


def test_missing_extra_says_what_to_install(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    import pathlib

    folder = pathlib.Path(str(tmp_path))
    (folder / "eager_component.py").write_text("import a_package_nobody_has\n")
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(MissingExtra, match=r"pip install 'synctalk-bench\[face\]'"):
        build(ComponentSpec(name="x", summary="", target="eager_component:X", extra="face"), None, Context())


def test_the_extra_of_a_stranger_is_the_stranger_s(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "strange_component.py").write_text("import a_package_nobody_has\n")
    info = tmp_path / "strange_bench-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-bench\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[synctalk_bench]\nstrange = strange_component:plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtra, match=r"pip install 'strange-bench\[fast\]'"):
        build(ComponentSpec(name="x", summary="", target="strange_component:X", extra="fast"), None, Context())


def test_observers_hear_events_and_cannot_stop_a_run(fakes: PluginManager, monkeypatch: pytest.MonkeyPatch) -> None:
    import fake_components

    event = Event(kind="note", message="hello")
    fakes.notify(event)
    assert fake_components.SEEN[-1] is event
    monkeypatch.setenv("FAKE_OBSERVER_FAILS", "1")
    fakes.notify(event)
    assert fakes.broken[-1].reason == "RuntimeError: the observer has a bug"


def test_hook_examples_are_complete_plugins() -> None:
    """The code in every hook's docstring runs and registers."""
    for kind, hook in HOOK_OF_KIND.items():
        doc = str(getattr(hookspecs, hook).__doc__)
        lines = doc[doc.index("::") + 2 :].splitlines()
        code = "\n".join(line[8:] for line in lines if line.startswith("        ") or not line.strip())
        module = types.ModuleType(f"example_{kind}")
        exec(compile(code, hook, "exec"), module.__dict__)
        manager = PluginManager([point(f"example_{kind}", module)])
        assert manager.broken == []
        assert len(manager.names(kind)) == 1


def test_a_plugin_that_exits_harms_nobody_else(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exiting_plugin.py").write_text("import sys\nsys.exit('no licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    manager = PluginManager([point("exiting_plugin"), point("fake_components")])
    assert [b.reason for b in manager.broken] == ["SystemExit: no licence"]
    assert "tone" in manager.names(Kind.AUDIO)


def test_a_failing_observer_is_recorded_once_and_left_alone(
    fakes: PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fake_components

    monkeypatch.setenv("FAKE_OBSERVER_FAILS", "1")
    monkeypatch.setattr(fake_components, "SEEN", [])
    for _ in range(3):
        fakes.notify(Event(kind="note", message="hello"))
    assert len(fakes.broken) == 1
    assert len(fake_components.SEEN) == 1
