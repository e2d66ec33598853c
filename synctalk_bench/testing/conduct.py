"""The checks of each kind: shapes, types, finite values, and the same result under the same seed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctalk_bench import protocols
from synctalk_bench.artifacts import Span
from synctalk_bench.errors import SubjectError
from synctalk_bench.specs import Kind, MetricSpec, TorsoSpec
from synctalk_bench.testing.bench import Bench, Skip, Try, require
from synctalk_bench.testing.blind import OtherTest
from synctalk_bench.testing.memory_scene import RATE, MemoryScene

if TYPE_CHECKING:
    from torch import Tensor

PROTOCOLS: Mapping[Kind, Any] = {
    Kind.AUDIO: protocols.AudioEncoder,
    Kind.EXPRESSION: protocols.TrackSource,
    Kind.POSE: protocols.TrackSource,
    Kind.TORSO: protocols.Torso,
    Kind.RENDERER: protocols.Renderer,
    Kind.PORTRAIT: protocols.PortraitGenerator,
    Kind.METRIC: protocols.Metric,
    Kind.SUBJECT: protocols.SubjectSource,
}
ORIGINS = ("captured", "stabilised", "generated")


def tensor_of(value: Any, name: str, shape: tuple[int | None, ...]) -> Tensor:
    """Return ``value`` after checking that it is a finite float32 tensor of ``shape`` that holds no graph.

    None stands for any size > 0.
    """
    import torch

    require(isinstance(value, torch.Tensor), f"{name} is a {type(value).__name__}, not a torch.Tensor")
    fits = value.ndim == len(shape) and all(
        n > 0 if s is None else n == s for n, s in zip(value.shape, shape, strict=True)
    )
    wanted = "[" + ", ".join("n" if s is None else str(s) for s in shape) + "]"
    require(fits, f"{name} has shape {list(value.shape)}, expected {wanted}")
    require(value.dtype == torch.float32, f"{name} is {value.dtype}, expected torch.float32")
    # It is a result: with its graph behind it, it would keep what it was made from alive, and NumPy refuses it.
    require(not value.requires_grad, f"{name} needs gradients; compute it under torch.no_grad(), or .detach() it")
    bad = int((~torch.isfinite(value)).sum())
    require(not bad, f"{name} holds {bad} values that are not finite")
    tensor: Tensor = value
    return tensor


def same(first: Tensor, second: Tensor, name: str) -> None:
    """Fail unless both are equal bit for bit."""
    import torch

    require(torch.equal(first, second), f"{name} differs between two runs with the same seed")


def picture(value: Any, scene: MemoryScene, name: str, *, channels: int = 3) -> Tensor:
    """Return ``value`` after checking that it is a picture: [H, W, channels] float32 in [0, 1]."""
    frame = tensor_of(value, name, (scene.subject.height, scene.subject.width, channels))
    low, high = float(frame.min()), float(frame.max())
    require(low >= 0 and high <= 1, f"{name} reaches from {low:g} to {high:g}; pictures lie in [0, 1]")
    return frame


# --- audio -----------------------------------------------------------------------------------------------------------


def _audio(bench: Bench) -> Iterator[Try]:
    import numpy as np
    import torch

    scene = MemoryScene()
    frames, fps = scene.subject.frames, scene.subject.fps
    wave = torch.from_numpy(scene.audio()[0])

    def encode(sound: Tensor, encoder: Any = None) -> Tensor:
        before = sound.clone()
        features = (encoder or bench.component()).encode(sound, RATE, fps=fps, frames=frames)
        require(torch.equal(before, sound), "encode changed the wave that it was given")
        features = tensor_of(features, "encode(...)", (frames, None, None))
        require(
            features.device.type == "cpu", f"features lie on {features.device}; they are stored, so return the CPU's"
        )
        return features

    def shape() -> str:
        return f"[T, {', '.join(map(str, encode(wave).shape[1:]))}]"

    def hears() -> None:
        features = encode(wave)
        other = encode(torch.from_numpy(np.ascontiguousarray(scene.audio()[0][::-1])))
        require(not torch.equal(features, other), "the features are the same for another sound")

    def edges() -> None:
        widths = {encode(sound).shape for sound in (wave[: -2 * RATE // 25], torch.cat([wave, wave]))}
        widths.add(encode(torch.zeros_like(wave)).shape)
        require(len(widths) == 1, f"the shape depends on the sound: {sorted(map(tuple, widths))}")

    def repeats() -> None:
        bench.repeatable()
        same(encode(wave), encode(wave, bench.make(False)), "encode(...)")

    yield "shape, float32, finite", shape
    yield "follows the sound", hears
    yield "sound shorter, longer, silent", edges
    yield "same seed, same result", repeats


# --- tracks ----------------------------------------------------------------------------------------------------------


def _track(bench: Bench, shape: tuple[int | None, ...], further: Callable[[Tensor], None]) -> Iterator[Try]:
    import torch

    scene = scene_for(bench)

    def track(source: Any, seen: Any = None) -> Tensor:
        require(source.origin in ORIGINS, f"origin is {source.origin!r}; it is one of {', '.join(ORIGINS)}")
        made = source.track(seen or needed(scene, bench))
        values = tensor_of(made, "track(...)", (scene.subject.frames, *shape))
        require(values.device.type == "cpu", f"the track lies on {values.device}; it is stored, so return the CPU's")
        return values

    def content() -> str:
        values = track(bench.component())
        further(values)
        return f"[T, {', '.join(map(str, values.shape[1:]))}], {bench.component().origin}"

    def repeats() -> None:
        bench.repeatable()
        same(track(bench.component()), track(bench.make(False)), "track(...)")

    def predicts() -> str:
        if bench.component().origin != "generated":
            return f"not tried: it is {bench.component().origin}"
        bench.repeatable()
        alike = torch.equal(track(bench.component()), track(bench.make(False), OtherTest(scene)))
        require(alike, "it follows what is known of the test frames by looking at them: that is captured")
        return "no test frame is known to it"

    yield "shape, float32, finite", content
    yield "same seed, same result", repeats
    yield "generated without looking", predicts


def _camera_to_world(poses: Tensor) -> None:
    import torch

    turn, eye = poses[:, :3, :3].double(), torch.eye(3, dtype=torch.float64)
    off = float((turn @ turn.mT - eye).abs().max())
    require(off < 1e-4, f"the rotation part is not orthonormal: R Rᵀ is {off:.1e} off")
    require(bool((torch.linalg.det(turn) > 0).all()), "the rotation part mirrors (determinant -1)")
    require(bool((poses[:, 3] == torch.tensor([0.0, 0, 0, 1])).all()), "the last row is not 0 0 0 1")


def scene_for(bench: Bench, *, height: int = 64, width: int = 48) -> MemoryScene:
    """Return the subject that the component is tried on."""
    return MemoryScene(height=height, width=width)


def needed(scene: MemoryScene, bench: Bench) -> MemoryScene:
    """Return ``scene`` when it makes every channel that the component requires; raises Skip otherwise."""
    for name in bench.spec.requires:
        try:
            scene.channel(name)
        except KeyError:
            raise Skip(f"it requires the channel '{name}', which MemoryScene does not make") from None
    return scene


# --- torsos ----------------------------------------------------------------------------------------------------------


def _torso(bench: Bench) -> Iterator[Try]:
    """Check the one that hands on the subject's own; what a predicted one owes is checked on a trained one."""
    scene = scene_for(bench)
    predicted = isinstance(bench.spec, TorsoSpec) and bench.spec.predicted

    def kind() -> str:
        trains = isinstance(bench.component(), protocols.Trainable)
        require(trains or not predicted, "a predicted torso has 'fit', 'state' and 'load': it is trained")
        require(predicted or not trains, "it is declared predicted=False, so it would never be trained")
        return "predicted" if predicted else "the subject's own"

    def layer(torso: Any) -> Tensor:
        return picture(torso.layer(needed(scene, bench), 3), scene, "layer(...)", channels=4)

    def repeats() -> None:
        bench.repeatable()
        same(layer(bench.component()), layer(bench.make(False)), "layer(...)")

    yield "trains if it is predicted", kind
    if not predicted:
        yield (
            "layers are [H, W, 4] in [0, 1]",
            lambda: f"mean alpha {float(layer(bench.component())[..., 3].mean()):.3f}",
        )
        yield "same seed, same result", repeats


