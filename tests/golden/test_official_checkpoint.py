"""The official code's trained head, taken from its file through the renderer to its own picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.official_files import OfficialCheckpoints
from synctalk_renderers.triplane.renderer import TriplaneRenderer

from benchmarks.analytic_head import AnalyticHead
from synctalk_bench.artifacts import Camera, Span, Subject
from synctalk_bench.protocols import Context
from synctalk_bench.store.tensors import write_state

FRAME, FIRST, ROWS = 50, 300, 16


class Strip(AnalyticHead):
    """Sixteen rows through the mouth of the workload's pictures."""

    @property
    def subject(self) -> Subject:
        whole = super().subject
        camera = Camera(focal=whole.camera.focal, cx=whole.camera.cx, cy=whole.camera.cy - FIRST)
        return replace(whole, height=ROWS, camera=camera)

    def image(self, layer: Any, frame: int) -> Any:
        return super().image(layer, frame)[FIRST : FIRST + ROWS]

    def background(self) -> Any:
        return super().background()[FIRST : FIRST + ROWS]


def test_a_converted_checkpoint_draws_the_official_picture(golden_dir: Path, tmp_path: Path) -> None:
    with np.load(golden_dir / "checkpoint_a.npz", allow_pickle=False) as file:
        model = {key: torch.from_numpy(file[key]) for key in file.files}
    torch.save({"global_step": 3000, "model": model}, tmp_path / "ngp.pth")
    write_state(tmp_path / "a.safetensors", OfficialCheckpoints().read(tmp_path / "ngp.pth"))
    config = TriplaneConfig(
        steps=0, lip_steps=0, checkpoint=str(tmp_path / "a.safetensors"), audio_context="full", kernels="reference"
    )
    scene = Strip()
    renderer = TriplaneRenderer(config, Context())
    assert list(renderer.fit(scene, scene.subject.train)) == []
    (drawn,) = renderer.render(scene, Span(FRAME, FRAME + 1))
    with np.load(golden_dir / "vectors_a.npz", allow_pickle=False) as file:
        theirs = torch.from_numpy(file[f"frame{FRAME}_f32"]).float()[FIRST : FIRST + ROWS]
    apart = (drawn - theirs).abs().amax(-1)
    assert float((apart <= 2 / 255).float().mean()) >= 0.999
    assert float(apart.mean()) <= 5e-4
