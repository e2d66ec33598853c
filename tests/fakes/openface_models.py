"""Small seeded model files in OpenFace 2.2's true formats: a shape model, triangles and 17 regressors. No real data."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

MODES = 34
FEATURES = 4702
STATIC = (4, 6, 7, 10, 12, 14)
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)


def mean_face() -> np.ndarray:
    """Return a plain face of 68 points [68, 3] in about millimetres: x right, y down, z away."""
    half = np.linspace(np.pi, 0, 17)
    jaw = np.stack([70 * np.cos(half), -20 + 90 * np.sin(half) ** 0.8], 1)
    brow = np.stack([np.linspace(-56, -12, 5), [-42, -50, -52, -50, -46]], 1)
    bridge = np.stack([np.zeros(4), [-28, -14, 0, 12]], 1)
    nostrils = np.stack([np.linspace(-14, 14, 5), [18, 20, 22, 20, 18]], 1)
    lids = np.stack([[-46, -38, -28, -20, -28, -38], [-28, -33, -33, -27, -24, -24]], 1).astype(float)
    flip = np.array([-1.0, 1.0])
    lips = np.stack(
        [26 * np.cos(np.linspace(np.pi, -np.pi, 13)[:-1]), 44 - 9 * np.sin(np.linspace(np.pi, -np.pi, 13)[:-1])], 1
    )
    inner = np.stack(
        [18 * np.cos(np.linspace(np.pi, -np.pi, 9)[:-1]), 44 - 3 * np.sin(np.linspace(np.pi, -np.pi, 9)[:-1])], 1
    )
    left_lids = (lids * flip)[[3, 2, 1, 0, 5, 4]]
    flat = np.concatenate([jaw, brow, (brow * flip)[::-1], bridge, nostrils, lids, left_lids, lips, inner])
    depth = 0.004 * (flat**2).sum(1) - 15
    depth[27:36] -= [8, 14, 20, 26, 14, 16, 18, 16, 14]
    return np.concatenate([flat, depth[:, None]], 1) - [flat[:, 0].mean(), flat[:, 1].mean(), depth.mean()]


def _matrix(title: str, values: np.ndarray) -> str:
    rows = "\n".join(" ".join(f"{value:.10g}" for value in row) for row in values)
    return f"# {title}\n{values.shape[0]}\n{values.shape[1]}\n6\n{rows}\n"


def write_shape_model(path: Path, seed: int = 0) -> Path:
    """Write a PDM text file: mean, 34 smooth orthonormal modes, variances."""
    rng = np.random.default_rng(seed)
    face = mean_face()
    near = np.exp(-((face[:, None] - face[None]) ** 2).sum(-1) / (2 * 25.0**2))  # neighbours move together
    bumps = np.einsum("ij,cjm->cim", near, rng.normal(size=(3, 68, MODES))).reshape(3 * 68, MODES)
    rigid = np.zeros((3 * 68, 7))
    for axis in range(3):
        rigid[axis * 68 : (axis + 1) * 68, axis] = 1
        turned = np.cross(face, np.eye(3)[axis])
        rigid[:, 3 + axis] = turned.T.ravel()
    rigid[:, 6] = face.T.ravel()
    basis = np.linalg.qr(np.concatenate([rigid, bumps], 1))[0][:, 7:]
    text = _matrix("The mean values of the components (in mm)", face.T.reshape(-1, 1))
    text += _matrix(
        "The principal components (eigenvectors) of identity or combined identity and expression model", basis
    )
    text += _matrix(
        "The eigenvalues (variances) of the corresponding eigenvectors", (800 * 0.82 ** np.arange(MODES))[None]
    )
    path.write_text(text)
    return path


def write_triangles(path: Path) -> Path:
    """Write a triangulation of the 68 points as they stand when the forehead is taken in."""
    from scipy.spatial import Delaunay

    flat = mean_face()[:, :2].copy()
    flat[[0, 16, *range(17, 27)], 1] -= 43
    triangles = Delaunay(flat).simplices
    rows = "\n".join(" ".join(map(str, row)) for row in triangles)
    path.write_text(f"{len(triangles)}\n3\n4\n{rows}\n")
    return path


def write_regressor(path: Path, *, seed: int, dynamic: bool, cutoff: float = 0.5, mean: bool = True) -> Path:
    """Write a regressor .dat file with plausible weights."""
    rng = np.random.default_rng(seed)
    centre = np.concatenate([rng.uniform(0.02, 0.15, 4464), rng.normal(0, 1, 238)])
    weights = np.concatenate([rng.normal(0, 0.12, 4464), rng.normal(0, 0.02, 238)])
    head = struct.pack("<id", 1, cutoff) if dynamic else struct.pack("<i", 0)
    middle = struct.pack("<iii", 1, FEATURES, 6) + centre.tobytes() if mean else struct.pack("<iii", 0, 0, 6)
    tail = struct.pack("<iii", FEATURES, 1, 6) + weights.tobytes() + struct.pack("<d", 1 + 0.1 * (seed % 7))
    path.write_bytes(head + middle + tail)
    return path


def file_name(unit: int) -> str:
    """Return what OpenFace calls the regressor file of a unit that is used."""
    sort = "static" if unit in STATIC else "dynamic"
    return f"AU_{unit}_{sort}_intensity{'' if unit in (5, 9, 14, 20) else '_comb'}.dat"


def write_all(folder: Path) -> dict[str, Path]:
    """Write the 19 files and return them by their registry names."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "openface-pdm": write_shape_model(folder / "In-the-wild_aligned_PDM_68.txt"),
        "openface-triangles": write_triangles(folder / "tris_68_full.txt"),
    }
    for unit in UNITS:
        files[f"openface-au{unit:02d}"] = write_regressor(
            folder / file_name(unit), seed=unit, dynamic=unit not in STATIC, cutoff=0.2 + 0.01 * unit
        )
    return files


def posed(seed: int, *, expression: float = 1.0) -> np.ndarray:
    """Return 68 pixel points [68, 2] of a turned, scaled and deformed mean face in a 300 x 260 picture."""
    rng = np.random.default_rng(seed)
    yaw, pitch, roll = rng.normal(0, [0.2, 0.1, 0.12])
    turn_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    turn_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    face = mean_face()
    near = np.exp(-((face[:, None] - face[None]) ** 2).sum(-1) / (2 * 25.0**2))
    face = face + expression * near @ rng.normal(0, 1, (68, 3))
    return (rng.uniform(0.9, 1.2) * face @ (turn_x @ turn_y @ turn_z).T)[:, :2] + rng.normal([150, 130], 6)


def picture(seed: int, height: int = 260, width: int = 300) -> np.ndarray:
    """Return a seeded picture [H, W, 3] uint8 with edges at all scales."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 16.0
    layers = []
    for _ in range(3):
        total = np.zeros((height, width))
        for octave in range(4):
            a, b, c = rng.normal(0, 1, 3)
            total += np.sin((a * x + b * y) * 1.7**octave + 6 * c) / (1 + octave)
        layers.append(128 + 45 * total + rng.normal(0, 6, (height, width)))
    return np.clip(np.stack(layers, -1), 0, 255).astype(np.uint8)
