"""AUE from OpenFace's CSVs: the formula, the files that are refused, and where they are looked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.errors import BadManifest, MissingFile, NoFace, PrerequisiteError
from synctalk_bench.metrics.action_units import csvs
from synctalk_bench.metrics.action_units.aue import OpenFaceCsv, action_unit_error
from synctalk_bench.metrics.action_units.configs import CsvConfig
from synctalk_bench.metrics.action_units.names import COLUMNS, LOWER, UNITS, UPPER
from synctalk_bench.protocols import Context

RNG = np.random.default_rng(0)


def write(path: Path, values: np.ndarray, *, success: np.ndarray | None = None, blank: str = " ") -> Path:
    """Write a CSV as FeatureExtraction does: blanks before the names, AU28 as presence only, other columns around."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["frame", "face_id", "timestamp", "confidence", "success", *COLUMNS, "AU28_c", "AU45_c"]
    lines = [names[0] + "".join(f",{blank}{name}" for name in names[1:])]
    for t, row in enumerate(values):
        seen = 1 if success is None else int(success[t])
        numbers = [str(t + 1), "0", f"{t / 25:.3f}", "0.98", str(seen), *(f"{v:.2f}" for v in row), "0.00", "1.00"]
        lines.append(f",{blank}".join(numbers))
    path.write_text("\n".join(lines) + "\n")
    return path


def clip(folder: Path, frames: int, first: int = 0) -> Clip:
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    return Clip(frames=folder / "frames", span=Span(first, first + frames), fps=25.0, protocol="head")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Clip, Clip]:
    return clip(tmp_path / "mine", 9, 40), clip(tmp_path / "true", 9, 40)


def metric(**options: object) -> OpenFaceCsv:
    return OpenFaceCsv(CsvConfig(**options), Context())  # type: ignore[arg-type]


def intensities(frames: int = 9) -> np.ndarray:
    return RNG.uniform(0, 5, (frames, len(UNITS))).round(2)


def test_the_units_are_those_of_the_published_script() -> None:
    assert len(UNITS) == 17 and set(UPPER) | set(LOWER) == set(UNITS) and not set(UPPER) & set(LOWER)
    assert 28 not in UNITS  # presence only


def test_aue_is_the_sum_over_units_of_mean_squares() -> None:
    a, b = intensities(), intensities()
    per_frame, parts = action_unit_error(a, b)
    by_hand = {unit: sum((a[t, i] - b[t, i]) ** 2 for t in range(9)) / 9 for i, unit in enumerate(UNITS)}
    assert per_frame.mean() == pytest.approx(sum(by_hand.values()))
    assert parts["AUE-U"] == pytest.approx(sum(by_hand[u] for u in (1, 2, 4, 5, 6, 7, 9, 45)))
    assert parts["AUE-L"] == pytest.approx(sum(by_hand[u] for u in (10, 12, 14, 15, 17, 20, 23, 25, 26)))
    assert parts["units"]["AU45_r"] == pytest.approx(by_hand[45])
    with pytest.raises(ValueError, match="9 and 8 frames"):
        action_unit_error(a, b[:8])


def test_csvs_beside_the_clips_are_scored(pair: tuple[Clip, Clip]) -> None:
    mine, true = pair
    a, b = intensities(), intensities()
    one = write(mine.frames.parent / "frames.csv", a)
    write(true.frames.parent / "au.csv", b, blank="")
    result = metric().score(mine, true)
    assert result.mean == pytest.approx(((a - b) ** 2).sum(1).mean())
    assert result.details["AUE-U"] + result.details["AUE-L"] == pytest.approx(result.mean)
    assert result.details["csv_sha256"]["rendered"] == hashlib.sha256(one.read_bytes()).hexdigest()
    write(true.frames.parent / "au.csv", a)
    assert metric().score(mine, true).mean == 0


def test_a_folder_of_csvs_can_be_named(pair: tuple[Clip, Clip], tmp_path: Path) -> None:
    a = intensities()
    write(tmp_path / "csvs" / "mine.csv", a)
    write(tmp_path / "csvs" / "true.csv", a + 0.0)
    assert metric(folder=str(tmp_path / "csvs")).score(*pair).mean == 0


def test_a_missing_csv_says_what_to_run_and_where_to_put_it(pair: tuple[Clip, Clip]) -> None:
    mine, true = pair
    write(mine.frames.parent / "frames.csv", intensities())
    with pytest.raises(MissingFile) as caught:
        metric().score(mine, true)
    text = str(caught.value)
    assert "the true clip" in text and str(true.frames.parent / "frames.csv") in text
    # OpenFace sorts an image folder as text (10 before 2), so the hint makes a lossless video of the right frames.
    assert "-start_number 40" in text and "-frames:v 9" in text and "ffv1" in text
    assert f"FeatureExtraction -f '{true.frames.parent / 'frames.avi'}' -aus" in text
    with pytest.raises(PrerequisiteError, match="true frames"):
        metric().score(mine, None)


def test_another_length_is_refused(pair: tuple[Clip, Clip]) -> None:
    for each, rows in zip(pair, (9, 10), strict=True):
        write(each.frames.parent / "frames.csv", intensities(rows))
    with pytest.raises(BadManifest, match="10 rows and the clip 9 frames"):
        metric().score(*pair)


def test_clips_of_different_lengths_are_refused(tmp_path: Path) -> None:
    mine, true = clip(tmp_path / "a", 9), clip(tmp_path / "b", 12)
    for each in (mine, true):
        write(each.frames.parent / "frames.csv", intensities(len(each.span)))
    with pytest.raises(BadManifest, match="9 frames and the true one 12"):
        metric().score(mine, true)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (" AU26_r", " AU26", "no column AU26_r"),
        (" AU26_r", " AU26_r", None),
        ("\n3, 0,", "\n2, 0,", "not counted one by one"),
        ("\n3, 0, 0.080, 0.98, 1, ", "\n3, 0, 0.080, 0.98, 1, x", "no number"),
        ("\n3, 0, 0.080, 0.98, 1, ", "\n3, 0, 0.080, 0.98, 1, 9", "outside 0 to 5"),
        ("\n3, 0, 0.080, 0.98, 1, ", "\n3, 0, 0.080, 0.98, 1, nan, ", "outside 0 to 5"),
    ],
)
def test_damaged_csvs_are_refused(old: str, new: str, problem: str | None, tmp_path: Path) -> None:
    path = write(tmp_path / "au.csv", intensities())
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    if problem is None:
        assert csvs.read(path, 9).values.shape == (9, 17)
        return
    with pytest.raises(BadManifest, match=problem):
        csvs.read(path, 9)


def test_frames_in_which_openface_failed_count_as_it_wrote_them(pair: tuple[Clip, Clip]) -> None:
    mine, true = pair
    a = intensities(9)
    failed = np.ones(9)
    failed[4] = 0
    b = a.copy()
    b[4] = 0
    write(mine.frames.parent / "frames.csv", b, success=failed)
    write(true.frames.parent / "frames.csv", a)
    result = metric(least_coverage=0.8).score(mine, true)
    assert result.mean == pytest.approx((a[4] ** 2).sum() / 9)
    assert result.details["no_face_rendered"] == 1 and result.details["no_face_true"] == 0
    with pytest.raises(NoFace, match=r"8 of 9 frames; the rendered clip shows none in 44\."):
        metric().score(mine, true)
