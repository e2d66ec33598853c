"""What the page's scripts are given: curves, worst frames with their pictures, and where each clip lies in its film."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.pages.motion import pose_jitter
from synctalk_bench.pages.pictures import jpeg_uri
from synctalk_bench.results.report.data import Cell, Measure, Place
from synctalk_bench.results.report.film import BITS, SQUARE, small_picture, write_film
from synctalk_bench.results.report.worst import worst_frames
from synctalk_bench.results.source import per_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip, ResultRow
    from synctalk_bench.results.report.data import RunData

WORST: Final = 5  # frames a metric, variant and place
THUMB: Final = 120  # pixels of the longer side
TURN, SHIFT = "pose-turn", "pose-shift"
_POSE_HEADS = {
    TURN: "driving pose, jitter of the turn (° / frame²)",
    SHIFT: "driving pose, jitter of the place (mm / frame²)",
}

Tell = Callable[[int, int], None]


@dataclass(slots=True)
class Payload:
    """Values for the scripts (``json``), films as base64 by number, and what a reader has to know about them."""

    json: dict[str, Any]
    films: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def film_bytes(self) -> int:
        """Of all films, as they stand in the page."""
        return sum(len(film) for film in self.films)


def build_payload(data: RunData, *, max_bytes: int, video: bool, tell: Tell = lambda done, total: None) -> Payload:
    """Return the scripts' part of the page.

    Args:
        max_bytes: of pictures and films together, as text of the page.
        video: whether films are made.
        tell: is told how many frames of all films are written.
    """
    heads = measure_heads(data)
    payload = Payload(
        {
            "variants": [
                {
                    "name": v,
                    "label": data.label(v),
                    "control": v in data.controls,
                    "colour": None if v in data.controls else data.colour(v),
                }
                for v in (*data.variants, *data.controls)
            ],
            "measures": [
                {
                    "id": _id(m),
                    "head": heads[m],
                    "better": None if (spec := data.specs.get(m.metric)) is None else spec.higher_is_better,
                    "digits": 4 if spec is None else spec.digits,
                }
                for m in data.measures
            ]
            + [{"id": name, "head": head, "better": False, "digits": 3} for name, head in _POSE_HEADS.items()],
            "code": {"bits": BITS, "square": SQUARE},
            "places": [],
            "thumbs": {},
            "video": video,
        }
    )
    clips = [_Clips(data, place) for place in data.places]
    for found in clips:
        payload.json["places"].append(_place(data, found))
    _add_thumbs(clips, payload, max_bytes=max_bytes // 4)
    if video:
        left = max_bytes - sum(map(len, payload.json["thumbs"].values()))
        _add_films(clips, payload, left, tell)
    return payload


def measure_heads(data: RunData) -> dict[Measure, str]:
    """Return what stands above each measure, with its protocol where there are several."""
    several = len(data.protocols) > 1
    found = {}
    for m in data.measures:
        spec = data.specs.get(m.metric)
        head = m.metric if spec is None else f"{spec.label} {'↑' if spec.higher_is_better else '↓'}"
        found[m] = f"{head} [{m.protocol}]" if several else head
    return found


def _id(measure: Measure) -> str:
    return f"{measure.metric} {measure.protocol}"


class _Clips:
    """The clips of one place: the truths first, each once, then the variants."""

    def __init__(self, data: RunData, place: Place) -> None:
        self.place = place
        self.truths: dict[str, Clip] = {}
        self.truth_of: dict[str, str] = {}
        self.rendered: dict[str, Clip] = {}
        self.protocols: dict[str, str] = {}
        self.missing: list[str] = []
        for variant in data.variants:
            trace = data.traces.get(Cell(variant, place))
            if trace is None:  # not scored here
                continue
            if trace.rendered is None or not _whole(trace.rendered):
                self.missing.append(f"no frames of {data.label(variant)}: the store does not have them (any more)")
                continue
            self.rendered[variant] = trace.rendered
            if trace.truth is not None and _whole(trace.truth):
                self.truths[trace.truth_id] = trace.truth
                self.truth_of[variant] = trace.truth_id
                self.protocols[trace.truth_id] = trace.truth.protocol
            else:
                self.missing.append(f"no truth to {data.label(variant)}: there is nothing to compare it with")

    @property
    def all(self) -> list[Clip]:
        """Every clip, in the order of the tiles."""
        return [*self.truths.values(), *self.rendered.values()]

    @property
    def frames(self) -> int:
        """Of the longest clip."""
        return max((len(clip.span) for clip in self.all), default=0)


def _whole(clip: Clip) -> bool:
    return len(clip.span) > 0 and all(clip.frame(k).is_file() for k in clip.span.frames)


def _place(data: RunData, clips: _Clips) -> dict[str, Any]:
    place = clips.place
    curves: dict[str, dict[str, list[float | None]]] = {}
    worst: dict[str, dict[str, list[int]]] = {}
    for row in data.rows:
        # Controls have no seed: theirs is 0, and they stand beside every seed of their subject.
        if row.subject != place.subject or (row.seed != place.seed and not row.control):
            continue
        values = per_frame(row)
        if values is None:
            continue
        measure = _id(Measure(row.score.metric, row.score.protocol))
        curves.setdefault(measure, {})[row.variant] = _plain(values)
        if not row.control and (found := _worst(data, row, values)):
            worst.setdefault(measure, {})[row.variant] = found
    for variant in data.variants:
        trace = data.traces.get(Cell(variant, place))
        if trace is not None and trace.poses is not None and len(trace.poses) > 2:
            for name, jitter in zip(_POSE_HEADS, pose_jitter(trace.poses), strict=True):
                curves.setdefault(name, {})[variant] = _plain(jitter)
    lengths = [len(v) for by_variant in curves.values() for v in by_variant.values()]
    first = clips.all[0] if clips.all else None
    return {
        "subject": place.subject,
        "seed": place.seed,
        "fps": first.fps if first else 25.0,
        "first": first.span.first if first else 0,
        "count": max([clips.frames, *lengths]),
        "film": None,
        "missing": clips.missing,
        "curves": curves,
        "worst": worst,
        "tiles": [
            {"variant": None, "label": "truth" if len(clips.truths) < 2 else f"truth ({clips.protocols[name]})"}
            for name in clips.truths
        ]
        + [
            {
                "variant": variant,
                "label": data.label(variant),
                "truth": list(clips.truths).index(clips.truth_of[variant]) if variant in clips.truth_of else None,
            }
            for variant in clips.rendered
        ],
    }


def _plain(values: NDArray[Any]) -> list[float | None]:
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in values]


def _worst(data: RunData, row: ResultRow, values: NDArray[Any]) -> list[int]:
    spec = data.specs.get(row.score.metric)
    return [] if spec is None else worst_frames(values, higher_is_better=spec.higher_is_better, count=WORST)


def _add_thumbs(clips: list[_Clips], payload: Payload, *, max_bytes: int) -> None:
    """Add pictures of the worst frames, of every metric's very worst first, until ``max_bytes`` are full.

    Their key is ``place/tile/frame``, all of them numbers.
    """
    thumbs: dict[str, str] = payload.json["thumbs"]
    left = max_bytes
    for rank in range(WORST):
        for number, (found, place) in enumerate(zip(clips, payload.json["places"], strict=True)):
            tiles = {tile["variant"]: (n, tile.get("truth")) for n, tile in enumerate(place["tiles"])}
            for by_variant in place["worst"].values():
                for variant, frames in by_variant.items():
                    for tile in tiles.get(variant, ()) if rank < len(frames) else ():
                        key = f"{number}/{tile}/{frames[rank]}"
                        if tile is None or key in thumbs or left < 0 or frames[rank] >= len(found.all[tile].span):
                            continue
                        clip = found.all[tile]
                        picture = small_picture(clip.frame(clip.span.first + frames[rank]), THUMB)
                        thumbs[key] = jpeg_uri(picture, quality=78)
                        left -= len(thumbs[key])
    if left < 0:
        payload.notes.append("Not all worst frames have a picture: --max-mb N gives them more room.")


def _add_films(clips: list[_Clips], payload: Payload, max_bytes: int, tell: Tell) -> None:
    total = sum(found.frames for found in clips)
    done = 0

    def after(before: int) -> Callable[[int], None]:
        return lambda k: tell(before + k, total)

    with tempfile.TemporaryDirectory(prefix="synctalk-bench-") as folder:
        for found, place in zip(clips, payload.json["places"], strict=True):
            if not found.all:
                continue
            path = Path(folder) / "film.mp4"
            sound = next((clip.audio for clip in found.all if clip.audio is not None), None)
            tiling = write_film(
                path,
                found.all,
                bytes_at_most=int(max_bytes * 0.75 * found.frames / total),
                sound=sound,
                tell=after(done),
            )
            done += found.frames
            place["film"] = len(payload.films)
            place["picture"] = [tiling.width, tiling.height]
            place["size"] = [tiling.film_width, tiling.film_height]
            place["codeTop"] = tiling.rows * tiling.cell_height
            place["sound"] = sound is not None
            for number, tile in enumerate(place["tiles"]):
                tile["x"], tile["y"] = tiling.place(number)
            payload.films.append(base64.b64encode(path.read_bytes()).decode("ascii"))
