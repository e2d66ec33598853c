"""OpenFace 2.2's model files: matrices as text and linear regressors as bytes (metrics spec 10.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.errors import AssetMismatch

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

POINTS: Final = 68
FEATURES: Final = 4464 + 238
_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    4: np.dtype("<i4"),
    5: np.dtype("<f4"),
    6: np.dtype("<f8"),
}  # OpenCV's codes for one channel


@dataclass(frozen=True, slots=True)
class ShapeModel:
    """A point distribution model in about millimetres, x right, y down, z away.

    Args:
        mean: [3, 68]. modes: [3, 68, M], orthonormal over the first two axes. variances: [M].
    """

    mean: NDArray[np.float64]
    modes: NDArray[np.float64]
    variances: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Regressor:
    """One unit's linear regressor: ``(features - mean) . weights + bias``.

    Args:
        mean, weights: [4702].
        dynamic: whether the person's median features are taken off first.
        cutoff: share of a clip's frames that are taken to be without this unit; -1 where it is not used.
    """

    mean: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float
    dynamic: bool
    cutoff: float


def _wrong(path: Path, problem: str) -> AssetMismatch:
    return AssetMismatch(
        f"{path.name} is not the OpenFace file that it should be: {problem}",
        hint="take it again from OpenFace 2.2.0; 'synctalk-bench assets verify' compares hashes",
        where=str(path),
    )


def _text_matrices(path: Path) -> list[NDArray[np.float64]]:
    """Return every matrix of a text file: rows, columns, OpenCV type, then the values; '#' begins a comment line."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        words = [float(word) for line in lines if not line.lstrip().startswith("#") for word in line.split()]
    except (UnicodeDecodeError, ValueError) as error:
        raise _wrong(path, f"it holds something other than numbers ({error})") from error
    found, at = [], 0
    while at < len(words):
        if at + 3 > len(words):
            raise _wrong(path, "a matrix has no size")
        rows, columns, code = (int(word) for word in words[at : at + 3])
        end = at + 3 + rows * columns
        if code not in _DTYPES or rows < 1 or columns < 1 or end > len(words):
            raise _wrong(path, f"a matrix of {rows} x {columns}, type {code}, does not fit into it")
        found.append(np.array(words[at + 3 : end]).reshape(rows, columns))
        at = end
    return found


def read_shape_model(path: Path) -> ShapeModel:
    """Return the model of In-the-wild_aligned_PDM_68.txt.

    Raises:
        AssetMismatch: it is another file.
    """
    matrices = _text_matrices(path)
    shapes = [matrix.shape for matrix in matrices]
    if len(shapes) != 3 or shapes[0] != (3 * POINTS, 1) or shapes[1][0] != 3 * POINTS or shapes[2] != (1, shapes[1][1]):
        raise _wrong(path, f"its matrices are {shapes}; expected (204, 1), (204, modes), (1, modes)")
    # OpenFace goes on with single precision.
    mean, modes, variances = (matrix.astype(np.float32).astype(np.float64) for matrix in matrices)
    if not (variances > 0).all():
        raise _wrong(path, "it has variances that are not positive")
    return ShapeModel(mean.reshape(3, POINTS), modes.reshape(3, POINTS, -1), variances[0])


def read_triangles(path: Path) -> NDArray[np.intp]:
    """Return the corners of the face's triangles among the 68 points: [N, 3].

    Raises:
        AssetMismatch: it is another file.
    """
    matrices = _text_matrices(path)
    if len(matrices) != 1 or matrices[0].shape[1] != 3:
        raise _wrong(path, "it is not one matrix of three columns")
    corners = matrices[0].astype(np.intp)
    if corners.min() < 0 or corners.max() >= POINTS:
        raise _wrong(path, "it names points that are not among the 68")
    return corners


def _binary_matrix(path: Path, content: bytes, at: int) -> tuple[NDArray[np.float64], int]:
    if at + 12 > len(content):
        raise _wrong(path, "it ends too early")
    rows, columns, code = struct.unpack_from("<iii", content, at)
    dtype = _DTYPES.get(code)
    if dtype is None or rows < 0 or columns < 0:
        raise _wrong(path, f"it holds a matrix of {rows} x {columns}, type {code}")
    end = at + 12 + rows * columns * dtype.itemsize
    if end > len(content):
        raise _wrong(path, "it ends too early")
    values = np.frombuffer(content, dtype, rows * columns, at + 12)
    return values.astype(np.float64).reshape(rows, columns), end


def read_regressor(path: Path, *, dynamic: bool) -> Regressor:
    """Return the regressor of a ``svr_combined/AU_*_intensity*.dat`` file.

    int32 1 and a float64 cutoff for a dynamic one, int32 0 for a static one; then the mean (1 x 4702) and the weights
    (4702 x 1) as (int32 rows, int32 columns, int32 OpenCV type, values), then a float64 bias.

    Raises:
        AssetMismatch: it is another file, or of the other sort.
    """
    content = path.read_bytes()
    if len(content) < 12:
        raise _wrong(path, "it ends too early")
    (sort,) = struct.unpack_from("<i", content)
    if sort != int(dynamic):
        raise _wrong(path, f"its sort is {sort}, expected {int(dynamic)} ({'dynamic' if dynamic else 'static'})")
    cutoff = struct.unpack_from("<d", content, 4)[0] if dynamic else -1.0
    mean, at = _binary_matrix(path, content, 12 if dynamic else 4)
    weights, at = _binary_matrix(path, content, at)
    if len(content) != at + 8:
        raise _wrong(path, f"it has {len(content)} bytes where {at + 8} are expected")
    if weights.shape != (FEATURES, 1) or mean.size not in (0, FEATURES):
        raise _wrong(path, f"its mean is {mean.shape} and its weights {weights.shape}; expected 4702 of each")
    if cutoff != -1 and not 0 <= cutoff < 1:
        raise _wrong(path, f"its cutoff is {cutoff}")
    centre = mean.ravel() if mean.size else np.zeros(FEATURES)
    return Regressor(centre, weights.ravel(), struct.unpack_from("<d", content, at)[0], dynamic, cutoff)
