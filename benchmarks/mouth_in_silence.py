"""How far a trained head opens its mouth for its own voice, for a pause, for silence and for somebody else's voice.

    python benchmarks/mouth_in_silence.py --workspace WS --run RUN --other other.wav \
        --json silence.json --plot silence.png --films films/

All films replay the same poses, eyes and pictures, those of the subject's test frames, so only the sound differs. The
opening is the gap between the inner lips over the distance of the outer eye corners, by MediaPipe, on every frame of
the film; a closed mouth reads a little above 0, so the true frames are measured beside it. Energy is the level of a
frame's 40 ms. WS holds a finished run (``synctalk-bench run``).
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that this file runs by its path

from synctalk_bench.artifacts import Span
from synctalk_bench.assets import AssetStore
from synctalk_bench.cli.options import subject_registry
from synctalk_bench.config.stored import stored_choice, stored_variants
from synctalk_bench.errors import SynctalkBenchError
from synctalk_bench.plugins.manager import plugins
from synctalk_bench.prepare.probes.lag import opening
from synctalk_bench.protocols import Context
from synctalk_bench.results.rows import read_rows
from synctalk_bench.runner.environment import choose_device, describe
from synctalk_bench.specs import Kind
from synctalk_bench.stages.synthesize import Request, synthesize
from synctalk_bench.stages.trained import TrainedCell, choose_cell, trained_cells
from synctalk_bench.store.workspace import Workspace
from synctalk_bench.subjects.folder import FolderScene, open_subject
from synctalk_bench.subjects.sound import read_sound, write_wav
from synctalk_bench.subjects.video import read_frames
from synctalk_bench.vision.landmarker import Landmarker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.store.workspace import RunFolder

RATE = 16_000
QUIET_DB = -60.0  # below full scale; nothing is quieter
PAUSE_DB = -50.0  # a frame whose sound is below this level is a pause
FURTHEST = 5  # frames of lag that are tried
SHOWN = {
    "truth": "the subject's own frames", "own": "own voice", "pause": "a pause of the recording",
    "silence": "digital silence", "other": "another voice",
}  # fmt: skip
PAUSE = 0.4  # seconds; what a speaker pauses at least once in a minute


def trained(
    place: Workspace, run: str, variant: str, subject: str, seed: int | None
) -> tuple[RunFolder, TrainedCell, FolderScene]:
    """Return a run, one trained head of it, and the subject that it was trained on."""
    folder = place.find_run(run or None)
    variants = stored_variants(json.loads(folder.preset.read_text())["preset"], plugins())
    cells = trained_cells(read_rows(folder.results).rows, variants, place.store)
    cell = choose_cell(cells, run=folder.path.name, variant=variant, subject=subject, seed=seed)
    root = place.store.verify(cell.subject_artifact) if cell.subject_artifact else None
    root = root or subject_registry(place).find(cell.subject).root
    return folder, cell, FolderScene(open_subject(root, name=cell.subject, digest=cell.subject_digest))


def sounds(scene: FolderScene, frames: int, other: Path | None) -> dict[str, NDArray[np.float32]]:
    """Return what is said, by the keys of ``SHOWN``: mono samples at 16 kHz, ``frames`` long each.

    ``pause`` is the quietest ``PAUSE`` seconds of the training frames, to and fro: the room without a voice, which the
    head has heard, where ``silence`` is exact zeros, which no microphone records.
    """
    wave, rate = scene.audio()
    assert rate == RATE, rate
    first, count = (round(k / scene.subject.fps * RATE) for k in (scene.subject.test.first, frames))
    said = {
        "own": wave[first : first + count],
        "pause": to_and_fro(quietest(wave[: round(scene.subject.train.stop / scene.subject.fps * RATE)]), count),
        "silence": np.zeros(count, np.float32),
    }
    if other is not None:
        said["other"] = np.resize(read_sound(other, rate=RATE)[0], count)  # a short one is repeated
    return said


def quietest(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the ``PAUSE`` seconds of ``wave`` [N] with the least energy."""
    length = round(PAUSE * RATE)
    power = np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** 2)])
    start = int(np.argmin(power[length:] - power[:-length]))
    return wave[start : start + length]


