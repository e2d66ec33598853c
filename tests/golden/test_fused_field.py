"""The fused field's values and every gradient against the official code's own (fp32) on its checkpoint.

The kernels multiply in fp16, so this measures what half precision costs.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from synctalk_kernels.backend import interpreting
from synctalk_kernels.field import layout

from benchmarks.fused_golden import run_fused
from benchmarks.golden import Golden, apart

DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(not interpreting(), reason="TRITON_INTERPRET=1 is not set")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]
WORST = 0.037  # relative error of the worst gradient, body_geo, in the interpreter; the tables' is 0.0024
LIMITS = {"sigma": 5e-3, "rgb": 1e-3, "amb_aud": 1e-3, "amb_eye": 1e-3, "unc": 1e-3}


@pytest.mark.parametrize("device", DEVICES)
def test_values_and_every_gradient(device: str, golden_dir: Path) -> None:
    golden = Golden(golden_dir, device)
    want, ran = golden.vectors, run_fused(golden.field, golden.vectors)
    assert apart(ran.features, want["enc_x"]) < 5e-4
    assert ran.values.keys() == LIMITS.keys()
    for name, values in ran.values.items():
        assert apart(values, want[f"f32_{name}"]) < LIMITS[name], name
    tables = {f"encoder_{plane}.embeddings" for plane in ("xy", "yz", "xz")}
    matrices = {f"matrix {name}" for name in layout.MATRICES}
    assert ran.gradients.keys() == {"individual_codes", *tables, *matrices}
    errors = {name: apart(*pair) for name, pair in ran.gradients.items()}
    assert max(errors.values()) < 1.05 * WORST, {k: f"{v:.1e}" for k, v in errors.items()}
    # The same bound finds a matrix whose gradient is one row off.
    ours, theirs = ran.gradients["matrix body_mid"]
    assert apart(ours.roll(1, 0), theirs) > 1.05 * WORST
