"""Writes data/face_alignment.json: what the package face_alignment makes of seeded weights. Not run by the tests.

    uv pip install --no-deps --target OLD face-alignment==1.4.1      # S3FD, crop and peaks, as SyncTalk used them
    uv pip install --no-deps --target NEW face-alignment==1.5.0      # FAN as a network of torch
    PYTHONPATH=tests/fakes:. python tests/calibration/face_alignment_reference.py OLD NEW   # needs cv2

numba's ``jit`` and skimage are replaced by nothing: the functions used here are the same without them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import torch
from seeded_fan import picture, seeded

TARGET = Path(__file__).parent / "data" / "face_alignment.json"
BOX = (40.3, 22.7, 131.9, 140.2)


def module(name: str, path: Path) -> Any:
    """Import one file of a package without the package's own imports."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    sys.modules[name] = found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def layout(net: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's tensors by name."""
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def digest(shapes: dict[str, tuple[int, ...]]) -> str:
    """Return the SHA-256 of names and shapes."""
    return hashlib.sha256(json.dumps(sorted((n, list(s)) for n, s in shapes.items())).encode()).hexdigest()


def main() -> None:
    """Compute and write."""
    old, new = (Path(folder) / "face_alignment" for folder in sys.argv[1:3])
    for name, content in {"numba": {"jit": lambda **_: lambda f: f}, "skimage": {"io": None, "color": None}}.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(content)
    for name in ("fa", "fa.sfd"):
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name])["__path__"] = []
    utils = module("fa.utils", old / "utils.py")
    bbox = module("fa.sfd.bbox", old / "detection/sfd/bbox.py")
    detect = module("fa.sfd.detect", old / "detection/sfd/detect.py")
    s3fd = module("fa.sfd.net", old / "detection/sfd/net_s3fd.py").s3fd().eval()
    fan = module("fa.fan", new / "models/fan.py").FAN(4).eval()
    layouts = {"fan-2d": layout(fan), "s3fd-fan": layout(s3fd)}
    for seed, net in enumerate((fan, s3fd)):
        net.load_state_dict(seeded(layout(net), seed))
    frame = picture(7, 150, 170)
    boxes = detect.detect(s3fd, frame, "cpu")[0]
    boxes = boxes[bbox.nms(boxes, 0.3)]
    boxes = boxes[boxes[:, 4] > 0.5]
    x0, y0, x1, y1 = BOX
    centre = torch.tensor([x1 - (x1 - x0) / 2, y1 - (y1 - y0) / 2])
    centre[1] -= (y1 - y0) * 0.12
    scale = (x1 - x0 + y1 - y0) / 195
    crop = utils.crop(frame, centre, scale)
    with torch.no_grad():
        maps = fan(torch.from_numpy(crop.transpose(2, 0, 1)).float()[None] / 255)[-1].numpy()
    points = utils.get_preds_fromhm(maps, centre.numpy(), scale)[1][0]
    result = {
        "versions": {"S3FD, crop, peaks": "face_alignment 1.4.1", "FAN": "face_alignment 1.5.0"},
        "layouts": {name: {"tensors": len(shapes), "sha256": digest(shapes)} for name, shapes in layouts.items()},
        "faces": {"count": len(boxes), "first": boxes[:3, :4].tolist(), "last": boxes[-1, :4].tolist()},
        "box": BOX,
        "crop": {"sum": int(crop.sum()), "row": crop[128, ::16, 1].tolist()},
        "maps": {"spread": float(maps.std()), "some": maps[0, [0, 30, 67], 31, 32].tolist()},
        "points": points.astype(int).tolist(),
    }
    TARGET.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
