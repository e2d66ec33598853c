"""The Basel Face Model 2009 with 79 expression modes, as the published tracker uses it (spec B.7).

Users supply it. The published preprocessing keeps Python dictionaries in .npy files, which numpy can only read through
pickle: such files can run any code, so they are never opened here. ``UNPICKLE`` is a line that turns one into a plain
.npz, to be typed by somebody who trusts where the file came from. From there on

    3DMM_info.npz                                        is read as it is
    01_MorphableModel.mat, exp_info.npz, topology.npz    ``python -m synctalk_bench.vision.bfm`` makes 3DMM_info.npz

Geometry: g = mu_shape + mu_exp, centred over all vertices, + sum alpha_i sig_i b_i + sum beta_j sig^e_j e_j, in
thousandths of a millimetre; x right, y up, z to the front.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.vision import landmarks as marks
from synctalk_bench.vision.head_models import WEIGHTS_68, HeadModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ASSET: Final = "bfm2009-info"
VERTICES: Final = 34650  # of the face; the whole head has 53490
IDENTITIES, EXPRESSIONS = 100, 79
_MICROMETRES: Final = 1e6
UNPICKLE: Final = (
    'python -c "import numpy, sys; a, b = sys.argv[1:]; '
    'numpy.savez(b, **numpy.load(a, allow_pickle=True).item())" FILE.npy FILE.npz'
)
# The vertices of landmarks 17 ... 67 (spec B.7).
INNER: Final = (
    *(27932, 28270, 28552, 28771, 28990, 29567, 29780, 30000, 30316, 30627),  # brows
    *(8155, 8173, 8184, 8190, 6516, 7363, 8203, 9043, 9884),  # nose
    *(1828, 4016, 5177, 6341, 4804, 3771, 9955, 11094, 12255, 14323, 12526, 11495),  # eyes
    *(5262, 6024, 7375, 8215, 9055, 10394, 11179, 9674, 8835, 8235, 7635, 6793),  # outer lip
    *(5779, 7384, 8225, 9064, 10536, 8828, 8228, 7628),  # inner lip
)


def _read(file: Path, names: Sequence[str]) -> dict[str, Floats]:
    """Return the named arrays of an .npz.

    Raises:
        AssetMismatch: it is a pickle, no .npz, or lacks one; the hint says how to convert it.
    """
    hint = f"convert it where you trust it:  {UNPICKLE}"
    try:
        with np.load(file, allow_pickle=False) as data:
            return {name: np.asarray(data[name], np.float64) for name in names}
    except ValueError as error:
        raise AssetMismatch(f"{file} holds pickled objects, which are not opened ({error})", hint=hint) from error
    except (KeyError, OSError, AttributeError, TypeError) as error:
        raise AssetMismatch(f"{file} is not an .npz with {', '.join(names)}: {error}", hint=hint) from error


def _modes(values: Floats, sigma: Floats, count: int, file: Path) -> Floats:
    """Return at most ``count`` scaled modes at the inner landmarks: [M, 51, 3] metres."""
    if values.ndim != 2 or values.shape[1] != 3 * VERTICES or sigma.size < len(values):
        raise AssetMismatch(
            f"{file}: a basis is {values.shape} with {sigma.size} deviations; (modes, {3 * VERTICES}) is expected"
        )
    picked = values[:count].reshape(-1, VERTICES, 3)[:, list(INNER)]
    return np.asarray(picked * sigma.reshape(-1)[: len(picked), None, None] / _MICROMETRES)


def bfm_head(file: Path) -> HeadModel:
    """Return the model at the 51 inner landmarks from the asset ``bfm2009-info`` (3DMM_info.npz).

    Raises:
        AssetMismatch: the file is the pickled original, or has other shapes.
    """
    data = _read(file, ("mu_shape", "b_shape", "sig_shape", "mu_exp", "b_exp", "sig_exp"))
    mean = data["mu_shape"].reshape(-1) + data["mu_exp"].reshape(-1)
    if mean.size != 3 * VERTICES:
        raise AssetMismatch(f"{file}: its mean face has {mean.size / 3:g} vertices; {VERTICES} are expected")
    mean = mean.reshape(VERTICES, 3)
    weights = WEIGHTS_68[17:]
    return HeadModel(
        "bfm-2009",
        (mean - mean.mean(0))[list(INNER)] / _MICROMETRES,
        _modes(data["b_shape"], data["sig_shape"], IDENTITIES, file),
        _modes(data["b_exp"], data["sig_exp"], EXPRESSIONS, file),
        weights / weights.mean(),
        lambda points: marks.to_68(points)[..., 17:, :],
        one_sided=False,
    )


def from_official(mat: Path, expression: Path, topology: Path) -> Mapping[str, NDArray[np.float32]]:
    """Return what the published preprocessing generates from its files: the arrays of 3DMM_info, without texture.

    Args:
        mat: 01_MorphableModel.mat as the University of Basel gives it: shapeMU [3V, 1], shapePC [3V, M], shapeEV
            [M, 1], vertex by vertex.
        expression: exp_info.npz: mu_exp, base_exp, sig_exp.
        topology: topology_info.npz: sub_inds, the face's vertices among the head's.

    Raises:
        AssetMismatch: one of them is another file.
    """
    from scipy.io import loadmat

    try:
        basel = loadmat(mat, variable_names=["shapeMU", "shapePC", "shapeEV"])
        mean, modes, sigma = (np.asarray(basel[name], np.float64) for name in ("shapeMU", "shapePC", "shapeEV"))
        keep = _read(topology, ("sub_inds",))["sub_inds"].astype(np.int64).reshape(-1)
        vertices = mean.size // 3
        shape = modes.T.reshape(-1, vertices, 3)[:, keep].reshape(modes.shape[1], -1)
        mu = mean.reshape(vertices, 3)[keep].reshape(1, -1)
    except (KeyError, ValueError, IndexError, OSError, NotImplementedError) as error:
        raise AssetMismatch(
            f"{mat} and {topology} are not a Basel Face Model 2009 and its face's vertices: {error}",
            hint="01_MorphableModel.mat comes from https://faces.dmi.unibas.ch/bfm/, topology_info.npy from "
            "face_tracking/3DMM of the published preprocessing",
        ) from error
    own = _read(expression, ("mu_exp", "base_exp", "sig_exp"))
    made = {
        "mu_shape": mu,
        "b_shape": shape,
        "sig_shape": sigma.reshape(-1),
        "mu_exp": own["mu_exp"].reshape(1, -1),
        "b_exp": own["base_exp"].reshape(-1, mu.size),
        "sig_exp": own["sig_exp"].reshape(-1),
    }
    return {name: value.astype(np.float32) for name, value in made.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make 3DMM_info.npz of the official files."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m synctalk_bench.vision.bfm", description=main.__doc__)
    for name in ("mat", "expression", "topology", "output"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args(arguments)
    np.savez(given.output, allow_pickle=False, **from_official(given.mat, given.expression, given.topology))
    sys.stdout.write(f"{given.output}: now  synctalk-bench assets add {ASSET} {given.output}\n")


if __name__ == "__main__":
    main()
