"""The built-in subject: its files agree with its truth, its face with its coefficients, its lips with its sound."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from synctalk_bench.camera import rotation
from synctalk_bench.config.load import load_preset
from synctalk_bench.plugins.manager import plugins
from synctalk_bench.protocols import Context, SubjectSource
from synctalk_bench.subjects.folder import FolderScene, open_subject
from synctalk_bench.subjects.layout import split_at
from synctalk_bench.subjects.synthetic import atlas as at
from synctalk_bench.subjects.synthetic.configs import SyntheticConfig
from synctalk_bench.subjects.synthetic.fields import INDEX
from synctalk_bench.subjects.synthetic.identity import make_identity
from synctalk_bench.subjects.synthetic.motion import FPS, lips, perform
from synctalk_bench.subjects.synthetic.phonemes import speak
from synctalk_bench.subjects.synthetic.source import GroundTruth, SyntheticSubject, ground_truth

SMALL = SyntheticConfig(seconds=1.0, size=96)
IBUG_EYES = {"Right": (37, 38, 41, 40), "Left": (43, 44, 47, 46)}  # upper, upper, lower, lower


def write(root: Path, config: SyntheticConfig = SMALL) -> Path:
    seen: list[tuple[int, int]] = []
    SyntheticSubject(config, Context()).write(root, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(seen), len(seen))
    return root


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("subject") / "synthetic")


@pytest.fixture(scope="module")
def truth() -> GroundTruth:
    return ground_truth(SyntheticConfig(seconds=10.0, size=96))


def aperture(truth: GroundTruth, coefficients: np.ndarray, side: str) -> float:
    points = truth.model.points(coefficients)[truth.model.landmarks]
    a, b, c, d = IBUG_EYES[side]
    return float(((points[a] - points[c])[1] + (points[b] - points[d])[1]) / 2)


def mouth_gap(truth: GroundTruth, coefficients: np.ndarray) -> float:
    points = truth.model.points(coefficients)[truth.model.landmarks]
    return float(points[62, 1] - points[66, 1])


def test_two_writes_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = digests(write(tmp_path / "again"))
    assert again == digests(folder)
    assert len(again) == 25 * 7 + 8  # seven files a frame and bc, aud, bs, au, track, two transforms, record


def test_another_seed_gives_another_clip() -> None:
    a, b = GroundTruth(SMALL), GroundTruth(SyntheticConfig(seconds=1.0, size=96, seed=1))
    assert not np.array_equal(a.motion.euler, b.motion.euler)
    assert [s.name for s in a.sounds] == [s.name for s in b.sounds]  # the seed moves the head, not the words


def test_is_a_subject_source() -> None:
    assert isinstance(SyntheticSubject(SMALL, Context()), SubjectSource)


def test_the_folder_opens(folder: Path) -> None:
    subject = open_subject(folder, name="synthetic", digest="")
    scene = FolderScene(subject)
    assert (subject.frames, subject.height, subject.width, len(subject.test)) == (25, 96, 96, 3)
    assert scene.blendshapes().shape == (25, 52)
    assert scene.audio()[0].shape == (16_000,)
    assert scene.image("torso", 3).shape == (96, 96, 4)
    assert scene.image("face_map", 3).shape == (96, 96, 3)
    blink = scene.blendshapes()[:, [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]].mean(1)
    np.testing.assert_allclose(scene.action_unit("AU45_r"), 2 * blink, atol=1e-4)
    assert "not a measurement" in json.loads((folder / "subject.json").read_text())["au.csv"]


@pytest.mark.parametrize("identity", [0, 1], ids=["short hair", "long hair"])
def test_the_torso_is_what_the_frame_shows_beside_the_head_and_goes_on_behind_it(
    truth: GroundTruth, identity: int
) -> None:
    if identity:
        truth = GroundTruth(SyntheticConfig(seconds=1.0, size=96, identity=identity))
    frame, torso = truth.frame(12), truth.torso(12)
    assert torso.shape == (96, 96, 4) and set(np.unique(torso[..., 3])) == {0, 255}
    there, seen = torso[..., 3] > 0, np.isin(frame.labels, (at.NECK, at.CLOTH))
    assert there[seen].all() and not torso[~there].any()
    # Away from other classes, whose samples share the border's pixels, they are the same picture.
    alone = binary_erosion(seen, np.ones((3, 3)))
    np.testing.assert_array_equal(torso[alone, :3], frame.rgb[alone])
    x, y = truth.landmarks(12)[8].round().astype(int)  # the chin
    assert there[y - 2, x] and not seen[y - 2, x]


def test_the_files_torso_is_the_truth(folder: Path, truth: GroundTruth) -> None:
    scene = FolderScene(open_subject(folder, name="synthetic", digest=""))
    np.testing.assert_array_equal(scene.image("torso", 3), GroundTruth(SMALL, truth.model).torso(3))


def test_quick_holds_out_no_pose_that_it_does_not_train_on(truth: GroundTruth) -> None:
    (choice,) = load_preset("quick", plugins()).subjects
    assert choice.choice is not None
    truth = GroundTruth(choice.choice.config, truth.model)
    first = split_at(truth.frames)
    poses = np.concatenate([truth.motion.euler, truth.motion.trans], 1)
    train, test = poses[:first], poses[first:]
    assert (test.min(0) >= train.min(0)).all() and (test.max(0) <= train.max(0)).all()


@pytest.mark.parametrize("seconds", [0.96, 1.0, 2.0, 3.0, 5.0, 6.0, 10.0, 20.0, 60.0])
def test_the_mouth_moves_in_the_frames_held_out_of_every_length(seconds: float) -> None:
    frames = round(seconds * FPS)
    jaw = lips(speak(frames / FPS, 0), frames)[:, INDEX["jawOpen"]]
    train, test = jaw[: split_at(frames)], jaw[split_at(frames) :]
    assert test.std() > 0.4 * train.std()
    assert test.max() > 0.4 * train.max() and test.min() < 0.15 * train.max()  # open, and shut


def test_words_are_said_to_the_end_whatever_they_are() -> None:
    spreads = []
    for utterance in range(20):
        sounds = speak(10.0, utterance)
        heard = sum(s.stop - max(s.start, 9.0) for s in sounds if s.stop > 9.0 and s.name != "_")
        assert heard == pytest.approx(0.7)  # all but the last silence of 0.3 s
        jaw = lips(sounds, 250)[:, INDEX["jawOpen"]]
        spreads.append(jaw[split_at(250) :].std() / jaw[: split_at(250)].std())
    assert min(spreads) > 0.3 and np.median(spreads) > 0.7


def test_other_words_leave_the_heads_path_and_blinks_as_they_are() -> None:
    a, b = (perform(speak(4.0, utterance), 100, 3) for utterance in (0, 1))
    np.testing.assert_array_equal(a.euler[:, 1:], b.euler[:, 1:])  # nods at stress turn the head up and down alone
    assert a.blinks == b.blinks and not np.array_equal(a.coefficients, b.coefficients)


@pytest.mark.parametrize("number", range(4))
def test_no_iris_has_the_hue_of_its_wall(number: int) -> None:
    """A field may leave a hole where the wall behind shows the same colour."""
    who = make_identity(number)
    iris, wall = (np.array(colour) - np.mean(colour) for colour in (who.iris, who.wall))
    assert iris @ wall < 0


def test_bs_file_is_the_coefficients(folder: Path) -> None:
    stored = np.load(folder / "bs.npy", allow_pickle=False)
    assert stored.dtype == np.float64
    np.testing.assert_array_equal(stored, GroundTruth(SMALL).motion.coefficients)
    assert (stored[:, 51] == 0).all() and stored.min() >= 0 and stored.max() <= 1


def test_the_files_pose_projects_the_vertices_onto_the_landmarks(folder: Path) -> None:
    """Spec A.3, with numbers read from track_params.pt and transforms_*.json only."""
    import torch

    truth = GroundTruth(SMALL)
    track = torch.load(folder / "track_params.pt", weights_only=True)
    scene = FolderScene(open_subject(folder, name="synthetic", digest=""))
    worlds = scene.poses("transforms")
    for k in (0, 7, 24):
        x = truth.head_points(k)[truth.model.landmarks]
        turned = x @ rotation(track["euler"][k].double().numpy()).T + track["trans"][k].double().numpy() / 1000
        f, c = float(track["focal"][0]), 48.0
        seen = np.stack([c - f * turned[:, 0] / turned[:, 2], c + f * turned[:, 1] / turned[:, 2]], -1)
        np.testing.assert_allclose(scene.landmarks(k), seen, atol=0.01)
        np.testing.assert_allclose(truth.landmarks(k), seen, atol=1e-6)
        back = (np.linalg.inv(worlds[k]) @ np.concatenate([x, np.ones((68, 1))], 1).T).T[:, :3]
        np.testing.assert_allclose(back, turned, atol=1e-9)


def test_depth_is_the_distance_of_the_surface(truth: GroundTruth) -> None:
    frame = truth.frame(5)
    tip = truth.camera_points(5)[truth.model.landmarks[30]]
    column, row = truth.landmarks(5)[30].astype(int)
    assert frame.depth[row, column] == pytest.approx(-tip[2], abs=0.003)
    assert ((frame.depth > 0) == (frame.labels > 0)).all()


def test_the_head_fits_the_scene_box(truth: GroundTruth) -> None:
    face = truth.head_points(0)[truth.model.landmarks]
    assert np.abs(face[:, :2]).max() < 0.25 and np.abs(face[:, 2]).max() < 0.125
    head = truth.head_points(0)[truth.model.follow == 1]
    assert head[:, 2].max() < 0.125


def test_every_class_is_seen(truth: GroundTruth) -> None:
    counts = np.zeros(19, dtype=int)
    for k in range(0, 250, 25):
        counts += np.bincount(truth.frame(k).labels.ravel(), minlength=19)
    expected = [0, 1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 16, 17]
    assert (counts[expected] > 0).all(), counts
    assert counts.sum() == counts[expected].sum()


def test_the_mouth_opens_with_the_sound(truth: GroundTruth) -> None:
    gaps = np.array([mouth_gap(truth, c) for c in truth.motion.coefficients])
    power = truth.speech[: 250 * 640].reshape(250, 640).astype(float)
    envelope = np.sqrt((power**2).mean(1))
    assert np.corrcoef(gaps, envelope)[0, 1] > 0.4
    # A second's shift breaks it: the sound is this mouth's, not any mouth's.
    assert np.corrcoef(np.roll(gaps, 25), envelope)[0, 1] < np.corrcoef(gaps, envelope)[0, 1] - 0.2


def test_silence_shuts_the_mouth(truth: GroundTruth) -> None:
    time = (np.arange(250) + 0.5) / 25
    rest = mouth_gap(truth, np.zeros(52))
    pauses = [s for s in truth.sounds if s.name == "_" and s.stop - s.start > 0.2]
    assert len(pauses) >= 2
    for pause in pauses:
        inside = np.flatnonzero((time > pause.start + 0.08) & (time < pause.stop - 0.08))
        assert len(inside)
        for k in inside:
            assert mouth_gap(truth, truth.motion.coefficients[k]) < rest + 0.0015
            assert truth.speech[round(time[k] * 16_000)] == 0.0


def test_lips_meet_on_m_b_and_p(truth: GroundTruth) -> None:
    shut = [s for s in truth.sounds if s.name in ("M", "B", "P")]
    assert shut
    jaw = truth.motion.coefficients[:, INDEX["jawOpen"]]
    for sound in shut:
        k = min(249, int((sound.start + sound.stop) / 2 * 25))
        assert jaw[k] < 0.6 * jaw.max()
    assert np.mean([jaw[min(249, int((s.start + s.stop) / 2 * 25))] for s in shut]) < 0.25 * jaw.max()


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_a_blink_closes_that_eye_alone(truth: GroundTruth, side: str) -> None:
    other = "Right" if side == "Left" else "Left"
    still, blink = np.zeros(52), np.zeros(52)
    blink[INDEX[f"eyeBlink{side}"]] = 1.0
    assert aperture(truth, still, side) > 0.006
    assert abs(aperture(truth, blink, side)) < 0.0005
    assert aperture(truth, blink, other) == pytest.approx(aperture(truth, still, other), abs=1e-6)
    assert (truth.model.points(blink)[truth.model.landmarks[36 if side == "Right" else 45]][0] > 0) == (side == "Left")


def test_each_named_coefficient_moves_something(truth: GroundTruth) -> None:
    reach = np.abs(truth.model.deltas).max((1, 2))
    assert (reach[:51] > 1e-4).all(), [n for n in INDEX if reach[INDEX[n]] <= 1e-4]
    assert reach[51] == 0


def test_blinks_are_timed_events(truth: GroundTruth) -> None:
    assert len(truth.motion.blinks) >= 2
    assert all(0.15 <= stop - start <= 0.25 for start, stop in truth.motion.blinks)
    shut = truth.motion.coefficients[:, INDEX["eyeBlinkLeft"]]
    time = (np.arange(250) + 0.5) / 25
    outside = np.ones(250, dtype=bool)
    for start, stop in truth.motion.blinks:
        outside &= (time < start) | (time > stop)
        assert shut[(time >= start) & (time <= stop)].max() > 0.5
    assert (shut[outside] == 0).all()


def test_head_motion_is_slow_and_bounded(truth: GroundTruth) -> None:
    degrees = np.degrees(truth.motion.euler)
    assert np.abs(degrees[:, 1]).max() <= 12.01 and np.abs(degrees[:, [0, 2]]).max() < 8
    assert np.abs(np.diff(degrees, axis=0)).max() < 2.5
    assert np.ptp(degrees[:, 1]) > 4


def test_timing_is_exact_and_whole(truth: GroundTruth) -> None:
    assert truth.sounds[0].start == 0 and truth.sounds[-1].stop == pytest.approx(10.0)
    for a, b in zip(truth.sounds, truth.sounds[1:], strict=False):
        assert a.stop == b.start and a.stop > a.start
    assert truth.speech.shape == (160_000,) and 0.3 < np.abs(truth.speech).max() <= 1


def test_voices_differ_in_pitch() -> None:
    from synctalk_bench.subjects.synthetic.voice import voice_parameters

    assert voice_parameters(1)[0] > voice_parameters(0)[0] + 30


def test_the_specs_are_declared() -> None:
    from synctalk_bench.subjects.plugin import synctalk_bench_subjects

    specs = {spec.name: spec for spec in synctalk_bench_subjects()}
    assert set(specs) == {"synthetic", "synthetic-ict"}
    assert specs["synthetic"].assets_for(specs["synthetic"].config()) == ()
    assert specs["synthetic-ict"].assets_for(specs["synthetic-ict"].config()) == ("ict-facekit",)
