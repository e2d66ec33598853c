"""One clip through the whole pipeline: faces, track, crops, embeddings, distances."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.errors import BadManifest, NoAudio, NoFace, TooShort, WrongFps
from synctalk_bench.metrics.front_end import ahead, read_frame
from synctalk_bench.metrics.memory import Memory
from synctalk_bench.metrics.sync.crop import crop, smooth
from synctalk_bench.metrics.sync.distance import VSHIFT, Sync, audio_video_offset, shift_distances
from synctalk_bench.metrics.sync.tracks import CutFinder, Track, find_tracks
from synctalk_bench.mfcc import RATE, mfcc
from synctalk_bench.subjects.sound import read_sound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.sync.detectors import FaceDetector
    from synctalk_bench.metrics.sync.network import SyncNet

FPS: Final = 25.0
BATCH: Final = 20  # windows
_LOOKED_AT: Final = 8  # pictures that a detector gets at once
_SILENT: Final = 33  # of 32768: -60 dB of full scale

SAMPLES: Final = RATE // int(FPS)  # of sound a frame
_PER_FRAME: Final = 4  # cepstra a frame
_WINDOW: Final = 5  # frames a window


def embed_and_compare(
    model: SyncNet, crops: Iterable[NDArray[np.uint8]], frames: int, samples: NDArray[np.int16], device: str
) -> NDArray[np.float32]:
    """Return [n, 31] distances, n = min(frames, samples / 640) - 5 windows, for crops and sound that begin together.

    Args:
        crops: ``frames`` squares [224, 224, 3] RGB.
        samples: 16 kHz.

    Raises:
        TooShort: fewer than 6 frames have both picture and sound.
    """
    import torch

    count = min(frames, len(samples) // SAMPLES) - _WINDOW
    if count < 1:
        raise TooShort(
            f"{frames} frames and {len(samples) / RATE:.2f} s of sound leave no window for SyncNet",
            hint="it needs at least 6 frames with sound; 4 s or more give a score that means something",
        )
    cepstra = torch.from_numpy(mfcc(samples).T.astype(np.float32).copy())[None, None]
    lips, sound = [], []
    supply = iter(crops)
    held: deque[NDArray[np.uint8]] = deque(maxlen=_WINDOW - 1)
    held.extend(itertools.islice(supply, _WINDOW - 1))
    # A GPU's ten-bit mantissas would move the third digit.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for begin in range(0, count, BATCH):
            end = min(count, begin + BATCH)
            fresh = list(itertools.islice(supply, end - begin))
            pictures = np.stack([*held, *fresh])[..., ::-1]  # OpenCV's order of colours
            held.extend(fresh)
            batch = torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()).to(device).float()
            lips.append(model.lips(batch))
            heard = [cepstra[..., _PER_FRAME * k : _PER_FRAME * (k + _WINDOW)] for k in range(begin, end)]
            sound.append(model.sound(torch.cat(heard).to(device)))
        distances: NDArray[np.float32] = shift_distances(torch.cat(lips), torch.cat(sound)).cpu().numpy()
    return distances


def pictures_of(clip: Clip, numbers: range, readers: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames [H, W, 3] RGB, decoded a few ahead by threads."""
    return ahead(lambda k: read_frame(clip.frame(k)), numbers, readers)


def sound_of(clip: Clip) -> NDArray[np.int16]:
    """Return the clip's sound as 16-bit samples at 16 kHz.

    Raises:
        NoAudio: it has none, or nothing in it is louder than -60 dB of full scale.
        WrongFps: the pictures are not at 25 a second, the only rate that SyncNet knows.
    """
    if clip.fps != FPS:
        raise WrongFps(f"SyncNet reads 25 frames a second, and this clip has {clip.fps:g}", where=str(clip.frames))
    if clip.audio is None:
        raise NoAudio(
            "this clip was stored without its sound",
            hint="a video must have a sound track; for a clip of an earlier run: --fresh all",
            where=str(clip.frames),
        )
    wave, _ = read_sound(clip.audio, rate=RATE)
    samples: NDArray[np.int16] = np.clip(np.rint(wave * 32768.0), -32768, 32767).astype(np.int16)
    if not len(samples) or int(np.abs(samples.astype(np.int32)).max()) < _SILENT:
        raise NoAudio("the sound is silent, so lips cannot be in or out of step with it", where=str(clip.audio))
    return samples