def to_and_fro(wave: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return ``count`` samples of ``wave`` played forwards and backwards in turn, so that it never jumps."""
    return np.resize(np.concatenate([wave, wave[::-1]]), count)


def openings(model: Path, pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return the inner lips' gap of each picture in distances of the outer eye corners: [T], NaN without a face."""
    found = []
    with Landmarker(model) as landmarker:
        for picture in pictures:
            faces = landmarker.detect(picture)
            found.append(opening(faces[0].points[None])[0, 0] if faces else np.nan)
    return np.array(found)


def energy(wave: NDArray[np.float32], frames: int, fps: float) -> NDArray[np.float64]:
    """Return the level of each frame's sound in dB of full scale, at least -60: [T]."""
    edges = np.round(np.arange(frames + 1) / fps * RATE).astype(int)
    power = np.add.reduceat(np.pad(wave.astype(np.float64) ** 2, (0, edges[-1])), edges)[:-1] / np.diff(edges)
    return np.asarray(np.maximum(10 * np.log10(power + 1e-12), QUIET_DB))


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Return Pearson's r over the frames in which both are known, None where one does not vary."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3 or a[both].std() < 1e-9 or b[both].std() < 1e-9:
        return None
    return round(float(np.corrcoef(a[both], b[both])[0, 1]), 3)


def best_lag(mouth: NDArray[np.float64], level: NDArray[np.float64]) -> tuple[int, float] | None:
    """Return the lag in frames (above 0: the mouth comes later) at which both go together best, and r there."""
    fits = {
        lag: r
        for lag in range(-FURTHEST, FURTHEST + 1)
        if (
            r := correlation(
                mouth[max(0, lag) : len(mouth) + min(0, lag)], level[max(0, -lag) : len(level) - max(0, lag)]
            )
        )
        is not None
    }
    return max(fits.items(), key=lambda fit: fit[1]) if fits else None


def average(values: NDArray[np.float64]) -> float | None:
    """Return the mean of those that are known, None where none is."""
    known = values[np.isfinite(values)]
    return round(float(known.mean()), 4) if len(known) else None


def figures(mouth: NDArray[np.float64], level: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, Any]:
    """Return what a film's openings [T] say: how wide, how restless, and what they go along with."""
    seen = mouth[np.isfinite(mouth)]
    quiet = level < PAUSE_DB
    if not len(seen):
        return {"frames": len(mouth), "without_face": len(mouth)}
    lag = best_lag(mouth, level)
    return {
        "frames": len(mouth),
        "without_face": len(mouth) - len(seen),
        "mean": average(mouth),
        "std": round(float(seen.std()), 4),
        "median": round(float(np.median(seen)), 4),
        "percentile_95": round(float(np.quantile(seen, 0.95)), 4),
        "mean_in_pauses": average(mouth[quiet]),
        "mean_in_speech": average(mouth[~quiet]),
        "correlation_with_energy": correlation(mouth, level),
        "best_lag_frames": lag and lag[0],
        "correlation_at_best_lag": lag and lag[1],
        "correlation_with_true_mouth": correlation(mouth, truth),
    }


def draw(
    plot: Path, mouths: dict[str, NDArray[np.float64]], levels: dict[str, NDArray[np.float64]], fps: float
) -> None:
    """Write the picture: a row a sound, the opening in front of the sound's level."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(len(mouths), 1, figsize=(9, 1.9 * len(mouths)), sharex=True, sharey=True,
                                   layout="constrained", squeeze=False)  # fmt: skip
    for (name, mouth), axes in zip(mouths.items(), rows[:, 0], strict=True):
        time = np.arange(len(mouth)) / fps
        axes.plot(time, mouth, color="tab:blue", linewidth=1, zorder=3)
        axes.set_ylabel("opening")
        axes.set_title(f"{SHOWN[name]}: mean {np.nanmean(mouth):.3f}", fontsize=9, loc="left")
        behind = axes.twinx()
        behind.fill_between(time, QUIET_DB, levels[name], color="0.85")
        behind.set(ylim=(QUIET_DB, 0), ylabel="dB")
        axes.set_zorder(behind.get_zorder() + 1)
        axes.patch.set_visible(False)
    rows[-1, 0].set_xlabel("seconds")
    plot.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(plot, dpi=110, metadata={"Software": ""})


def measure(asked: argparse.Namespace, films: Path) -> dict[str, Any]:
    """Make the films in ``films``, measure them, draw the plot, and return the report."""
    place = Workspace.open(asked.workspace, create=False)
    folder, cell, scene = trained(place, asked.run, asked.variant, asked.subject, asked.seed)
    device, assets = choose_device(asked.device), AssetStore()
    for artifact in (cell.train, *([cell.torso] if cell.torso else []), *cell.channels.values()):
        place.store.verify(artifact)
    portrait = cell.variant.choices[Kind.PORTRAIT]
    if asked.portrait:
        portrait = stored_choice(Kind.PORTRAIT, {"use": asked.portrait}, plugins(), where="--portrait")
    context = Context(device=device, seed=cell.seed, asset=assets.path, say=lambda line: print(line, file=sys.stderr))
    test, fps = scene.subject.test, scene.subject.fps
    frames = min(len(test), round(asked.seconds * fps))
    model = assets.path("face-landmarker")
    said = sounds(scene, frames, asked.other)
    levels = {name: energy(wave, frames, fps) for name, wave in said.items()}
    shown = Span(test.first, test.first + frames)
    mouths = {"truth": openings(model, (scene.image("ori", k) for k in shown.frames))}
    costs = {}
    films.mkdir(parents=True, exist_ok=True)
    for name, wave in said.items():
        sound, film = films / f"{name}.wav", films / f"{name}.mp4"
        write_wav(sound, wave, RATE)
        comment = f"synthetic: made by benchmarks/mouth_in_silence.py, {folder.path.name}, {cell.name}"
        request = Request(audio=sound, out=film, portrait=portrait, poses="test", comment=comment)
        made = synthesize(cell, request, scene, context)
        costs[name] = round(made.real_time_factor, 3)
        mouths[name] = openings(model, read_frames(film, range(frames)))
    levels = {"truth": levels["own"], **levels}
    if asked.plot is not None:
        draw(asked.plot, mouths, levels, fps)
    return {
        "what": "inner-lip gap over outer-eye-corner distance by MediaPipe, of films that differ in their sound only",
        "run": folder.path.name,
        "cell": cell.name,
        "protocol": made.facts["protocol"],
        "replayed": f"test frames {shown.first}...{shown.stop - 1}",
        "other": asked.other.name if asked.other else None,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "environment": describe(device),
        "real_time_factor": costs,
        "sounds": {name: figures(mouth, levels[name], mouths["truth"]) for name, mouth in mouths.items()},
        "per_frame": {name: [None if np.isnan(v) else round(float(v), 4) for v in m] for name, m in mouths.items()},
    }


def main() -> None:
    """Measure, print a line a sound, write the JSON and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--run", default="", help="its name or unique beginning; the newest when left out")
    parser.add_argument("--variant", default="", help="which variant's head, when the run has several")
    parser.add_argument("--subject", default="", help="whose head, when the run has several")
    parser.add_argument("--seed", type=int, help="of which seed, when the run has several")
    parser.add_argument("--portrait", default="", help="what is delivered; as in the run when left out")
    parser.add_argument("--other", type=Path, help="another person's voice: any file with sound")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each film, as far as there are test frames")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="a PNG; needs matplotlib, which comes with mediapipe")
    parser.add_argument("--films", type=Path, help="keep films and sounds in this folder")
    asked = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            report = measure(asked, asked.films or Path(scratch))
    except SynctalkBenchError as error:
        raise SystemExit(f"error: {error}") from error
    for name, found in report["sounds"].items():
        mouth = f"{found['mean']:.4f} ± {found['std']:.4f}" if "mean" in found else "n/a"
        along = f"energy {found.get('correlation_with_energy')}, true mouth {found.get('correlation_with_true_mouth')}"
        print(f"{SHOWN[name]:24} opening {mouth}; r with: {along}; no face in {found['without_face']} frames")
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