# --- renderers -------------------------------------------------------------------------------------------------------


def _renderer(bench: Bench) -> Iterator[Try]:
    """Yield nothing: what a renderer owes is checked on a trained one, in training.py."""
    return iter(())


# --- portraits -------------------------------------------------------------------------------------------------------


def _portrait(bench: Bench) -> Iterator[Try]:
    import numpy as np
    import torch

    scene = scene_for(bench)
    size = (scene.subject.height, scene.subject.width, 3)

    def compose(rendered: Tensor, generator: Any = None) -> Tensor:
        before = rendered.clone()
        frame = picture((generator or bench.component()).compose(rendered, scene, 3), scene, "compose(...)")
        require(torch.equal(before, rendered), "compose changed the frame that it was given")
        return frame

    def range_() -> None:
        generator = torch.Generator().manual_seed(0)
        for rendered in (torch.rand(size, generator=generator), torch.zeros(size), torch.ones(size)):
            compose(rendered.to(bench.device))

    def shows() -> None:
        differs = not torch.equal(compose(torch.zeros(size)), compose(torch.ones(size)))
        require(differs, "what was rendered does not show in what is delivered")

    def truth() -> None:
        value = bench.component().truth(scene, 3)
        fits = isinstance(value, np.ndarray) and value.shape == size and value.dtype == np.uint8
        got = f"{getattr(value, 'shape', '')} {getattr(value, 'dtype', type(value).__name__)}"
        require(fits, f"truth(...) is {got}, expected {size} uint8")

    def repeats() -> None:
        rendered = torch.rand(size, generator=torch.Generator().manual_seed(1))
        bench.repeatable()
        same(compose(rendered), compose(rendered, bench.make(False)), "compose(...)")

    yield "shape, float32, in [0, 1]", range_
    yield "delivers what was rendered", shows
    yield "truth is uint8 RGB", truth
    yield "same seed, same result", repeats


