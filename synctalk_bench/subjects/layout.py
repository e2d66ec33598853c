"""The names of the dataset folder of AD-NeRF, RAD-NeRF, ER-NeRF and SyncTalk (spec A), and how it is split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RECORD = "subject.json"  # ours: where the folder came from and what made it; official folders have none
FPS = 25.0  # of every folder in this layout (spec A.1)
MINIMUM_FRAMES = 22  # below that the 1/11 split leaves fewer than two test frames


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of spec A.1 under ``root``; ``k`` counts frames from 0 without padding."""

    root: Path

    def ori(self, k: int) -> Path:
        """Original frame at 25 fps, best-quality JPEG."""
        return self.root / "ori_imgs" / f"{k}.jpg"

    def landmarks(self, k: int) -> Path:
        """68 lines ``x y``."""
        return self.root / "ori_imgs" / f"{k}.lms"

    def parsing(self, k: int) -> Path:
        """Colour-coded head, neck, torso, background."""
        return self.root / "parsing" / f"{k}.png"

    def face_map(self, k: int) -> Path:
        """Blurred face map of the portrait generator."""
        return self.root / "parsing" / f"{k}_face.png"

    def gt(self, k: int) -> Path:
        """Frame over the clean background plate."""
        return self.root / "gt_imgs" / f"{k}.jpg"

    def torso(self, k: int) -> Path:
        """Torso and neck with the gap filled, RGBA."""
        return self.root / "torso_imgs" / f"{k}.png"

    def head_mask(self, k: int) -> Path:
        """0/255 head mask."""
        return self.root / "face_mask" / f"{k}.png"

    @property
    def background(self) -> Path:
        """Clean plate."""
        return self.root / "bc.jpg"

    @property
    def audio(self) -> Path:
        """Sound at 16 kHz."""
        return self.root / "aud.wav"

    @property
    def blendshapes(self) -> Path:
        """[T, 52] float64."""
        return self.root / "bs.npy"

    @property
    def action_units(self) -> Path:
        """OpenFace FeatureExtraction CSV."""
        return self.root / "au.csv"

    @property
    def track_params(self) -> Path:
        """The tracker's pose, before any stabilising."""
        return self.root / "track_params.pt"

    def transforms(self, split: Literal["train", "val"]) -> Path:
        """Camera-to-world matrices and the split."""
        return self.root / f"transforms_{split}.json"

    @property
    def record(self) -> Path:
        """Our own record of origin."""
        return self.root / RECORD


def split_at(frames: int) -> int:
    """Return the first test frame: int(n * 10 / 11) (spec A.2)."""
    return int(frames * 10 / 11)
