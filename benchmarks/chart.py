"""Draws docs/images/throughput.png from benchmarks/results/h200.json and the published code's figures on the same kind.

    python benchmarks/chart.py

The line to beat was measured once with the official network and CUDA extensions on two H200 machines
(the throughput workload, docs/kernels.md); both of its ends are drawn.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
OFFICIAL = {"train_it_per_s": (72.0, 100.0), "render_fps": (93.5, 118.5)}
"""SyncTalk's CUDA code on one and on another H200, torch 2.11."""

INK, FAINT, PAPER = (32, 33, 36), (205, 209, 216), (255, 255, 255)
COLOURS = {"SyncTalk CUDA": (150, 156, 166), "ours, PyTorch twin": (92, 142, 203), "ours, Triton": (214, 96, 59)}
SCALE = 2  # drawn at twice the size of a page's pixels, for sharp displays

Point = tuple[float, float]


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own typeface at ``size`` page pixels."""
    return ImageFont.load_default(size * SCALE)


class Panel:
    """A rectangle of the picture with a title; coordinates are page pixels."""

    def __init__(self, image: Image.Image, box: tuple[int, int, int, int], title: str) -> None:
        self.draw, self.box = ImageDraw.Draw(image), box
        self.text((box[0], box[1] - 26), title, 15)

    def text(self, at: Point, words: str, size: int = 12, anchor: str = "la", fill: Any = INK) -> None:
        """Write ``words``."""
        self.draw.text((at[0] * SCALE, at[1] * SCALE), words, font=font(size), anchor=anchor, fill=fill)

    def line(self, points: Sequence[Point], fill: Any, width: float = 1) -> None:
        """Join ``points``."""
        self.draw.line([(x * SCALE, y * SCALE) for x, y in points], fill=fill, width=round(width * SCALE))

    def rectangle(self, left: float, top: float, right: float, bottom: float, fill: Any) -> None:
        """Fill a rectangle."""
        self.draw.rectangle([left * SCALE, top * SCALE, right * SCALE, bottom * SCALE], fill=fill)

    def dot(self, at: Point, fill: Any) -> None:
        """Draw a point of a curve."""
        x, y, r = at[0] * SCALE, at[1] * SCALE, 3.5 * SCALE
        self.draw.ellipse([x - r, y - r, x + r, y + r], fill=fill)


def number(value: float) -> str:
    """Return ``value`` with as many digits as a reader can use."""
    return f"{value:,.0f}" if value >= 200 else f"{value:.1f}".removesuffix(".0")


def bars(panel: Panel, rows: Sequence[tuple[str, float, float]], unit: str) -> None:
    """Draw one bar a row (name, low, high); what lies between low and high is lighter, since machines differ."""
    left, top, right, bottom = panel.box
    longest = max(high for _, _, high in rows)
    step = (bottom - top) / len(rows)
    for place, (name, low, high) in enumerate(rows):
        y, colour = top + place * step, COLOURS[name]
        reach = (right - left - 110) / longest
        lighter = tuple((c + 255) // 2 for c in colour)
        panel.text((left, y), name)
        panel.rectangle(left, y + 17, left + high * reach, y + 36, lighter if high > low else colour)
        panel.rectangle(left, y + 17, left + low * reach, y + 36, colour)
        words = number(high) if low == high else f"{number(low)}-{number(high)}"
        panel.text((left + high * reach + 6, y + 26), f"{words} {unit}", 12, "lm")


def curve(panel: Panel, series: dict[str, list[Point]], ticks: Sequence[tuple[float, str]]) -> None:
    """Draw curves over logarithmic axes; the lines across are powers of ten."""
    from math import ceil, floor, log10

    left, top, right, bottom = panel.box
    points = [p for line in series.values() for p in line]
    xs = [log10(x) for x, _ in ticks]
    lowest, highest = floor(log10(min(y for _, y in points))), ceil(log10(max(y for _, y in points)))

    def place(x: float, y: float) -> Point:
        across = (log10(x) - min(xs)) / (max(xs) - min(xs))
        up = (log10(y) - lowest) / (highest - lowest)
        return left + 64 + across * (right - left - 84), bottom - 20 - up * (bottom - top - 30)

    for power in range(lowest, highest + 1):
        y = place(10 ** xs[0], 10.0**power)[1]
        panel.line([(left + 40, y), (right, y)], FAINT)
        panel.text((left + 34, y), f"{10**power:,}", 11, "rm")
    for x, name in ticks:
        panel.text((place(x, 10.0**lowest)[0], bottom - 4), name, 11, "ma")
    for name, line in series.items():
        placed = [place(x, y) for x, y in line]
        panel.line(placed, COLOURS[name], 2)
        for (_, y), at in zip(line, placed, strict=True):
            panel.dot(at, COLOURS[name])
            panel.text((at[0], at[1] - 9), number(y), 10, "mb")


def picture(result: dict[str, Any]) -> Image.Image:
    """Return the chart of a ``throughput.py --curve`` result; a panel of what was not measured is left out."""
    paths = {"ours, PyTorch twin": result["paths"]["reference"], "ours, Triton": result["paths"]["triton"]}
    measured = all("samples_curve" in path for path in paths.values())
    image = Image.new("RGB", (900 * SCALE, (820 if measured else 545) * SCALE), PAPER)
    for title, key, unit, left in (
        ("Training, steps a second", "train_it_per_s", "it/s", 30),
        ("Drawing 512 x 512, frames a second", "render_fps", "fps", 480),
    ):
        ours = [(name, path[key], path[key]) for name, path in paths.items()]
        bars(Panel(image, (left, 50, left + 390, 220), title), [("SyncTalk CUDA", *OFFICIAL[key]), *ours], unit)
    sizes = {name: [(r["size"] ** 2, r["fps"]) for r in path["curve"]] for name, path in paths.items()}
    ticks = [(size**2, f"{size} x {size}") for size in (256, 512, 1024, 2048)]
    curve(Panel(image, (30, 280, 870, 500), "Drawing over pixels, frames a second"), sizes, ticks)
    if measured:
        rays = {
            name: [(r["rays"], r["it_per_s"]) for r in path["samples_curve"]["training"]]
            for name, path in paths.items()
        }
        shown = paths["ours, Triton"]["samples_curve"]["training"]
        ticks = [(r["rays"], f"{r['samples'] / 1e3:.0f} k") for r in shown]
        curve(Panel(image, (30, 560, 440, 770), "Training over samples a step, steps a second"), rays, ticks)
        steps = {
            name: [(r["max_steps"], r["fps"]) for r in path["samples_curve"]["drawing"]] for name, path in paths.items()
        }
        ticks = [(r["max_steps"], str(r["max_steps"])) for r in paths["ours, Triton"]["samples_curve"]["drawing"]]
        curve(Panel(image, (480, 560, 870, 770), "Drawing over samples a ray (at most), frames a second"), steps, ticks)
    foot = Panel(image, (30, image.height // SCALE, 0, 0), "")
    foot.text(
        (30, image.height // SCALE - 12),
        f"{result['gpu']}, torch {result['torch']}, triton {result['triton']}, commit {str(result['commit'])[:12]}; "
        "synthetic head, 65,536 rays a step. SyncTalk CUDA: two machines of the same kind.",
        11, "ls",
    )  # fmt: skip
    return image


def draw(about: str | None, picture: Callable[[dict[str, Any]], Image.Image], result: str, out: str) -> None:
    """Write the picture of ``result``, a file of benchmarks/results, to ``out`` in docs/images, or of and to others."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--result", type=Path, default=ROOT / "benchmarks" / "results" / result)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / out)
    options = parser.parse_args()
    image = picture(json.loads(options.result.read_text()))
    image.quantize(64).save(options.out, optimize=True)
    print(f"{options.out}: {image.width} x {image.height}")


if __name__ == "__main__":
    draw(__doc__, picture, "h200.json", "throughput.png")
