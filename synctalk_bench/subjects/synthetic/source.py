"""The built-in subject: everything of spec A.1 written from exact knowledge, and that knowledge itself."""

from __future__ import annotations

import dataclasses
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench import __version__
from synctalk_bench.camera import camera_to_world
from synctalk_bench.prepare.files import save_jpeg
from synctalk_bench.prepare.layers import write_layers
from synctalk_bench.store.atomic import explained, replacing
from synctalk_bench.subjects.files import write_landmarks, write_track_params, write_transforms
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.subjects.sound import write_wav
from synctalk_bench.subjects.synthetic.atlas import BACKGROUND, CLOTH, NECK
from synctalk_bench.subjects.synthetic.fields import INDEX, noise
from synctalk_bench.subjects.synthetic.identity import Identity, make_identity
from synctalk_bench.subjects.synthetic.model import Model, procedural_model
from synctalk_bench.subjects.synthetic.motion import FPS, Motion, perform
from synctalk_bench.subjects.synthetic.phonemes import Sound, speak
from synctalk_bench.subjects.synthetic.shading import Frame, Painter, encode_srgb
from synctalk_bench.subjects.synthetic.view import make_camera, place, project
from synctalk_bench.subjects.synthetic.voice import RATE, synthesise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from synctalk_bench.protocols import Context
    from synctalk_bench.subjects.synthetic.configs import SyntheticConfig

    Field = NDArray[np.float64]


def background(who: Identity, size: int) -> NDArray[np.float32]:
    """Return the wall behind the person in linear light: [size, size, 3]."""
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    glow = np.exp(-((x + 0.55) ** 2 + (y + 0.75) ** 2) / 1.6)
    # Cells are parts of the picture, so that every size shows the same wall.
    cloud = (
        noise((size, size), size / 9, 900 + who.number) * 0.03
        + noise((size, size), max(size / 170, 0.6), 901 + who.number) * 0.012
    )
    level = 0.42 + 0.55 * glow - 0.10 * y + cloud
    return np.asarray(np.array(who.wall) * level[..., None], dtype=np.float32)


class GroundTruth:
    """One clip, known exactly: every frame can be asked for by number, nothing is stored."""

    def __init__(self, config: SyntheticConfig, model: Model | None = None) -> None:
        """Plan the clip of ``config``; ``model`` replaces the face made from code."""
        self.config = config
        self.frames = max(1, round(config.seconds * FPS))
        self.camera = make_camera(config.size)
        self.who = make_identity(config.identity)
        self.sounds: list[Sound] = speak(self.frames / FPS, config.utterance)
        self.motion: Motion = perform(self.sounds, self.frames, config.seed)
        self.model = procedural_model(self.who) if model is None else model

    @cached_property
    def plate(self) -> NDArray[np.uint8]:
        """The background without the person: [H, W, 3] uint8 RGB."""
        return encode_srgb(background(self.who, self.config.size))

    @cached_property
    def _painter(self) -> Painter:
        return Painter(self.model, background(self.who, self.config.size))

    @cached_property
    def _headless(self) -> Painter:
        return Painter(self.model.only(NECK, CLOTH), background(self.who, self.config.size))

    @cached_property
    def speech(self) -> NDArray[np.float32]:
        """The sound: mono samples in [-1, 1] at 16 kHz."""
        return synthesise(self.sounds, self.frames / FPS, self.config.voice)

    def head_points(self, k: int) -> Field:
        """Return all points of frame ``k`` before head and torso move: [V, 3] metres in the head's frame."""
        return self.model.points(self.motion.coefficients[k])

    def camera_points(self, k: int) -> Field:
        """Return all points of frame ``k`` in the camera's frame: [V, 3] metres, z negative in front."""
        motion = self.motion
        head, torso = (motion.euler[k], motion.trans[k]), (motion.torso_euler[k], motion.torso_trans[k])
        return place(self.head_points(k), self.model.follow, head, torso)

    def landmarks(self, k: int) -> Field:
        """Return the 68 landmarks of frame ``k``: [68, 2] pixels. Hidden ones are where they would be seen."""
        return project(self.camera_points(k)[self.model.landmarks], self.camera)

    def frame(self, k: int) -> Frame:
        """Return picture, classes and depth of frame ``k``."""
        points = self.camera_points(k)
        return self._painter.draw(points, project(points, self.camera), self.model.texels(self.motion.coefficients[k]))

    def torso(self, k: int) -> NDArray[np.uint8]:
        """Return neck and shoulders of frame ``k`` as they are behind the head: [H, W, 4] RGBA, alpha 0 or 255."""
        points = self.camera_points(k)
        frame = self._headless.draw(points, project(points, self.camera), self.model.uv)
        there = (frame.labels != BACKGROUND)[..., None]
        return np.concatenate([frame.rgb * there, there * np.uint8(255)], -1)


