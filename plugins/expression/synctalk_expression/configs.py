"""Options of the expression sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synctalk_bench.specs import option


@dataclass(frozen=True, slots=True)
class BlendshapeConfig:
    """Options of ``blendshape``."""

    area: Literal["upper", "single", "eye"] = option(
        "upper", "which of the 52: upper = five brow and two blink values, single = four of them, eye = the two blinks"
    )
    smooth: bool = option(False, "mean of three frames, over time only")


@dataclass(frozen=True, slots=True)
class BlinkConfig:
    """Options of ``blink``."""

    source: Literal["auto", "openface", "eyelid", "blendshape"] = option(
        "auto",
        "openface = AU45_r of the subject's au.csv, clipped to [0, 2] and halved; eyelid = the eyes' aspect ratio, "
        "calibrated for the clip; blendshape = mean of both blinks; auto = openface where there is an au.csv, else "
        "eyelid",
    )
    smooth: bool = option(False, "mean of three frames, over time only")
