"""AUE: sum over 17 action units of the mean over frames of the squared difference of intensity (spec 10.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.errors import BadManifest, MissingAsset
from synctalk_bench.metrics.action_units import csvs
from synctalk_bench.metrics.action_units.faces import look, require
from synctalk_bench.metrics.action_units.names import ASSETS, COLUMNS, LOWER, REGRESSORS, UNITS, UPPER
from synctalk_bench.metrics.front_end import check
from synctalk_bench.protocols import MetricResult
from synctalk_bench.store.fingerprint import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.action_units.configs import CsvConfig
    from synctalk_bench.metrics.configs import LandmarkConfig
    from synctalk_bench.protocols import Context

DEFINITION: Final = "sum over 17 intensities (0-5) of the mean squared difference; frames without a face count as 0"
_UPPER: Final = np.array([unit in UPPER for unit in UNITS])
assert len(UPPER) + len(LOWER) == len(UNITS)


def action_unit_error(
    mine: NDArray[np.floating], true: NDArray[np.floating]
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Return the error of each frame [T] of intensities [T, 17] (its mean is AUE), and AUE's parts.

    The parts are ``AUE-U``, ``AUE-L`` (they add up to AUE) and ``units``, each unit's own mean squared difference.
    """
    if mine.shape != true.shape:
        raise ValueError(f"intensities of {len(mine)} and {len(true)} frames cannot be compared")
    squared = (np.asarray(mine, np.float64) - np.asarray(true, np.float64)) ** 2
    units = squared.mean(0)
    parts = {
        "AUE-U": float(units[_UPPER].sum()),
        "AUE-L": float(units[~_UPPER].sum()),
        "units": {name: float(value) for name, value in zip(COLUMNS, units, strict=True)},
    }
    return squared.sum(1), parts


def _result(mine: csvs.Intensities, true: csvs.Intensities, facts: dict[str, Any]) -> MetricResult:
    per_frame, parts = action_unit_error(mine.values, true.values)
    details = {
        "definition": DEFINITION,
        **parts,
        **facts,
        "no_face_rendered": int((~mine.found).sum()),
        "no_face_true": int((~true.found).sum()),
    }
    return MetricResult(mean=float(per_frame.mean()), per_frame=per_frame.astype(np.float32), details=details)


class OpenFaceCsv:
    """AUE from OpenFace's own CSVs of both clips: comparable with the papers that used OpenFace 2.2."""

    name = "aue-openface-csv"

    def __init__(self, config: CsvConfig, context: Context) -> None:
        self._config = config

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return each frame's sum of squared differences and their mean, AUE.

        Raises:
            PrerequisiteError: no truth.
            MissingFile: a clip has no CSV; the hint holds the commands that make it.
            BadManifest: a CSV is damaged or of another length, or the clips do not fit.
            NoFace: OpenFace succeeded in fewer frames than ``least_coverage`` asks for.
        """
        truth = check(rendered, truth, self.name)
        mine_path = csvs.find(rendered, "the rendered", self._config.folder)
        true_path = csvs.find(truth, "the true", self._config.folder)
        mine, true = csvs.read(mine_path, len(rendered.span)), csvs.read(true_path, len(truth.span))
        if len(mine.found) != len(true.found):
            raise BadManifest(
                f"the rendered clip has {len(mine.found)} frames and the true one {len(true.found)}; OpenFace "
                "calibrates on the whole clip, so both must be of one length",
                where=str(rendered.frames),
            )
        require(
            mine.found,
            true.found,
            least=self._config.least_coverage,
            metric=self.name,
            finder="OpenFace",
            clip=rendered,
        )
        digests = {which: file_digest(path) for which, path in (("rendered", mine_path), ("true", true_path))}
        return _result(mine, true, {"backend": "OpenFace FeatureExtraction (your CSVs)", "csv_sha256": digests})


class OpenFaceModels:
    """AUE by OpenFace's models on MediaPipe's points: its scale and calibration, but not its landmark detector."""

    name = "aue-openface"

    def __init__(self, config: LandmarkConfig, context: Context) -> None:
        self._config = config
        self._landmarker = context.asset("face-landmarker")
        self._files = _gather(context)

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return each frame's sum of squared differences and their mean, AUE.

        Raises:
            MissingExtra, MissingAsset: MediaPipe or a model file is not there.
            AssetMismatch: a model file is another.
            PrerequisiteError: no truth.
            NoFace: a face in fewer frames than ``least_coverage`` asks for.
            MissingFile, BadManifest: frames that are missing, damaged, or of different sizes.
        """
        from synctalk_bench.metrics.action_units.openface import OpenFace
        from synctalk_bench.vision.landmarks import to_68

        truth = check(rendered, truth, self.name)
        model = OpenFace(self._files)
        one, two = model.clip(), model.clip()
        several = 0
        for seen in look(self._landmarker, rendered, truth, readers=self._config.readers):
            several += seen.several
            for clip, face, frame in ((one, seen.rendered, seen.pair.rendered), (two, seen.true, seen.pair.truth)):
                clip.add(frame, None if face is None else to_68(face.points[:, :2]))
        require(
            one.found,
            two.found,
            least=self._config.least_coverage,
            metric=self.name,
            finder="MediaPipe",
            clip=rendered,
        )
        weights = {"face-landmarker": self._landmarker, **self._files}
        facts = {
            "backend": "OpenFace 2.2 models, own code; landmarks: MediaPipe's 68 points, not CE-CLM",
            "weights": {name: file_digest(path) for name, path in weights.items()},
            "several_faces": several,
        }
        return _result(csvs.Intensities(one.finish(), one.found), csvs.Intensities(two.finish(), two.found), facts)


def _gather(context: Context) -> dict[str, Path]:
    """Return OpenFace's files by registry name; when some are missing the error names all of them at once."""
    files: dict[str, Path] = {}
    missing: list[str] = []
    for name in ASSETS:
        try:
            files[name] = context.asset(name)
        except MissingAsset:
            missing.append(name)
    if missing:
        raise MissingAsset(
            f"{len(missing)} of OpenFace's {len(ASSETS)} model files are not here: {', '.join(missing)}",
            hint="their licence (academic, non-commercial) lets you take them, not us give them: "
            "git clone --depth 1 -b OpenFace_2.2.0 https://github.com/TadasBaltrusaitis/OpenFace DIR, then "
            "SYNCTALK_BENCH_ASSETS=DIR (a list, separated as PATH is). Or score OpenFace's CSVs: aue-openface-csv",
        )
    assert set(REGRESSORS.values()) <= set(files)
    return files