# --- metrics ---------------------------------------------------------------------------------------------------------


def _metric(bench: Bench) -> Iterator[Try]:
    import numpy as np

    # Large enough for the scales and networks of the usual metrics, short enough to be quick.
    scene = MemoryScene(frames=24, height=192, width=192)
    span = Span(4, 9)
    spec = bench.spec
    needs = spec.needs if isinstance(spec, MetricSpec) else frozenset({"truth"})
    clips: dict[str, Any] = {}
    scores: dict[str, Any] = {}

    def clip(name: str) -> Any:
        if name not in clips:
            clips[name] = scene.write_clip(bench.folder / name, span)
            if name == "damaged":
                _damage(clips[name].frames)
        return clips[name]

    def measure(name: str, metric: Any) -> Any:
        try:
            result = metric.score(clip(name), clip("truth") if "truth" in needs else None)
        except SubjectError as error:
            raise Skip(f"the drawn head of the check is no subject for it: {error.message}") from error
        require(not math.isnan(result.mean), "the mean is NaN")
        rows = result.per_frame
        if rows is not None:
            fits = isinstance(rows, np.ndarray) and rows.shape == (len(span),) and rows.dtype == np.float32
            require(fits, f"per_frame is {rows.dtype} {rows.shape}, expected float32 ({len(span)},)")
            finite = rows[~np.isnan(rows)].astype(np.float64)
            close = math.isclose(finite.mean(), result.mean, rel_tol=1e-4, abs_tol=1e-6) if len(finite) else False
            require(
                close or not np.isfinite(finite).all(), f"the mean is {result.mean}, that of the rows {finite.mean()}"
            )
        json.dumps(dict(result.details))
        return result

    def score(name: str) -> Any:
        if name not in scores:
            scores[name] = measure(name, bench.component())
        return scores[name]

    def finite() -> str:
        result = score("damaged")
        require(math.isfinite(result.mean), f"a damaged clip scores {result.mean}")
        return f"{result.mean:.6g}"

    def best() -> str:
        if "truth" not in needs or not isinstance(spec, MetricSpec):
            raise Skip("it compares with no truth, so nothing here is known to be best")
        perfect, damaged = score("perfect").mean, score("damaged").mean
        right = perfect > damaged if spec.higher_is_better else perfect < damaged
        require(
            right,
            f"the truth itself scores {perfect:g}, a damaged copy {damaged:g}: the better one has the worse score",
        )
        return f"truth {perfect:.6g}, damaged {damaged:.6g}"

    def repeats() -> None:
        bench.repeatable()
        again = measure("damaged", bench.make(False)).mean
        require(score("damaged").mean == again, "the mean differs between two runs with the same seed")

    yield "finite, float32 rows, mean of the rows", finite
    yield "the truth scores best", best
    yield "same seed, same result", repeats


