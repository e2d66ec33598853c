"""Step 10: the 52 expression coefficients, smoothed in time (spec B.9, D.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.signal import savgol_filter

from synctalk_bench.store.atomic import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.prepare.job import Job

VERSION = 1


def smooth(raw: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ``raw`` [T, 52] after a Savitzky-Golay filter over five frames, order 3: [T, 52] float64."""
    return np.asarray(savgol_filter(raw.astype(np.float64), window_length=5, polyorder=3, axis=0))


def run(job: Job) -> dict[str, Any]:
    """Write bs.npy."""
    values = smooth(job.landmarks()[1])
    with replacing(job.layout.blendshapes, needed=values.nbytes) as place:
        np.save(place, values)
    return {"blinks": int((np.diff((values[:, 8:10].mean(1) > 0.5).astype(int)) == 1).sum())}
