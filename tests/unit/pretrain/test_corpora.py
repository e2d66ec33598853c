"""Folders to clips: what is found, who is held out, what is made once and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synctalk_bench.errors import BadManifest, Damaged, MissingFile, NoAudio, NoFace, TooShort
from synctalk_bench.pretrain.build import build
from synctalk_bench.pretrain.clips import TalkingClip, encode, make_clip, read_clip, read_names, write_clip
from synctalk_bench.pretrain.corpus import Corpus, hold_out
from synctalk_bench.pretrain.find import find_sources
from synctalk_bench.pretrain.gather import Wishes, split
from synctalk_bench.pretrain.sources import Prepared, Source, Split, Synthetic, Video

from .conftest import speaking


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"video")
    return path


def found(root: Path | str) -> list[Source]:
    return find_sources(str(root), people=3, seconds=4.0)


# --- finding ---------------------------------------------------------------------------------------------------------


def test_lrs2_by_its_lists(tmp_path: Path) -> None:
    for name in ("111/00001", "111/00002", "222/00001", "333/00009", "444/00001"):
        touch(tmp_path / "main" / f"{name}.mp4")
    (tmp_path / "train.txt").write_text("111/00001\n111/00002\n\n999/00001\n")  # 999 was not downloaded
    (tmp_path / "val.txt").write_text("222/00001\n")
    (tmp_path / "test.txt").write_text("333/00009 NF\n")
    sources = found(tmp_path)
    assert [(s.name, s.identity, s.split) for s in sources] == [
        ("111/00001", "111", "training"),
        ("111/00002", "111", "training"),
        ("222/00001", "222", "held-out"),
        ("333/00009", "333", "held-out"),
    ]


def test_lrs2_without_lists(tmp_path: Path) -> None:
    touch(tmp_path / "main" / "111" / "00002.mp4")
    touch(tmp_path / "main" / "111" / "00001.mp4")
    assert [(s.name, s.identity, s.split) for s in found(tmp_path)] == [
        ("111/00001", "111", None),
        ("111/00002", "111", None),
    ]


def test_lists_cannot_lead_outside(tmp_path: Path) -> None:
    (tmp_path / "lrs" / "main").mkdir(parents=True)
    touch(tmp_path / "secret.mp4")
    (tmp_path / "lrs" / "train.txt").write_text("../../secret\n")
    with pytest.raises(BadManifest, match="outside"):
        found(tmp_path / "lrs")


def test_lrs2_may_lie_behind_a_link(tmp_path: Path) -> None:
    touch(tmp_path / "disk" / "111" / "00001.mp4")
    (tmp_path / "lrs").mkdir()
    (tmp_path / "lrs" / "main").symlink_to(tmp_path / "disk")
    (tmp_path / "lrs" / "train.txt").write_text("111/00001\n")
    assert [s.name for s in found(tmp_path / "lrs")] == ["111/00001"]
    (tmp_path / "lrs" / "train.txt").write_text("../main/../../secret\n")
    with pytest.raises(BadManifest, match="outside"):
        found(tmp_path / "lrs")


def test_plain_videos(tmp_path: Path) -> None:
    touch(tmp_path / "ada" / "one.mp4")
    touch(tmp_path / "ada" / "more" / "two.MOV")
    touch(tmp_path / "ben.mkv")
    touch(tmp_path / "notes.txt")
    assert [(s.name, s.identity) for s in found(tmp_path)] == [
        ("ada/more/two.MOV", "ada"),
        ("ada/one.mp4", "ada"),
        ("ben.mkv", "ben"),
    ]
    assert [s.identity for s in found(tmp_path / "ben.mkv")] == ["ben"]


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="there is no"):
        found(tmp_path / "nowhere")
    with pytest.raises(BadManifest, match="no video and no prepared subject"):
        found(tmp_path)


def test_synthetic_people_share_nothing() -> None:
    sources = found("synthetic")
    configs = [s.config for s in sources if isinstance(s, Synthetic)]
    assert len(configs) == 6
    assert len({c.identity for c in configs}) == 3
    for name in ("voice", "utterance", "seed"):
        assert len({getattr(c, name) for c in configs}) == 6
    assert min(c.identity for c in configs) >= 1000  # the built-in subjects of benchmarks are others
    assert sum(c.seconds for c in configs) == pytest.approx(12)


# --- clips -----------------------------------------------------------------------------------------------------------


def test_clip_survives_its_file(tmp_path: Path) -> None:
    clip = speaking("ada", 0, 30)
    write_clip(tmp_path / "a.safetensors", clip)
    again = read_clip(tmp_path / "a.safetensors")
    assert (again.name, again.identity, again.frames) == ("ada-0", "ada", 30)
    assert again.digest == clip.digest
    assert read_names(tmp_path / "a.safetensors") == ("ada-0", "ada")
    assert np.array_equal(again.crops([3, 7]), clip.crops([3, 7]))
    assert len(again.sound) == 30 * 640
    assert np.abs(again.wave()).max() <= 1
    (tmp_path / "a.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(Damaged):
        read_clip(tmp_path / "a.safetensors")


def test_clip_is_as_long_as_its_pictures() -> None:
    picture = encode(np.zeros((96, 96, 3), np.uint8))
    short = make_clip("a", "a", [picture] * 30, np.full(100, 0.5, np.float32))
    assert len(short.sound) == 19_200
    assert short.sound[100:].max() == 0
    assert short.wave()[0] == pytest.approx(0.5, abs=1e-4)
    assert make_clip("a", "a", [picture] * 30, np.full(1, 1.5, np.float32)).sound[0] == 32767
    with pytest.raises(TooShort, match="24 frames"):
        make_clip("a", "a", [picture] * 24, np.zeros(0, np.float32))


# --- making ----------------------------------------------------------------------------------------------------------


@dataclass
class Counted:
    """A source that counts how often it is asked."""

    name: str
    identity: str
    split: Split | None = None
    needs_faces: bool = False
    asked: int = 0
    problem: str = ""

    def key(self) -> dict[str, Any]:
        return {"name": self.name}

    def clips(self, landmarker: Path | None) -> list[TalkingClip]:
        self.asked += 1
        if self.problem:
            raise NoAudio(self.problem)
        return [speaking(self.identity, 0, 25), speaking(self.identity, 1, 26)]


def made(sources: Sequence[Source], folder: Path, said: list[str] | None = None) -> list[Any]:
    def none() -> Path:
        raise AssertionError("no face has to be found")

    notes: list[str] = [] if said is None else said
    return build(sources, folder, jobs=1, landmarker=none, tell=lambda done, total: None, say=notes.append)


def test_each_source_is_made_once(tmp_path: Path) -> None:
    ada, ben = Counted("a", "ada"), Counted("b", "ben", problem="b has no audio track")
    said: list[str] = []
    first = made([ada, ben], tmp_path, said)
    second = made([ada, ben], tmp_path)
    assert [clip.digest for clip in first[0][1]] == [clip.digest for clip in second[0][1]]
    assert [clip.frames for clip in first[0][1]] == [25, 26]
    assert (ada.asked, ben.asked) == (1, 1)  # what cannot be used is not tried again either
    assert said == ["left out: b has no audio track"]


def test_damaged_and_half_made_clips_are_made_again(tmp_path: Path) -> None:
    ada = Counted("a", "ada")
    made([ada], tmp_path)
    record = next(tmp_path.glob("*.json"))
    file = tmp_path / next(iter(json.loads(record.read_text())["files"]))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    made([ada], tmp_path)
    assert ada.asked == 2
    record.unlink()  # as after a kill between the clips and their record
    made([ada], tmp_path)
    assert ada.asked == 3


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoFace, match="none of the 1 sources can be used; the first: no sound in a"):
        made([Counted("a", "ada", problem="no sound in a")], tmp_path)


def test_prepared_clips_travel(tmp_path: Path) -> None:
    made([Counted("a", "ada"), Counted("b", "ben")], tmp_path / "here")
    elsewhere = made(found(tmp_path / "here"), tmp_path / "there")
    assert sorted(source.identity for source, _ in elsewhere) == ["ada", "ada", "ben", "ben"]


def test_video_without_a_face(tmp_path: Path, assets_dir: Path) -> None:
    pytest.importorskip("mediapipe")
    from synctalk_bench.subjects.mp4 import write_mp4
    from synctalk_bench.subjects.sound import write_wav

    write_wav(tmp_path / "a.wav", np.zeros(16_000, np.float32), 16_000)
    write_mp4(tmp_path / "v.mp4", [np.zeros((64, 64, 3), np.uint8)] * 26, 25.0, tmp_path / "a.wav")
    with pytest.raises(NoFace, match="no face for a second"):
        Video(tmp_path / "v.mp4", "v", "v").clips(assets_dir / "weights" / "face_landmarker.task")
    write_mp4(tmp_path / "mute.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3, 25.0)
    with pytest.raises(NoAudio, match="no audio"):
        Video(tmp_path / "mute.mp4", "m", "m").clips(assets_dir / "weights" / "face_landmarker.task")


def test_prepared_subject(tmp_path: Path) -> None:
    from PIL import Image

    from synctalk_bench.subjects.files import write_landmarks
    from synctalk_bench.subjects.layout import Layout
    from synctalk_bench.subjects.sound import write_wav

    layout = Layout(tmp_path / "eve")
    layout.ori(0).parent.mkdir(parents=True)
    marks = np.zeros((68, 2)) + 100
    marks[36:48], marks[31:36] = (100, 80), (100, 110)
    marks[36], marks[45] = (70, 80), (130, 80)
    for k in range(26):
        Image.new("RGB", (200, 200), (k, 0, 0)).save(layout.ori(k), quality=98)
        write_landmarks(layout.landmarks(k), marks)
    write_wav(layout.audio, np.full(26 * 640, 0.25, np.float32), 16_000)
    (source,) = found(tmp_path)
    assert isinstance(source, Prepared)
    (clip,) = source.clips(None)
    assert (clip.identity, clip.frames) == ("eve", 26)
    assert abs(int(clip.crops([20])[0, 48, 48, 0]) - 20) <= 2
    assert clip.wave().mean() == pytest.approx(0.25, abs=1e-3)


# --- splitting -------------------------------------------------------------------------------------------------------


def test_held_out_people_are_nowhere_else() -> None:
    clips = [speaking(name, seed, 25) for name in "abcdefghij" for seed in (0, 1)]
    training, out = hold_out(clips, 0.2)
    assert len({c.identity for c in out}) == 2
    assert {c.identity for c in training}.isdisjoint(c.identity for c in out)
    assert len(training) + len(out) == 20
    more = [*clips, speaking("k", 0, 25)]
    assert len({c.identity for c in hold_out(more, 0.2)[1]} & {c.identity for c in out}) >= 1
    assert hold_out(clips, 0.0)[1]  # somebody always is
    with pytest.raises(BadManifest, match="only a"):
        hold_out(clips[:2], 0.5)
    with pytest.raises(BadManifest, match="would be trained on"):
        Corpus(tuple(clips[:1]), tuple(clips[1:2]))
    with pytest.raises(BadManifest, match="as strangers"):
        Corpus(tuple(clips[:1]), tuple(clips[2:3]), {"real": tuple(clips[1:2])})


def test_lists_decide_before_shares() -> None:
    def pair(name: str, split_: Split | None) -> tuple[Source, tuple[TalkingClip, ...]]:
        return Counted(name, name, split_), (speaking(name, 0, 25),)

    wishes = Wishes(corpora=["lrs"], measured=["real"], people=2, seconds=4, held_out=0.5, clips=Path("x"), jobs=1)
    made_ = {
        "lrs": [pair("a", "training"), pair("b", "held-out"), pair("c", "training")],
        "real": [pair("r", None), pair("s", None)],
    }
    corpus = split(wishes, made_)
    assert [c.identity for c in corpus.training] == ["a", "c"]
    assert [c.identity for c in corpus.held_out] == ["b"]
    assert {name: len(clips) for name, clips in corpus.others.items()} == {"r": 1, "s": 1}
    assert corpus.card()["training"]["people"] == 2
    twice = replace(wishes, measured=["real", "more"])
    others = split(twice, {**made_, "more": [pair("r", None)]}).others
    assert {name: len(clips) for name, clips in others.items()} == {"r": 2, "s": 1}, "nobody's clips are lost"