def _damage(frames: Path) -> None:
    """Shift, darken and roughen every picture of the folder, the same in every process."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for path in sorted(frames.glob("*.png")):
        with Image.open(path) as image:
            pixels = np.asarray(image).astype(np.float64)
        pixels = np.roll(pixels, (5, 3), (0, 1)) * 0.8 + generator.normal(0, 12, pixels.shape)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


# --- subjects --------------------------------------------------------------------------------------------------------


def _subject(bench: Bench) -> Iterator[Try]:
    import hashlib

    from synctalk_bench.subjects.folder import FolderScene, open_subject

    written: dict[str, dict[str, str]] = {}

    def write(name: str) -> dict[str, str]:
        root = bench.folder / name
        if name not in written:
            root.mkdir(exist_ok=True)  # it is there when an earlier check failed in between
            bench.make(True).write(root, progress=partial(_progress, [0]))
            files = sorted(path for path in root.rglob("*") if path.is_file())
            written[name] = {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
        return written[name]

    def layout() -> str:
        write("first")
        subject = open_subject(bench.folder / "first", name=bench.spec.name, digest="")
        scene = FolderScene(subject)
        for k in (0, subject.frames - 1):
            for layer in ("ori", "gt", "torso"):
                scene.image(layer, k)
            scene.landmarks(k)
        scene.blendshapes()
        scene.poses("transforms")
        return f"{subject.frames} frames of {subject.width} x {subject.height}"

    def repeats() -> str:
        first, second = write("first"), write("second")
        other = [name for name in first.keys() | second.keys() if first.get(name) != second.get(name)]
        require(not other, f"written twice, {len(other)} files differ: {', '.join(sorted(other)[:3])}")
        return f"{len(first)} files"

    yield "the official layout", layout
    yield "same seed, same bytes", repeats


def _progress(seen: list[int], done: int, total: int) -> None:
    require(0 <= done <= total, f"progress({done}, {total})")
    require(done >= seen[-1], f"progress went back from {seen[-1]} to {done}")
    seen.append(done)


CONDUCTS: Mapping[Kind, Callable[[Bench], Iterable[Try]]] = {
    Kind.AUDIO: _audio,
    Kind.EXPRESSION: partial(_track, shape=(None,), further=lambda values: None),
    Kind.POSE: partial(_track, shape=(4, 4), further=_camera_to_world),
    Kind.TORSO: _torso,
    Kind.RENDERER: _renderer,
    Kind.PORTRAIT: _portrait,
    Kind.METRIC: _metric,
    Kind.SUBJECT: _subject,
}
