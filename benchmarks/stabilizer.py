"""Measures the Head-Sync Stabilizer on the synthetic subject, whose pose and landmarks are known exactly.

    python benchmarks/stabilizer.py --json benchmarks/results/stabilizer_cpu.json
    python benchmarks/stabilizer.py --size 512 --seconds 10 --device cuda --json benchmarks/results/stabilizer_gpu.json
    python benchmarks/stabilizer.py --main --motion-seed 1 --noise-seed 8 --json FILE

The default seeds are those on which the stabilizer's ``prior`` and ``smoothness`` were chosen; the third line measures
motion and noise that had no part in that.

The tracker is an ideal one: in each frame by itself it fits the pose to the 68 projected landmarks plus Gaussian
noise, knowing the focal length and where each landmark is in 3-D, expression included. Its error is that of the noise
and nothing else. The stabilizer sees the pictures and these poses; its flow is RAFT-small's own, errors and all. One
thing is easier than in use: points are followed once for all rows, with the true poses to choose the reference frame
and to turn the patches.

Errors are root mean squares over the frames: of rotation (degrees) and of translation (mm), as they are and after the
one turn, shift and scale of the whole clip that fits best ("aligned"); of the 68 true landmarks drawn with the pose
(pixels); and the second time difference of the pose, whose true value is the first row's.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from synctalk_pose.adjustment import Problem, Weights
from synctalk_pose.configs import BundleAdjustmentConfig
from synctalk_pose.geometry import Motion, cross_matrix, project, projection_slope
from synctalk_pose.stabilizer import Stabilizer

from synctalk_bench.assets import AssetStore
from synctalk_bench.protocols import Context
from synctalk_bench.subjects.folder import FolderScene, open_subject
from synctalk_bench.subjects.synthetic.configs import SyntheticConfig
from synctalk_bench.subjects.synthetic.source import SyntheticSubject, ground_truth

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Camera

OURS = BundleAdjustmentConfig()
# Points are capped so that Adam's 8500 steps take a minute on a CPU; the published code has a few hundred as well.
PUBLISHED = replace(
    OURS,
    solver="adam",
    flow_steps=12,
    refine=False,
    points=200,
    keypoints="steady",
    knee=0.0,
    prior=0.0,
    smoothness=0.0,
)
SMOOTHED = replace(OURS, keypoints="all", points=12, prior=1e6, smoothness=1e7)  # the flow weighs nothing


def fit_each_frame(points: Tensor, pixels: Tensor, camera: Camera, start: Motion) -> Motion:
    """Return the motion that draws ``points`` [T, L, 3] nearest to ``pixels`` [T, L, 2], frame by frame."""
    motion = start
    for _ in range(12):
        turned = torch.einsum("tij,tkj->tki", motion.turn, points)
        seen = turned + motion.move[:, None]
        slope = projection_slope(seen, camera)
        by_motion = torch.cat([-slope @ cross_matrix(turned), slope], -1).flatten(1, 2)
        off = (project(seen, camera) - pixels).flatten(1)
        motion = motion.moved(-torch.linalg.lstsq(by_motion, off[..., None]).solution[..., 0])
    return motion


def aligned(motion: Motion, true: Motion) -> Motion:
    """Return ``motion`` with the head's frame turned, shifted and scaled once, so that it comes nearest to ``true``."""
    left, _, right = torch.linalg.svd((motion.turn.mT @ true.turn).mean(0))
    sign = torch.tensor([1.0, 1.0, float(torch.linalg.det(left @ right))], dtype=left.dtype)
    # A point of one frame is scale x turn x point + shift of the other: its move becomes scale x move + R shift.
    unknowns = torch.cat([motion.turn, motion.move[..., None]], -1).reshape(-1, 4)
    found = torch.linalg.lstsq(unknowns, true.move.reshape(-1, 1)).solution[:, 0]
    return Motion(motion.turn @ (left @ torch.diag(sign) @ right), motion.move * found[3] + motion.turn @ found[:3])


def rms(values: Tensor) -> float:
    """Return the root of the mean square of the vectors' lengths."""
    return float(values.square().sum(-1).mean().sqrt())


def figures(motion: Motion, true: Motion, points: Tensor, camera: Camera) -> dict[str, float]:
    """Return the table's columns for one estimate."""
    degrees, mm = 180 / torch.pi, 1000.0

    def drawn(m: Motion) -> Tensor:
        return project(torch.einsum("tij,tkj->tki", m.turn, points) + m.move[:, None], camera)

    step = Motion(motion.turn[1:], motion.move[1:]).step_from(Motion(motion.turn[:-1], motion.move[:-1]))
    jitter, off, best = step[1:] - step[:-1], motion.step_from(true), aligned(motion, true).step_from(true)
    row = {
        "rotation_deg": rms(off[:, :3]) * degrees,
        "translation_mm": rms(off[:, 3:]) * mm,
        "aligned_rotation_deg": rms(best[:, :3]) * degrees,
        "aligned_translation_mm": rms(best[:, 3:]) * mm,
        "reprojection_px": rms((drawn(motion) - drawn(true)).flatten(0, 1)),
        "jitter_deg": rms(jitter[:, :3]) * degrees,
        "jitter_mm": rms(jitter[:, 3:]) * mm,
    }
    return {name: round(value, 4) for name, value in row.items()}


