"""What a corpus is made from: videos, prepared subjects, and people made from code; each gives clips of one person."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from synctalk_bench.errors import BadManifest, NoFace
from synctalk_bench.pretrain.clips import LEAST, RATE, TalkingClip, encode, make_clip, read_clip
from synctalk_bench.pretrain.crops import VERSION, crop, face_boxes
from synctalk_bench.store.fingerprint import file_digest, source_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from synctalk_bench.subjects.synthetic.configs import SyntheticConfig
    from synctalk_bench.vision.landmarker import Landmarker

Split = Literal["training", "held-out"]


class Source(Protocol):
    """Something that gives clips. Plain data, so that it travels to a worker process."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def identity(self) -> str:
        """Who is seen."""
        ...

    @property
    def split(self) -> Split | None:
        """What its corpus says it is for; None leaves that to ``corpus.hold_out``."""
        ...

    @property
    def needs_faces(self) -> bool:
        """Whether a face has to be found in it, by the asset ``face-landmarker``."""
        ...

    def key(self) -> dict[str, Any]:
        """Return everything that its clips depend on, as JSON values."""
        ...

    def clips(self, landmarker: Path | None) -> list[TalkingClip]:
        """Return its clips; ``landmarker`` is the face landmarker's model where one is needed.

        Raises:
            SubjectError: no face, no sound, too short, or damaged.
        """
        ...


@dataclass(frozen=True, slots=True)
class Video:
    """A video file of somebody talking."""

    path: Path
    name: str
    identity: str
    split: Split | None = None
    needs_faces: bool = True

    def key(self) -> dict[str, Any]:
        """Return the file's digest and who it shows."""
        return {"video": file_digest(self.path), "identity": self.identity, "crops": VERSION}

    def clips(self, landmarker: Path | None) -> list[TalkingClip]:
        """Return one clip for each take of a second or more in which a face can be followed."""
        from synctalk_bench.pretrain.tracks import follow
        from synctalk_bench.subjects.sound import read_sound, sound_from
        from synctalk_bench.subjects.video import FPS, probe, read_frames, sample, scan

        assert landmarker is not None
        wave, _ = read_sound(self.path, rate=RATE)
        facts, chosen = probe(self.path), sample(scan(self.path))
        detector = _detector(landmarker)
        takes = follow((detector.detect(f) for f in read_frames(self.path, chosen.source)), chosen.cuts, least=LEAST)
        if not takes:
            raise NoFace(
                f"{self.path} shows no face for a second or longer",
                hint="faces must be at least a tenth of the picture's height and look at the camera",
            )
        clips = []
        for number, take in enumerate(takes):
            frames = read_frames(self.path, chosen.source[take.first : take.first + len(take)])
            begins = chosen.start + take.first / FPS - facts.audio_start
            name = self.name if len(takes) == 1 else f"{self.name} ({number + 1})"
            sound = sound_from(wave, RATE, begins)
            clips.append(make_clip(name, self.identity, _cropped(frames, take.landmarks), sound))
        return clips


@dataclass(frozen=True, slots=True)
class Prepared:
    """A subject's folder: its landmarks are there already."""

    root: Path
    split: Split | None = None
    needs_faces: bool = False

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.root.name

    @property
    def identity(self) -> str:
        """The folder's name: one folder, one person."""
        return self.root.name

    def key(self) -> dict[str, Any]:
        """Return the digests of sound, landmarks and pictures."""
        files = [self.root / "aud.wav", *sorted((self.root / "ori_imgs").iterdir())]
        return {"subject": [file_digest(path) for path in files], "identity": self.identity, "crops": VERSION}

    def clips(self, landmarker: Path | None) -> list[TalkingClip]:
        """Return the whole subject as one clip."""
        from synctalk_bench.subjects.files import read_landmarks
        from synctalk_bench.subjects.layout import Layout
        from synctalk_bench.subjects.sound import read_sound

        layout = Layout(self.root)
        count = sum(path.suffix == ".jpg" for path in (self.root / "ori_imgs").iterdir())
        marks = np.stack([read_landmarks(layout.landmarks(k)) for k in range(count)]).astype(np.float64)
        wave, _ = read_sound(layout.audio, rate=RATE)
        pictures = _cropped((_picture(layout.ori(k)) for k in range(count)), marks)
        return [make_clip(self.name, self.identity, pictures, wave)]


@dataclass(frozen=True, slots=True)
class Made:
    """A clip that was made before, perhaps on another machine (``--prepare-only``)."""

    path: Path
    name: str
    identity: str
    split: Split | None = None
    needs_faces: bool = False

    def key(self) -> dict[str, Any]:
        """Return the file's digest."""
        return {"clip": file_digest(self.path)}

    def clips(self, landmarker: Path | None) -> list[TalkingClip]:
        """Return the clip as it is."""
        return [read_clip(self.path)]


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A person made from code; see docs/synthetic.md."""

    config: SyntheticConfig
    split: Split | None = None
    needs_faces: bool = False

    @property
    def name(self) -> str:
        """Who speaks with which voice."""
        return f"{self.identity}, voice {self.config.voice}"

    @property
    def identity(self) -> str:
        """The person's number."""
        return f"synthetic-{self.config.identity}"

    def key(self) -> dict[str, Any]:
        """Return the options, and a digest of the code that draws and speaks."""
        code = source_digest("synctalk_bench.subjects.synthetic.source:GroundTruth")
        return {"synthetic": asdict(self.config), "code": code, "crops": VERSION}

    def clips(self, landmarker: Path | None) -> list[TalkingClip]:
        """Return the clip, drawn and spoken now."""
        from synctalk_bench.subjects.synthetic.source import ground_truth

        truth = ground_truth(self.config)
        marks = np.stack([truth.landmarks(k) for k in range(truth.frames)])
        pictures = _cropped((truth.frame(k).rgb for k in range(truth.frames)), marks)
        return [make_clip(self.name, self.identity, pictures, truth.speech)]


@cache
def _detector(model: Path) -> Landmarker:
    """Return the detector of this process: starting one takes longer than a short clip."""
    from synctalk_bench.vision.landmarker import Landmarker

    return Landmarker(model)


def _cropped(frames: Iterable[NDArray[np.uint8]], landmarks: NDArray[np.float64]) -> list[bytes]:
    return [encode(crop(frame, box)) for frame, box in zip(frames, face_boxes(landmarks), strict=True)]


def _picture(path: Path) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    try:
        return np.asarray(Image.open(path).convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise BadManifest(f"{path} cannot be read as a picture: {error}") from error
