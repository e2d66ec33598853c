"""Draws docs/images/psnr-pairs.png: what training with the Triton kernels costs in PSNR, pair by pair.

    python benchmarks/chart_pairs.py

One dot a pair of ``psnr_seeds.py``, sorted; the band is the interval of their mean; the line at -0.1 dB may not be
reached by it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that this file runs by its path

from benchmarks.chart import COLOURS, FAINT, INK, PAPER, SCALE, Panel, draw  # noqa: E402

BAND = (236, 220, 212)
WIDTH, HEIGHT = 900, 340


def picture(result: dict[str, Any]) -> Image.Image:
    """Return the chart of a ``psnr_seeds.py`` result of at least two pairs."""
    differences = sorted(row["difference"]["psnr"] for row in result["rows"])
    mean, low, high = (result["difference_db"]["psnr"][name] for name in ("mean", "low", "high"))
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), PAPER)
    left, top, right, bottom = 70, 50, WIDTH - 30, HEIGHT - 50
    panel = Panel(image, (left - 40, top, right, bottom), "PSNR of Triton minus PSNR of the PyTorch twin, dB")
    reach: float = max(0.2, *(abs(value) for value in differences)) * 1.1

    def height(value: float) -> float:
        return (top + bottom) / 2 - value / reach * (bottom - top) / 2

    panel.rectangle(left, height(high), right, height(low), BAND)
    panel.line([(left, height(mean)), (right, height(mean))], COLOURS["ours, Triton"], 1)
    for tick in (-0.5, -0.1, 0.0, 0.5):
        panel.line([(left, height(tick)), (right, height(tick))], INK if tick == -result["margin_db"] else FAINT)
        panel.text((left - 6, height(tick)), f"{tick:+.1f}", 11, "rm")
    for place, value in enumerate(differences):
        panel.dot((left + (place + 0.5) * (right - left) / len(differences), height(value)), COLOURS["ours, Triton"])
    panel.text(
        (left - 40, HEIGHT - 12),
        f"{len(differences)} pairs, sorted; mean {mean:+.3f} dB, {result['confidence']:.0%} {low:+.3f} to {high:+.3f} "
        f"(band). {result['gpu']}, torch {result['torch']}, triton {result['triton']}; synthetic head.",
        11, "ls",
    )  # fmt: skip
    return image


if __name__ == "__main__":
    draw(__doc__, picture, "psnr_settled_pairs_h200.json", "psnr-pairs.png")