def track_of(clip: Clip, detector: FaceDetector, *, min_track: int, readers: int) -> tuple[Track, dict[str, Any]]:
    """Return the one face of the clip, counted from its first frame, and what else was seen.

    Raises:
        NoFace: no face lasts long enough, or two last for more than half of the clip each.
        TooShort: the clip cannot hold a track.
    """
    count = len(clip.span)
    hint = 'shorter tracks: metrics = [{ use = "...", min_track = 50 }], which is part of the record'
    if count <= min_track:
        raise TooShort(f"{count} frames cannot hold a face for more than {min_track}", hint=hint)
    cuts, faces = CutFinder(), list[Any]()
    supply = pictures_of(clip, clip.span.frames, readers)
    size: tuple[int, ...] | None = None
    while pictures := list(itertools.islice(supply, _LOOKED_AT)):
        for picture in pictures:
            size = size or picture.shape
            if picture.shape != size:
                raise BadManifest(f"the frames are not all {size[1]} x {size[0]} pixels", where=str(clip.frames))
            cuts.see(picture)
        faces += detector.find(pictures)
    shots = cuts.shots()
    tracks = find_tracks(faces, shots, min_track=min_track)
    seen = sum(len(found) > 0 for found in faces)
    if not tracks:
        raise NoFace(
            f"no face of more than 100 pixels was followed for more than {min_track} frames; "
            f"there is one in {seen} of {count} frames, in {len(shots)} shots",
            hint=hint,
            where=str(clip.frames),
        )
    if sum(2 * len(track) > count for track in tracks) > 1:
        raise NoFace(
            "two faces are there for more than half of the clip: which one speaks is not known",
            hint="crop the video to the speaker",
            where=str(clip.frames),
        )
    longest = max(tracks, key=len)
    sides = np.diff(longest.boxes.reshape(-1, 2, 2), axis=1).max((1, 2))
    return longest, {
        "tracks": len(tracks),
        "track_frames": len(longest),
        "coverage": len(longest) / count,
        "shots": len(shots),
        "frames_with_a_face": seen,
        "face_pixels": float(sides.mean()),
    }


def measure(clip: Clip, model: SyncNet, detector: FaceDetector, *, min_track: int, readers: int, device: str) -> Sync:
    """Return SyncNet's verdict on the clip's longest face track.

    Raises:
        NoAudio, NoFace, TooShort, WrongFps: the clip cannot be judged.
        MissingFile, BadManifest: a frame or the sound is missing or damaged.
    """
    samples = sound_of(clip)
    track, details = track_of(clip, detector, min_track=min_track, readers=readers)
    begin = clip.span.first + track.first
    numbers = range(begin, begin + len(track))
    heard = samples[SAMPLES * track.first : SAMPLES * (track.first + len(track))]
    squares = map(crop, pictures_of(clip, numbers, readers), smooth(track.boxes))
    distances = embed_and_compare(model, squares, len(track), heard, device)
    details |= {
        "windows": len(distances),
        "frames_without_sound": max(0, len(clip.span) - len(samples) // SAMPLES),
        **audio_video_offset(distances, fps=clip.fps).to_json(),
    }
    return Sync(distances, begin, details)


MEMORY: Final[Memory[Sync]] = Memory(most=256)
"""Verdicts, so that LSE-D and LSE-C of a clip cost one computation; one is about 100 kB."""
OFFSETS: Final = range(VSHIFT, -VSHIFT - 1, -1)
"""The offset in frames that each column of ``Sync.distances`` stands for."""
