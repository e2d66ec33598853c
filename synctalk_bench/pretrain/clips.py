"""One face speaking without a break, as a file: 96 x 96 crops as JPEG, and the sound; safetensors, no pickle.

JPEG at quality 95 takes a sixth of the room of plain pixels, so that a corpus travels and stays in memory.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.errors import BadManifest, Damaged, TooShort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FPS: Final = 25
RATE: Final = 16_000  # Hz
LEAST: Final = 25  # frames: what is shorter gives too few windows to be worth a file
_QUALITY = 95


@dataclass(frozen=True, slots=True)
class TalkingClip:
    """A take of one person.

    Args:
        name: where it comes from, for people.
        identity: who it is; training and held-out clips never share one.
        pictures: T JPEG files of the crops, 25 a second.
        sound: [T * 640] int16 mono at 16 kHz; sample 640 k is the start of frame k.
    """

    name: str
    identity: str
    pictures: tuple[bytes, ...]
    sound: NDArray[np.int16]

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.pictures)

    @property
    def digest(self) -> str:
        """SHA-256 of what it shows and says."""
        total = hashlib.sha256(f"{self.identity}\n{self.frames}\n".encode())
        for picture in self.pictures:
            total.update(picture)
        total.update(self.sound.tobytes())
        return total.hexdigest()

    def wave(self) -> NDArray[np.float32]:
        """Return the sound in [-1, 1]: [samples]."""
        return self.sound.astype(np.float32) / np.float32(32768)

    @staticmethod
    def decode(picture: bytes) -> NDArray[np.uint8]:
        """Return the pixels of one of ``pictures``: [96, 96, 3] RGB."""
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))

    def crops(self, frames: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Return the crops of ``frames`` (all of them by default): [n, 96, 96, 3] RGB."""
        chosen = range(self.frames) if frames is None else frames
        return np.stack([self.decode(self.pictures[k]) for k in chosen])


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Return ``pixels`` [H, W, 3] as JPEG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY, subsampling="4:4:4")
    return stream.getvalue()


def make_clip(name: str, identity: str, pictures: Sequence[bytes], wave: NDArray[np.float32]) -> TalkingClip:
    """Return a clip whose sound is as long as its pictures: cut, or followed by silence.

    Raises:
        TooShort: less than a second.
    """
    if len(pictures) < LEAST:
        raise TooShort(f"{name} has {len(pictures)} frames; a clip needs {LEAST}", hint="use a longer take")
    length = len(pictures) * RATE // FPS
    sound = np.zeros(length, np.int16)
    heard = np.clip(np.round(wave[:length] * 32767), -32768, 32767).astype(np.int16)
    sound[: len(heard)] = heard
    return TalkingClip(name, identity, tuple(pictures), sound)


def write_clip(path: Path, clip: TalkingClip) -> None:
    """Write ``clip``, whole or not at all."""
    import torch

    from synctalk_bench.protocols import State
    from synctalk_bench.store.tensors import write_state

    ends = np.cumsum([len(picture) for picture in clip.pictures])
    tensors = {
        "jpeg": torch.frombuffer(bytearray(b"".join(clip.pictures)), dtype=torch.uint8),
        "ends": torch.from_numpy(ends.astype(np.int64)),
        "sound": torch.from_numpy(clip.sound.copy()),
    }
    write_state(path, State(tensors, {"name": clip.name, "identity": clip.identity}))


def read_clip(path: Path) -> TalkingClip:
    """Return the clip that ``write_clip`` wrote.

    Raises:
        Damaged: the file cannot be read.
        BadManifest: it holds something else.
    """
    from synctalk_bench.store.tensors import read_state

    state = read_state(path)
    if missing := {"jpeg", "ends", "sound"} - state.tensors.keys():
        raise _strange(path, f"it lacks {', '.join(sorted(missing))}")
    data, ends = state.tensors["jpeg"].numpy().tobytes(), state.tensors["ends"].tolist()
    pictures = tuple(data[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True))
    name, identity = read_names(path)
    return TalkingClip(name, identity, pictures, state.tensors["sound"].numpy())


def read_names(path: Path) -> tuple[str, str]:
    """Return the name and the identity of the clip in ``path``, without its pictures.

    Raises:
        Damaged: the file cannot be read.
        BadManifest: it holds something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as stream:
            values = json.loads((stream.metadata() or {}).get("values", "{}"))
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise Damaged(f"{path} cannot be read: {error}", hint=f"remove it and run again: rm {path}") from error
    if not {"name", "identity"} <= values.keys():
        raise _strange(path, "it names nobody")
    return str(values["name"]), str(values["identity"])


def _strange(path: Path, why: str) -> BadManifest:
    return BadManifest(f"{path} is no clip of a corpus: {why}", hint="clips are made by 'pretrain --prepare-only'")