def measure(
    subject_config: SyntheticConfig, noise_seed: int, device: str, folder: Path, *, adam: bool, main_only: bool
) -> dict[str, Any]:
    """Return everything the table is made of; ``folder`` receives the clip unless it is there.

    Args:
        adam: with the published solver's rows.
        main_only: the tracker, smoothing alone and ours.
    """
    if not (folder / "subject.json").is_file():
        SyntheticSubject(subject_config, Context()).write(folder, progress=lambda done, total: None)
    scene = FolderScene(open_subject(folder, name="synthetic", digest=""))
    truth, camera = ground_truth(subject_config), scene.subject.camera
    frames = scene.subject.frames
    if frames != truth.frames or not np.allclose(scene.landmarks(frames - 1), truth.landmarks(frames - 1), atol=1e-3):
        raise SystemExit(f"{folder} holds the clip of other options; give another --folder")
    points = torch.from_numpy(np.stack([truth.head_points(k)[truth.model.landmarks] for k in range(frames)]))
    pixels = torch.from_numpy(np.stack([truth.landmarks(k) for k in range(frames)]))
    true = Motion.of(torch.from_numpy(scene.poses("transforms")))
    context = Context(device=device, asset=AssetStore().path, say=lambda line: print(line, flush=True))
    rows: list[dict[str, Any]] = [{"sigma": None, "method": "truth", **figures(true, true, points, camera)}]
    times: dict[str, float] = {}

    def add(sigma: float, method: str, motion: Motion, **more: Any) -> None:
        motion = Motion(motion.turn.cpu().double(), motion.move.cpu().double())
        rows.append({"sigma": sigma, "method": method, **figures(motion, true, points, camera), **more})
        print(rows[-1], flush=True)

    with torch.no_grad():
        followed = {}
        for name, config in (("refined", OURS),) if main_only else (("plain", PUBLISHED), ("refined", OURS)):
            begun = time.perf_counter()
            followed[name] = Stabilizer(config, context).paths(scene, scene.poses("transforms"))
            times[f"flow, {name}: frames/s"] = round(frames / (time.perf_counter() - begun), 2)
        for sigma in (0.0, 0.5, 1.0, 2.0):
            noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(noise_seed), dtype=pixels.dtype)
            raw = fit_each_frame(points, pixels + sigma * noise, camera, true)
            add(sigma, "raw", raw)
            methods: list[tuple[str, str, BundleAdjustmentConfig]] = [
                ("raw, smoothed only", "refined", SMOOTHED),
                ("ours", "refined", OURS),
            ]
            if adam and not main_only:
                methods.append(("Adam, as published", "plain", PUBLISHED))
            if sigma == 1.0 and not main_only:
                methods += [
                    ("ours, keypoints moving most (paper)", "refined", replace(OURS, keypoints="moving", points=250)),
                    ("ours, keypoints steadiest (code)", "refined", replace(OURS, keypoints="steady", points=250)),
                    ("ours, keypoints evenly", "refined", replace(OURS, keypoints="all", points=250)),
                    ("ours, flow alone", "plain", replace(OURS, refine=False)),
                    ("ours, no smoothness", "refined", replace(OURS, smoothness=0.0)),
                    ("ours, next to no prior", "refined", replace(OURS, prior=1e-3)),
                ]
            for method, flow, config in methods:
                stabilizer = Stabilizer(config, context)
                tracks = stabilizer.keypoints(*followed[flow])
                begun = time.perf_counter()
                found = stabilizer.adjust(scene, tracks, raw)
                spent = time.perf_counter() - begun
                problem = Problem(tracks.place, tracks.seen.double(), raw, camera, Weights())
                motion = Motion(found.motion.turn.cpu().double(), found.motion.move.cpu().double())
                far = problem.residual(motion, found.points.cpu().double()).norm(dim=-1)[tracks.seen]
                add(sigma, method, motion, seconds=round(spent, 2), track_px=round(float(far.median()), 4))
    return {
        "protocol": "synthetic subject, ideal landmark tracker with Gaussian noise, RAFT-small flow",
        "size": subject_config.size,
        "frames": frames,
        "motion_seed": subject_config.seed,
        "noise_seed": noise_seed,
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or "cpu",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "times": times,
        "rows": rows,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as Markdown."""
    errors = ("rotation_deg", "translation_mm", "aligned_rotation_deg", "aligned_translation_mm", "reprojection_px")
    columns = (*errors, "jitter_deg", "jitter_mm")
    heads = "| σ px | poses | rotation ° | translation mm | aligned ° | aligned mm | reprojection px "
    lines = [heads + "| jitter °/frame² | jitter mm/frame² |", "|" + "---|" * 9]
    for row in rows:
        sigma = "" if row["sigma"] is None else f"{row['sigma']:g}"
        lines.append(f"| {sigma} | {row['method']} | " + " | ".join(f"{row[name]:.3f}" for name in columns) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="of the frames in pixels")
    parser.add_argument("--seconds", type=float, default=6.0, help="of the clip, at 25 frames a second")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", type=Path, help="keep the clip here, and take it from here when it is there")
    parser.add_argument("--no-adam", action="store_true", help="leave out the published solver, the slowest part")
    parser.add_argument("--main", action="store_true", help="only the tracker, smoothing alone and ours")
    parser.add_argument("--motion-seed", type=int, default=0, help="another head motion")
    parser.add_argument("--noise-seed", type=int, default=7, help="another noise on the landmarks")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        clip = SyntheticConfig(size=chosen.size, seconds=chosen.seconds, seed=chosen.motion_seed)
        found = measure(clip, chosen.noise_seed, chosen.device, folder, adam=not chosen.no_adam, main_only=chosen.main)
    print(table(found["rows"]))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
