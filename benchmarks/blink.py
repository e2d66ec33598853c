"""Draws the blink measure of a video beside what its pixels say: docs/images/blink.png shows the asset cnn2.mp4.

    python benchmarks/blink.py VIDEO docs/images/blink.png

The second curve uses no model: the contrast inside the eyes (standard deviation over mean of luma in a box between the
corners), which falls when lids cover iris and white. Needs matplotlib, which comes with mediapipe.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.assets import AssetStore
from synctalk_bench.metrics.action_units.blendshapes import blink, blinks
from synctalk_bench.subjects.video import read_frames, sample, scan
from synctalk_bench.vision.landmarker import Landmarker
from synctalk_bench.vision.landmarks import to_68

if TYPE_CHECKING:
    from numpy.typing import NDArray

FPS = 25.0
ZOOM = (380, 530)
CORNERS = ((36, 39), (42, 45))


def contrast(frame: NDArray[np.uint8], points: NDArray[np.float32]) -> float:
    """Return the mean over both eyes of standard deviation over mean of luma between the eye's corners."""
    luma = frame.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    values = []
    for a, b in CORNERS:
        across = points[b] - points[a]
        up = np.array([-across[1], across[0]])
        u, v = np.meshgrid(np.linspace(-0.35, 0.35, 25), np.linspace(-0.2, 0.2, 15))
        place = (points[a] + points[b]) / 2 + u[..., None] * across + v[..., None] * up
        x, y = (place.round().astype(int)[..., i].clip(0, luma.shape[1 - i] - 1) for i in (0, 1))
        patch = luma[y, x]
        values.append(float(patch.std() / max(float(patch.mean()), 1.0)))
    return float(np.mean(values))


def main() -> None:
    """Measure, print the figures as JSON, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("plot", type=Path)
    chosen = parser.parse_args()
    rows, seen = [], []
    with Landmarker(AssetStore().path("face-landmarker")) as landmarker:
        for frame in read_frames(chosen.video, sample(scan(chosen.video)).source):
            faces = landmarker.detect(frame)
            rows.append(faces[0].blendshapes if faces else np.full(52, np.nan, np.float32))
            seen.append(contrast(frame, to_68(faces[0].points[:, :2])) if faces else np.nan)
    closed, eyes = blink(np.array(rows)), np.array(seen)
    found = blinks(closed, FPS)
    around = [float(np.nanmedian(eyes[max(0, t - 25) : t + 26])) for t in found]
    fall = [float(np.nanmin(eyes[max(0, t - 2) : t + 3])) / usual for t, usual in zip(found, around, strict=True)]
    both = np.isfinite(closed) & np.isfinite(eyes)
    figures = {
        "frames": len(closed),
        "blinks": found,
        "correlation_with_eye_contrast": round(float(np.corrcoef(closed[both], eyes[both])[0, 1]), 3),
        "eye_contrast_at_blinks_over_usual": [round(min(fall, default=np.nan), 3), round(max(fall, default=np.nan), 3)],
    }
    print(json.dumps(figures))
    draw(closed, eyes, found, chosen.plot)


def draw(closed: NDArray[np.float64], eyes: NDArray[np.float64], found: list[int], plot: Path) -> None:
    """Write the picture: the whole clip above, some seconds of it with the eyes' contrast below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (whole, part) = pyplot.subplots(2, 1, figsize=(9, 5), constrained_layout=True)
    whole.plot(closed, linewidth=0.7, color="tab:blue")
    whole.plot(found, closed[found], ".", color="tab:red", markersize=5, label=f"{len(found)} blinks")
    whole.set(xlim=(0, len(closed)), ylim=(0, 1), xlabel="frame", ylabel="lids closed (MediaPipe)")
    whole.legend(loc="upper right")
    span = slice(ZOOM[0], min(ZOOM[1], len(closed)))
    frames = np.arange(len(closed))[span]
    part.plot(frames, closed[span], color="tab:blue")
    inside = [t for t in found if span.start <= t < span.stop]
    part.plot(inside, closed[inside], "o", color="tab:red", markersize=5)
    part.set(xlim=(span.start, span.stop - 1), ylim=(0, 1), xlabel="frame", ylabel="lids closed (MediaPipe)")
    other = part.twinx()
    other.plot(frames, eyes[span], color="tab:gray", linestyle="--")
    other.set_ylabel("contrast in the eyes (pixels)")
    figure.savefig(plot, dpi=110, metadata={"Software": ""})


if __name__ == "__main__":
    main()
