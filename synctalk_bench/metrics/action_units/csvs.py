"""OpenFace FeatureExtraction's CSVs: where they are looked for, and the 17 intensities in them (spec 10.1)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.errors import BadManifest, MissingFile
from synctalk_bench.metrics.action_units.names import COLUMNS
from synctalk_bench.paths import expanded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip


@dataclass(frozen=True, slots=True)
class Intensities:
    """``values`` [T, 17] in the order of COLUMNS; ``found`` [T]: whether OpenFace says that it saw the face."""

    values: NDArray[np.float64]
    found: NDArray[np.bool_]


def places(clip: Clip, folder: str = "") -> list[Path]:
    """Return where the CSV of ``clip`` may lie, in the order in which they are looked for.

    Beside the folder of frames under its name (``frames.csv``), there as ``au.csv``, and in ``folder`` under the name
    of the folder around the frames.
    """
    beside = clip.frames.parent
    found = [beside / f"{clip.frames.name}.csv", beside / "au.csv"]
    return [*found, expanded(folder) / f"{beside.name}.csv"] if folder else found


def find(clip: Clip, which: str, folder: str = "") -> Path:
    """Return the CSV of ``clip``; ``which`` names the clip in the error.

    Raises:
        MissingFile: there is none; the hint holds the two commands that make it.
    """
    looked = places(clip, folder)
    for path in looked:
        if path.is_file():
            return path
    beside, name = clip.frames.parent, clip.frames.name
    # FeatureExtraction -fdir would sort 10.png before 2.png, so the frames become a lossless video first.
    film = beside / f"{name}.avi"
    raise MissingFile(
        f"{which} clip has no OpenFace CSV; looked for {', '.join(map(str, looked))}",
        hint=f"ffmpeg -framerate {clip.fps:g} -start_number {clip.span.first} -i '{clip.frames}/%d.png' "
        f"-frames:v {len(clip.span)} -c:v ffv1 -pix_fmt bgr0 '{film}'\n"
        f"  FeatureExtraction -f '{film}' -aus -out_dir '{beside}'   (OpenFace 2.2; writes {name}.csv)",
        where=str(clip.frames),
    )


def read(path: Path, frames: int) -> Intensities:
    """Return the intensities of a CSV of ``frames`` rows; blanks round column names do not matter.

    Raises:
        BadManifest: columns are missing, a value is no number in [0, 5], there are several faces or frames left out, or
            the number of rows is another. OpenFace calibrates on the whole file, so rows are never cut away.
    """
    where = str(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.reader(stream, skipinitialspace=True)
            head = [name.strip() for name in next(table, [])]
            rows = [row for row in table if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadManifest(f"it is not a CSV: {error}", where=where) from error
    missing = [name for name in COLUMNS if name not in head]
    if missing:
        raise BadManifest(f"it has no column {', '.join(missing)}", hint="run FeatureExtraction with -aus", where=where)
    if len(rows) != frames:
        raise BadManifest(
            f"it has {len(rows)} rows and the clip {frames} frames",
            hint="run OpenFace on exactly this clip: it calibrates on the whole file, so a longer one cannot be cut",
            where=where,
        )

    def column(name: str) -> NDArray[np.float64]:
        index = head.index(name)
        try:
            return np.array([float(row[index]) for row in rows])
        except (ValueError, IndexError) as error:
            raise BadManifest(f"its column {name} has a value that is no number: {error}", where=where) from error

    if "frame" in head and not np.array_equal(np.diff(column("frame")), np.ones(frames - 1)):
        raise BadManifest(
            "its frames are not counted one by one",
            hint="FaceLandmarkVidMulti writes a row a face; use FeatureExtraction",
            where=where,
        )
    values = np.stack([column(name) for name in COLUMNS], 1)
    if not ((values >= 0) & (values <= 5)).all():
        raise BadManifest("it has intensities outside 0 to 5", where=where)
    found = column("success") > 0 if "success" in head else np.ones(frames, np.bool_)
    return Intensities(values, found)
