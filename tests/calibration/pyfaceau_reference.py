"""Writes what pyfaceau and dlib (through pyfhog) say of the seeded model files, as JSON: the calibration's reference.

Not a test. Run it with a Python of its own that has ``pyfaceau`` (1.4.1, CC BY-NC 4.0, never a dependency of this
project), ``pyfhog``, ``numba``, ``scipy`` and ``opencv-python-headless<5``:

    PYTHON tests/calibration/pyfaceau_reference.py OUT.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

import openface_models as seeded

FACES = 6
EVERY_FEATURE = 23
EVERY_PIXEL = 97


def main(target: Path) -> None:
    """Write every stage of every face, thinned out."""
    import pyfhog
    from pyfaceau.alignment.calc_params import CalcParams
    from pyfaceau.alignment.face_aligner import OpenFace22FaceAligner
    from pyfaceau.features.histogram_median_tracker import DualHistogramMedianTracker
    from pyfaceau.features.pdm import PDMParser
    from pyfaceau.features.triangulation import TriangulationParser
    from pyfaceau.prediction.model_parser import OF22ModelParser

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeded.write_all(folder)
        shape = str(folder / "In-the-wild_aligned_PDM_68.txt")
        pdm = PDMParser(shape)
        fitter, aligner = CalcParams(pdm), OpenFace22FaceAligner(shape)
        triangles = TriangulationParser(str(folder / "tris_68_full.txt"))
        parser = OF22ModelParser(str(folder))
        models = parser.load_all_models()
        median = DualHistogramMedianTracker(
            hog_bins=1000, hog_min=-0.005, hog_max=1.0, geom_bins=10000, geom_min=-60.0, geom_max=60.0
        )
        faces = []
        for seed in range(FACES):
            points = seeded.posed(seed).astype(np.float32)
            bgr = np.ascontiguousarray(seeded.picture(100 + seed)[..., ::-1])
            place, local = fitter.calc_params(points)
            face = aligner.align_face(
                bgr, points, place[4], place[5], place[3], apply_mask=True, triangulation=triangles
            )
            hog = pyfhog.extract_fhog_features(np.ascontiguousarray(face))
            geometry = pdm.extract_geometric_features(local)
            features = np.concatenate([hog, geometry])
            median.update(hog, geometry, seed % 2 == 0)
            faces.append(
                {
                    "scale": float(place[0]),
                    "place": [float(v) for v in place[4:6]],
                    "local": [round(float(v), 6) for v in local],
                    "face": face[..., ::-1].reshape(-1)[::EVERY_PIXEL].tolist(),
                    "face_sum": int(face.sum()),
                    "hog": [round(float(v), 8) for v in hog[::EVERY_FEATURE]],
                    "raw": [round(float(parser.predict_au(features, models[f"AU{u:02d}_r"])), 6) for u in seeded.UNITS],
                }
            )
        square = np.ascontiguousarray(seeded.picture(7, 112, 112)[..., ::-1])
        plain = [round(float(v), 8) for v in pyfhog.extract_fhog_features(square)[::EVERY_FEATURE]]
        middle = [round(float(v), 8) for v in median.get_combined_median()[::EVERY_FEATURE]]
    target.write_text(json.dumps({"faces": faces, "hog_of_picture": plain, "median": middle}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