def ground_truth(config: SyntheticConfig, context: Context | None = None) -> GroundTruth:
    """Return the exact truth of ``config``'s clip; ``context`` finds the asset of the ICT mesh.

    Raises:
        MissingAsset: the mesh is ``ict-facekit`` and its file is not there.
    """
    if config.mesh == "procedural":
        return GroundTruth(config)
    from synctalk_bench.protocols import Context as Bare
    from synctalk_bench.subjects.synthetic.ict import ict_model

    pack = (context or Bare()).asset("ict-facekit")
    return GroundTruth(config, ict_model(pack, make_identity(config.identity)))


def action_units(coefficients: Field) -> str:
    """Return the text of an OpenFace CSV whose AU45_r is twice the blink coefficient of ``coefficients`` [T, 52]."""
    blink = coefficients[:, [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]].mean(1) * 2.0
    lines = ["frame, face_id, timestamp, confidence, success, AU45_r"]
    lines += [f"{k + 1}, 0, {k / FPS:.3f}, 1.00, 1, {value:.4f}" for k, value in enumerate(blink)]
    return "\n".join(lines) + "\n"


class SyntheticSubject:
    """Writes the clip as an official-layout folder (``protocols.SubjectSource``)."""

    def __init__(self, config: SyntheticConfig, context: Context) -> None:
        """Keep the options; nothing is computed yet."""
        self._config = config
        self._context = context

    def write(self, root: Path, *, progress: Callable[[int, int], None]) -> None:
        """Fill ``root`` with every file of spec A.1 that training and scoring read, and a record of origin.

        Raises:
            MissingAsset: the ICT mesh was asked for and is not there.
            StoreError: the disk is full or ``root`` may not be written.
        """
        truth = ground_truth(self._config, self._context)
        layout, plate = Layout(root), truth.plate
        with explained(root):
            layout.ori(0).parent.mkdir(parents=True, exist_ok=True)
        save_jpeg(layout.background, plate, quality=98, subsampling="4:4:4")

        def one(k: int) -> None:
            frame = truth.frame(k)
            save_jpeg(layout.ori(k), frame.rgb, quality=98, subsampling="4:4:4")
            with explained(layout.landmarks(k)):
                write_landmarks(layout.landmarks(k), truth.landmarks(k))
            write_layers(layout, k, frame.rgb, frame.labels, plate, torso=truth.torso(k))

        one(0)  # fills what the frames share before the threads start
        progress(1, truth.frames)
        pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
        try:
            for done, _ in enumerate(pool.map(one, range(1, truth.frames)), start=2):
                progress(done, truth.frames)
        finally:
            # After an error or Ctrl-C the frames in hand are finished and the rest is dropped.
            pool.shutdown(cancel_futures=True)
        motion = truth.motion
        with replacing(layout.audio) as place:
            write_wav(place, truth.speech, RATE)
        with replacing(layout.blendshapes) as place:
            np.save(place, motion.coefficients)
        with explained(root):
            write_track_params(root, motion.euler, motion.trans * 1000.0, truth.camera.focal)
            write_transforms(root, camera_to_world(motion.euler, motion.trans), truth.camera)
            layout.action_units.write_text(action_units(motion.coefficients))
            layout.record.write_text(json.dumps(self._record(truth), indent=1))

    def _record(self, truth: GroundTruth) -> dict[str, Any]:
        return {
            "fps": FPS,
            "source": "synthetic",
            "version": __version__,
            "config": dataclasses.asdict(self._config),
            "au.csv": "synthetic: AU45_r is twice the blink coefficient, not a measurement by OpenFace",
            "torso_imgs": "synthetic: drawn without the head, not filled in from the frame (spec B.5)",
            "blinks": truth.motion.blinks,
            "phonemes": [[s.name, round(s.start, 6), round(s.stop, 6), s.stressed] for s in truth.sounds],
        }
