"""Every check of the conformance kit can fail: components that break one rule each, and what is said about them."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from synctalk_bench.errors import AssetMismatch, MissingAsset
from synctalk_bench.protocols import Context, MetricResult, State, Step
from synctalk_bench.specs import ComponentSpec, Kind, MetricSpec, NoConfig, SubjectSpec, TorsoSpec, option
from synctalk_bench.subjects.files import write_landmarks, write_transforms
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.subjects.sound import write_wav
from synctalk_bench.testing.conformance import Check, check
from synctalk_bench.testing.imports import heavy_imports
from synctalk_bench.testing.memory_scene import MemoryScene

THIS = "synctalk_bench.specs"  # a module that loads nothing heavy, to stand for the declaring one


@dataclass(frozen=True)
class Options:
    steps: int = option(5000, "steps of the schedule", at_least=1)
    flaw: str = option("", "which rule is broken")

    def tiny(self) -> Options:
        return dataclasses.replace(self, steps=4)


class Loudness:
    """A sound encoder that is right unless told otherwise."""

    def __init__(self, config: Options, context: Context) -> None:
        self.flaw, self.context = config.flaw, context
        if self.flaw == "missing asset":
            context.asset("weights")
        if self.flaw == "wrong asset":
            raise AssetMismatch("weights.pth is a web page")
        if self.flaw == "crash":
            raise ZeroDivisionError("at construction")

    def encode(self, wave: torch.Tensor, rate: int, *, fps: float, frames: int) -> torch.Tensor:
        hop = int(rate / fps)
        if self.flaw == "in place":
            wave *= 0.5
        size = len(wave) // hop if self.flaw == "short" else frames
        padded = torch.zeros(size * hop)
        padded[: min(len(wave), len(padded))] = wave[: len(padded)]
        rms = padded.reshape(size, 1, hop).square().mean(2, keepdim=True).sqrt()
        if self.flaw == "random":
            rms = rms + torch.rand(1)
        if self.flaw == "nan":
            rms = torch.log(rms * 0) * 0
        if self.flaw == "deaf":
            rms = torch.ones_like(rms)
        if self.flaw == "double":
            rms = rms.double()
        if self.flaw == "graph":
            rms = rms * torch.ones((), requires_grad=True)
        if self.flaw == "bug":
            return rms[: int("frames")]
        if self.flaw in ("nothing", "array"):
            return None if self.flaw == "nothing" else rms.numpy()  # type: ignore[return-value]
        return rms[:, 0] if self.flaw == "flat" else rms


class Still:
    """A pose source."""

    def __init__(self, config: Options, context: Context) -> None:
        self.flaw = config.flaw
        self.origin = "guessed" if config.flaw == "origin" else "generated"

    def track(self, scene: Any) -> torch.Tensor:
        poses = torch.eye(4).repeat(scene.subject.frames, 1, 1)
        if self.flaw == "mirror":
            poses[:, 0, 0] = -1
        if self.flaw == "scaled":
            poses[:, :3, :3] *= 2
        if self.flaw == "row":
            poses[:, 3] = 1
        if self.flaw == "looked up":
            poses = torch.from_numpy(scene.poses("transforms")).float()
        return poses[1:] if self.flaw == "short" else poses


class Paste:
    """A portrait generator."""

    def __init__(self, config: Options, context: Context) -> None:
        self.flaw = config.flaw

    def compose(self, rendered: torch.Tensor, scene: Any, frame: int) -> torch.Tensor:
        if self.flaw == "in place":
            return rendered.mul_(0.5)
        original = torch.from_numpy(scene.image("ori", frame).copy()).float() / 255
        return {"bright": rendered * 1.5, "given": original, "bytes": rendered * 255}.get(self.flaw, rendered)

    def truth(self, scene: Any, frame: int) -> Any:
        picture = scene.image("gt", frame)
        return picture / 255 if self.flaw == "float truth" else picture


class Error:
    """A metric: mean absolute difference of all bytes."""

    def __init__(self, config: Options, context: Context) -> None:
        self.flaw = config.flaw

    def score(self, rendered: Any, truth: Any) -> MetricResult:
        def read(clip: Any, k: int) -> Any:
            return np.asarray(Image.open(clip.frame(k))).astype(np.float32)

        rows = np.array([np.abs(read(rendered, k) - read(truth, k)).mean() for k in rendered.span.frames], np.float32)
        rows = {"double": rows.astype(np.float64), "few": rows[1:], "worse": -rows}.get(self.flaw, rows)
        mean = {"nan": float("nan"), "mean": float(rows.mean()) + 1}.get(self.flaw, float(rows.mean()))
        return MetricResult(mean=mean, per_frame=rows, details={"at": {1}} if self.flaw == "details" else {})


class MeanColour:
    """A renderer that learns one colour by gradient steps on random frames."""

    def __init__(self, config: Options, context: Context) -> None:
        self.steps, self.flaw, self.seed = config.steps, config.flaw, context.seed
        self.colour = torch.zeros(3)
        self.generator = torch.Generator().manual_seed(self.seed)

    def fit(self, scene: Any, span: Any, *, resume: State | None = None) -> Iterator[Step]:
        done = 0
        if resume is not None:
            self.load(resume)
            done = resume.values["done"]
            if self.flaw != "forgets its generator":
                self.generator.set_state(resume.tensors["generator"])
        for index in range(done + 1, self.steps + 1):
            frame = int(torch.randint(len(span), (1,), generator=self.generator))
            if self.flaw == "global randomness":
                frame = int(torch.randint(len(span), (1,)))
            target = torch.from_numpy(scene.image("gt", frame).copy()).float().mean((0, 1)) / 255
            self.colour = self.colour + 0.3 * (target - self.colour)
            self.done = index
            loss = (target - self.colour).square().mean() / (0 if self.flaw == "infinite loss" else 1)
            total = self.steps + 1 if self.flaw == "stops early" else self.steps
            yield Step(index=index + (self.flaw == "counts from 2"), total=total, phase="head", scalars={"loss": loss})

    def state(self) -> State:
        values = {"done": self.done, "bad": {1}} if self.flaw == "set in state" else {"done": self.done}
        tensors = {"colour": self.colour.clone(), "generator": self.generator.get_state()}
        if self.flaw == "state with gradients":
            tensors["colour"].requires_grad_()
        if self.flaw == "unsaved":
            tensors["colour"] = torch.zeros(3)
        return State(tensors, values)

    def load(self, state: State) -> None:
        self.colour = state.tensors["colour"]
        self.done = state.values["done"]

    def render(self, scene: Any, span: Any) -> Iterator[torch.Tensor]:
        noise = torch.Generator().manual_seed(self.seed)
        for k in range(span.first, span.stop + (self.flaw == "one frame more")):
            if self.flaw == "looks":
                scene.image("gt", k)
            if self.flaw == "reads lips":
                scene.landmarks(k)
            if self.flaw == "reads poses":
                scene.poses("tracker")
            if self.flaw == "film noise":
                self.colour = torch.rand(3, generator=noise)
            frame = self.colour.expand(scene.subject.height, scene.subject.width, 3)
            frame = frame.requires_grad_() if self.flaw == "graph" else frame
            yield frame * 255 if self.flaw == "bytes" else frame


class Shade(MeanColour):
    """A torso: the learnt colour in the lower half of the picture."""

    def layer(self, scene: Any, frame: int) -> torch.Tensor:
        drawn = torch.zeros(scene.subject.height, scene.subject.width, 4)
        drawn[scene.subject.height // 2 :] = torch.cat([self.colour, torch.ones(1)])
        if self.flaw == "looks":
            drawn[..., 3] = torch.from_numpy(scene.image("torso", frame)[..., 3].copy()) / 255
        return {"opaque": drawn[..., :3], "bytes": drawn * 255}.get(self.flaw, drawn)


class Drawn:
    """A subject: the scene in memory, written as a folder."""

    def __init__(self, config: Options, context: Context) -> None:
        self.flaw, self.seed = config.flaw, context.seed

    def write(self, root: Path, *, progress: Any) -> None:
        scene = MemoryScene(seed=self.seed)
        layout, count = Layout(root), scene.subject.frames
        write_transforms(root, scene.poses("transforms"), scene.subject.camera)
        write_wav(layout.audio, *scene.audio())
        np.save(layout.blendshapes, scene.blendshapes()[: 9 if self.flaw == "short" else None])
        if self.flaw != "no plate":
            Image.fromarray(scene.background()).save(layout.background)
        for k in range(count):
            for layer, path in (("ori", layout.ori), ("gt", layout.gt), ("torso", layout.torso)):
                path(k).parent.mkdir(exist_ok=True)
                Image.fromarray(scene.image(layer, k)).save(path(k))  # type: ignore[arg-type]
            write_landmarks(layout.landmarks(k), scene.landmarks(k).astype(np.float64))
            progress(count - k if self.flaw == "backwards" else k + 1, count)
        if self.flaw == "clock":
            layout.record.write_text(json.dumps({"made": time.time_ns()}))


class NoMethods:
    def __init__(self, config: Any, context: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("conformance_parts")
    for part in (Loudness, Still, Paste, Error, MeanColour, Shade, Drawn, NoMethods):
        setattr(module, part.__name__, part)
    monkeypatch.setitem(sys.modules, "conformance_parts", module)


SPECS: dict[Kind, ComponentSpec] = {
    Kind.AUDIO: ComponentSpec(
        name="loudness", summary="RMS.", target="conformance_parts:Loudness", config=Options, provides=("audio",)
    ),
    Kind.POSE: ComponentSpec(
        name="still", summary="No motion.", target="conformance_parts:Still", config=Options, provides=("pose",)
    ),
    Kind.PORTRAIT: ComponentSpec(
        name="paste", summary="As it is.", target="conformance_parts:Paste", config=Options, protocol="head"
    ),
    Kind.METRIC: MetricSpec(
        name="mae",
        summary="Error.",
        target="conformance_parts:Error",
        config=Options,
        label="MAE",
        higher_is_better=False,
        digits=3,
    ),
    Kind.RENDERER: ComponentSpec(
        name="mean-colour",
        summary="One colour.",
        target="conformance_parts:MeanColour",
        config=Options,
        requires=("pose",),
    ),
    Kind.TORSO: TorsoSpec(name="shade", summary="One colour.", target="conformance_parts:Shade", config=Options),
    Kind.SUBJECT: SubjectSpec(name="drawn", summary="An ellipsoid.", target="conformance_parts:Drawn", config=Options),
}


def bad(checks: list[Check]) -> dict[str, str]:
    return {c.name: c.detail for c in checks if not c.ok}


@pytest.mark.parametrize("kind", SPECS)
def test_right_components_pass_everything(kind: Kind) -> None:
    checks = check(SPECS[kind], kind, module=THIS)
    assert not bad(checks)
    assert len(checks) == {Kind.RENDERER: 13, Kind.TORSO: 13, Kind.METRIC: 7, Kind.POSE: 7, Kind.SUBJECT: 6}.get(
        kind, 8
    )


@pytest.mark.parametrize(
    ("kind", "flaw", "name", "text"),
    [
        (Kind.AUDIO, "crash", "builds", "ZeroDivisionError"),
        (Kind.AUDIO, "wrong asset", "builds", "web page"),
        (Kind.AUDIO, "flat", "shape, float32, finite", r"shape \[24, 1\], expected \[24, n, n\]"),
        (Kind.AUDIO, "double", "shape, float32, finite", "torch.float64"),
        (Kind.AUDIO, "nothing", "shape, float32, finite", "is a NoneType, not a torch.Tensor"),
        (Kind.AUDIO, "array", "shape, float32, finite", "is a ndarray, not a torch.Tensor"),
        (Kind.AUDIO, "nan", "shape, float32, finite", "not finite"),
        (Kind.AUDIO, "graph", "shape, float32, finite", r"needs gradients; .*torch\.no_grad\(\), or \.detach\(\)"),
        (Kind.AUDIO, "in place", "shape, float32, finite", "changed the wave"),
        (Kind.AUDIO, "deaf", "follows the sound", "same for another sound"),
        (Kind.AUDIO, "short", "sound shorter, longer, silent", "shape"),
        (Kind.AUDIO, "random", "same seed, same result", "differs between two runs"),
        (Kind.POSE, "short", "shape, float32, finite", r"\[23, 4, 4\], expected \[24, 4, 4\]"),
        (Kind.POSE, "mirror", "shape, float32, finite", "mirrors"),
        (Kind.POSE, "scaled", "shape, float32, finite", "orthonormal"),
        (Kind.POSE, "row", "shape, float32, finite", "last row"),
        (Kind.POSE, "looked up", "generated without looking", "that is captured"),
        (Kind.POSE, "origin", "shape, float32, finite", "guessed"),
        (Kind.PORTRAIT, "bright", "shape, float32, in [0, 1]", r"to 1\.49"),
        (Kind.PORTRAIT, "in place", "shape, float32, in [0, 1]", "changed the frame"),
        (Kind.PORTRAIT, "given", "delivers what was rendered", "does not show"),
        (Kind.PORTRAIT, "float truth", "truth is uint8 RGB", "float64"),
        (Kind.METRIC, "nan", "finite, float32 rows, mean of the rows", "NaN"),
        (Kind.METRIC, "double", "finite, float32 rows, mean of the rows", "float64"),
        (Kind.METRIC, "few", "finite, float32 rows, mean of the rows", r"\(4,\)"),
        (Kind.METRIC, "mean", "finite, float32 rows, mean of the rows", "the mean is"),
        (Kind.METRIC, "details", "finite, float32 rows, mean of the rows", "TypeError"),
        (Kind.METRIC, "worse", "the truth scores best", "worse score"),
        (Kind.RENDERER, "counts from 2", "steps count up to their total", "numbered"),
        (Kind.RENDERER, "stops early", "steps count up to their total", "their total reads"),
        (Kind.RENDERER, "infinite loss", "steps count up to their total", "'loss' is"),
        (Kind.RENDERER, "set in state", "state is tensors and JSON", "JSON"),
        (Kind.RENDERER, "state with gradients", "state is tensors and JSON", "colour"),
        (Kind.RENDERER, "global randomness", "same seed, same training", "differ"),
        (Kind.RENDERER, "forgets its generator", "save, load: the same next steps", "after resuming|another state"),
        (Kind.RENDERER, "unsaved", "save, load: the same frame", "another frame"),
        (Kind.RENDERER, "bytes", "frames are [H, W, 3] in [0, 1]", "pictures lie in"),
        (Kind.RENDERER, "graph", "frames are [H, W, 3] in [0, 1]", "needs gradients"),
        (Kind.RENDERER, "film noise", "the same frame in any span", "the seed and the frame's number"),
        (Kind.RENDERER, "looks", "draws without looking", r"picture 'gt' of frame 21.*protocol='mouth' in its spec"),
        (Kind.RENDERER, "reads lips", "draws without looking", "the landmarks of frame 21"),
        (Kind.RENDERER, "reads poses", "draws without looking", "'poses'; .* is a channel that its spec requires"),
        (Kind.RENDERER, "one frame more", "frames are [H, W, 3] in [0, 1]", "3 frames for a span of 2"),
        (Kind.TORSO, "opaque", "layers are [H, W, 4] in [0, 1]", r"shape \[64, 48, 3\], expected \[64, 48, 4\]"),
        (Kind.TORSO, "bytes", "layers are [H, W, 4] in [0, 1]", "pictures lie in"),
        (Kind.TORSO, "unsaved", "save, load: the same layer", "another layer"),
        (Kind.TORSO, "looks", "draws without looking", "looks at the picture 'torso' of frame 21"),
        (Kind.SUBJECT, "no plate", "the official layout", r"lacks bc\.jpg"),
        (Kind.SUBJECT, "short", "the official layout", r"\(9, 52\)"),
        (Kind.SUBJECT, "backwards", "the official layout", "went back"),
        (Kind.SUBJECT, "clock", "same seed, same bytes", r"1 files differ: subject\.json"),
    ],
)
def test_each_check_fails(kind: Kind, flaw: str, name: str, text: str) -> None:
    found = [c for c in check(SPECS[kind], kind, module=THIS, config_overrides={"flaw": flaw}) if c.name == name]
    assert [c.status for c in found] == ["failed"]
    assert re.search(text, found[0].detail), found[0].detail


def test_an_unexpected_error_names_the_line_of_the_component() -> None:
    spec = dataclasses.replace(SPECS[Kind.AUDIO], target=f"{__name__}:Loudness")
    detail = bad(check(spec, Kind.AUDIO, module=THIS, config_overrides={"flaw": "bug"}))["shape, float32, finite"]
    source, first = inspect.getsourcelines(Loudness)
    line = first + next(n for n, text in enumerate(source) if 'int("frames")' in text)
    assert re.fullmatch(rf"ValueError: .*'frames' \(test_conformance\.py, line {line}\)", detail), detail


@pytest.mark.parametrize(
    ("change", "name", "text"),
    [
        ({"name": "Loud Ness"}, "spec", "lower-case"),
        ({"summary": "two\nlines"}, "spec", "one line"),
        ({"target": "conformance_parts.Loudness"}, "spec", "module:Class"),
        ({"version": 0}, "spec", "from 1 up"),
        ({"requires": ("pose",), "provides": "audio"}, "spec", r"did you mean \('audio',\)"),
        ({"provides": ("pose",)}, "spec", "makes 'audio'"),
        ({"config": Options()}, "config", "give the class itself"),
        ({"target": "conformance_parts:Nobody"}, "builds", "no Nobody"),
        ({"target": "conformance_parts:NoMethods"}, "builds", "NoMethods lacks encode of AudioEncoder"),
    ],
)
def test_bad_declarations(change: dict[str, Any], name: str, text: str) -> None:
    found = bad(check(dataclasses.replace(SPECS[Kind.AUDIO], **change), Kind.AUDIO, module=THIS))
    assert re.search(text, found[name]), found


def test_wrong_spec_class_and_missing_protocol() -> None:
    assert "MetricSpec" in bad(check(SPECS[Kind.AUDIO], Kind.METRIC, module=THIS))["spec"]
    spec = dataclasses.replace(SPECS[Kind.PORTRAIT], protocol=None)
    assert "protocol" in bad(check(spec, Kind.PORTRAIT, module=THIS))["spec"]


def test_a_renderer_that_predicts_a_part_may_look_and_says_which() -> None:
    spec = dataclasses.replace(SPECS[Kind.RENDERER], protocol="mouth")
    checks = check(spec, Kind.RENDERER, module=THIS, config_overrides={"flaw": "looks"})
    assert not bad(checks) and checks[-1].detail == "not tried: it says that it predicts no more than 'mouth'"


def test_a_torso_trains_or_is_the_subjects_own() -> None:
    own = TorsoSpec(
        name="own", summary="As filmed.", target="synctalk_renderers.torso.captured:CapturedTorso", predicted=False
    )
    assert not bad(check(own, Kind.TORSO, module=THIS))
    name = "trains if it is predicted"
    claimed = dataclasses.replace(own, predicted=True)
    assert "it is trained" in bad(check(claimed, Kind.TORSO, module=THIS))[name]
    denied = dataclasses.replace(SPECS[Kind.TORSO], predicted=False)  # type: ignore[call-arg]
    assert "never be trained" in bad(check(denied, Kind.TORSO, module=THIS))[name]


def bad_configs() -> dict[str, type]:
    @dataclass
    class Thawed:
        steps: int = option(1, "steps")

    @dataclass(frozen=True)
    class Bare:
        steps: int = 1

    @dataclass(frozen=True)
    class WrongType:
        steps: int = option("many", "steps")

    @dataclass(frozen=True)
    class OutOfBounds:
        steps: int = option(0, "steps", at_least=1)

    class NoDataclass:
        pass

    return {
        "not a frozen dataclass|frozen": Thawed,
        r"not an option": Bare,
        "whole number": WrongType,
        "too small": OutOfBounds,
        "is not a frozen": NoDataclass,
    }


@pytest.mark.parametrize("text", list(bad_configs()))
def test_bad_configs(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = bad_configs()[text]
    # Annotations are resolved in the module that the class says it is from.
    monkeypatch.setattr(config, "__module__", "builtins")
    found = bad(check(dataclasses.replace(SPECS[Kind.AUDIO], config=config), Kind.AUDIO, module=THIS))
    assert re.search(text, found["config"]), found["config"]


def test_missing_asset_is_skipped_not_passed() -> None:
    checks = check(SPECS[Kind.AUDIO], Kind.AUDIO, module=THIS, config_overrides={"flaw": "missing asset"})
    assert [c.status for c in checks] == ["ok"] * 3 + ["skipped"] * 5
    assert all("weights" in c.detail for c in checks[3:])

    def asset(name: str) -> Any:
        raise MissingAsset(f"{name} is elsewhere")

    assert (
        "elsewhere"
        in bad(
            check(SPECS[Kind.AUDIO], Kind.AUDIO, module=THIS, config_overrides={"flaw": "missing asset"}, asset=asset)
        )["builds"]
    )


def test_unbuildable_component_passes_nothing_further() -> None:
    checks = check(SPECS[Kind.AUDIO], Kind.AUDIO, module=THIS, config_overrides={"flaw": "crash"})
    assert not any(c.ok for c in checks[3:])


def test_no_small_schedule_is_a_failure_and_starts_no_training() -> None:
    @dataclass(frozen=True)
    class Long:
        steps: int = option(10**9, "steps")
        flaw: str = option("", "none")

    Long.__module__ = "builtins"
    found = {
        c.name: c for c in check(dataclasses.replace(SPECS[Kind.RENDERER], config=Long), Kind.RENDERER, module=THIS)
    }
    assert found["small schedule: Config.tiny()"].status == "failed"
    assert found["save, load: the same next steps"].status == "skipped"


def test_unknown_channel_is_skipped() -> None:
    spec = dataclasses.replace(SPECS[Kind.RENDERER], requires=("landmarks3d",))
    found = bad(check(spec, Kind.RENDERER, module=THIS))
    assert "landmarks3d" in found["same seed, same training"]


def test_heavy_imports_are_found_in_a_fresh_process() -> None:
    assert "torch" in sys.modules
    assert heavy_imports("json") == []
    assert "scipy" in heavy_imports("scipy.ndimage")
    with pytest.raises(ImportError, match="no_such_module"):
        heavy_imports("no_such_module")


def test_a_component_that_loads_something_heavy_is_found() -> None:
    found = bad(check(SPECS[Kind.AUDIO], Kind.AUDIO, module="scipy.ndimage"))
    assert "scipy" in found["declared without torch"]


def test_component_of_no_installed_package() -> None:
    spec = dataclasses.replace(SPECS[Kind.AUDIO], config=NoConfig, target="conformance_parts:NoMethods")
    assert "is it installed" in bad(check(spec, Kind.AUDIO))["declared without torch"]
