"""How near the torso field comes to the captured torso of held-out frames, beside the mean training torso; JSON.

    python benchmarks/torso.py SUBJECT --steps 20000 --device cuda --out torso.json --pictures torso/

SUBJECT is a folder in the official layout, or the name of a registered one. Every loss weight of ``--lambda-alpha`` is
a training of its own (0 is the published loss). PSNR is of the backdrop, torso over plate, per frame and then the mean;
the head is not part of it. ``mean_code`` is what the mean of the training frames' appearance codes would give instead
of the published row 0. The picture shows truth, field, mean torso, opacity and four times the error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from synctalk_renderers.configs import TorsoFieldConfig
from synctalk_renderers.torso.component import FieldTorso
from synctalk_renderers.triplane.frames import over_plate, picture, plate

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that this file runs by its path

from benchmarks.provenance import provenance  # noqa: E402
from synctalk_bench.protocols import Context, State  # noqa: E402
from synctalk_bench.store.workspace import Workspace  # noqa: E402
from synctalk_bench.subjects.folder import FolderScene, open_subject  # noqa: E402
from synctalk_bench.subjects.registry import SubjectRegistry  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

CODES = "model.individual_codes_torso"


def opened(name: str, workspace: Path | None) -> FolderScene:
    """Return the subject with the poses of its transforms files."""
    folder = Path(name)
    if not folder.is_dir():
        folder = SubjectRegistry(Workspace.open(workspace, create=False).root).find(name, print).root
    subject = open_subject(folder, name=folder.name, digest="")
    poses = torch.from_numpy(FolderScene(subject).poses("transforms").astype(np.float32))
    return FolderScene(subject, {"pose": poses})


def psnr(found: Tensor, truth: Tensor) -> float:
    """Return the PSNR of two pictures in [0, 1]."""
    return float(-10 * ((found - truth) ** 2).mean().log10())


def measured(one: FieldTorso, scene: FolderScene, mean: Tensor, every: int) -> tuple[list[float], list[float]]:
    """Return, for each ``every``-th held-out frame, the PSNR of the field's backdrop and of the mean torso's."""
    clean, ours, means = plate(scene, mean.device), [], []
    for k in list(scene.subject.test.frames)[::every]:
        layer = one.layer(scene, k).view(-1, 4).to(mean.device)
        truth = over_plate(picture(scene, "torso", k, mean.device), clean)
        ours.append(psnr(layer[:, :3] * layer[:, 3:] + clean * (1 - layer[:, 3:]), truth))
        means.append(psnr(mean, truth))
    return ours, means


def drawn(one: FieldTorso, scene: FolderScene, mean: Tensor, path: Path) -> None:
    """Write the picture of the middle held-out frame."""
    from PIL import Image

    clean, span = plate(scene, mean.device), scene.subject.test
    k = (span.first + span.stop) // 2
    layer = one.layer(scene, k).view(-1, 4).to(mean.device)
    truth = over_plate(picture(scene, "torso", k, mean.device), clean)
    found = layer[:, :3] * layer[:, 3:] + clean * (1 - layer[:, 3:])
    parts = [truth, found, mean, layer[:, 3:].expand(-1, 3), (found - truth).abs() * 4]
    shape = (scene.subject.height, scene.subject.width, 3)
    strip = torch.cat([part.view(shape) for part in parts], 1).clamp(0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((strip * 255).round().byte().cpu().numpy()).save(path)


def trained(scene: FolderScene, config: TorsoFieldConfig, context: Context) -> tuple[FieldTorso, float]:
    """Return the trained torso and the seconds that it took, saying how far it is."""
    one, begun = FieldTorso(config, context), time.perf_counter()
    for step in one.fit(scene, scene.subject.train):
        if step.index % max(1, step.total // 10) == 0:
            loss, seconds = float(step.scalars["loss"]), time.perf_counter() - begun
            print(f"step {step.index} of {step.total}: loss {loss:.4f}, {seconds:.0f} s", flush=True)
    if context.device.startswith("cuda"):
        torch.cuda.synchronize()
    return one, time.perf_counter() - begun


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject")
    parser.add_argument("--workspace", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--rays", type=int, default=65_536)
    parser.add_argument("--lambda-alpha", type=float, nargs="+", default=[0.0, 0.1])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="measure each N-th held-out frame")
    parser.add_argument("--out", type=Path, default=Path("torso.json"))
    parser.add_argument("--pictures", type=Path, default=None)
    chosen = parser.parse_args()
    scene = opened(chosen.subject, chosen.workspace)
    device = torch.device(chosen.device)
    clean = plate(scene, device)
    span = scene.subject.train
    mean = sum(over_plate(picture(scene, "torso", k, device), clean) for k in span.frames) / len(span)
    assert isinstance(mean, torch.Tensor)
    rows: list[dict[str, Any]] = []
    for weight in chosen.lambda_alpha:
        config = TorsoFieldConfig(steps=chosen.steps, rays=chosen.rays, lambda_alpha=weight)
        one, seconds = trained(scene, config, Context(device=chosen.device, seed=chosen.seed, say=print))
        ours, means = measured(one, scene, mean, chosen.every)
        if chosen.pictures is not None:
            drawn(one, scene, mean, chosen.pictures / f"lambda-{weight:g}.png")
        state = one.state()
        codes = state.tensors[CODES].clone()
        codes[0] = codes[: len(span)].mean(0)
        one.load(State(state.tensors | {CODES: codes}, state.values))
        other, _ = measured(one, scene, mean, chosen.every)
        row = {
            "lambda_alpha": weight,
            "psnr": round(float(np.mean(ours)), 3),
            "psnr_mean_code": round(float(np.mean(other)), 3),
            "psnr_mean_torso": round(float(np.mean(means)), 3),
            "frames_nearer_than_the_mean": sum(a > b for a, b in zip(ours, means, strict=True)),
            "frames": len(ours),
            "seconds": round(seconds, 1),
        }
        print(json.dumps(row), flush=True)
        rows.append(row)
    facts = {"subject": scene.subject.name, "size": [scene.subject.width, scene.subject.height], "steps": chosen.steps}
    facts |= {"rays": chosen.rays, "seed": chosen.seed, "rows": rows, "provenance": provenance(chosen.device)}
    chosen.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
