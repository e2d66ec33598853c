"""The published folder: blinded, equal for all methods, complete; the key beside it and nowhere else."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import Recorder, catalogue

from synctalk_bench.assets.store import AssetStore
from synctalk_bench.config.resolve import choose_metrics
from synctalk_bench.errors import ConfigError, MissingFile, NoAudio, TooShort
from synctalk_bench.runner.run import run_plan
from synctalk_bench.stages.evaluation import make_pair
from synctalk_bench.stages.frames import read_frame
from synctalk_bench.stages.plan_evaluation import plan_evaluation
from synctalk_bench.store.fingerprint import file_digest
from synctalk_bench.store.workspace import RunFolder, Workspace
from synctalk_bench.study.clips import Gathered, gather
from synctalk_bench.study.files import Key, read_key
from synctalk_bench.study.make import Request, make_study
from synctalk_bench.study.page import read_manifest
from synctalk_bench.study.questions import read_questionnaire
from synctalk_bench.subjects.mp4 import write_mp4
from synctalk_bench.subjects.video import probe, read_frames


@pytest.fixture
def gathered(run: RunFolder) -> Gathered:
    return gather([run])


def request(out: Path, **changes: Any) -> Request:
    made = Request(
        out=out, title="Heads & <voices>", questionnaire=read_questionnaire(), seconds=10, excerpts=1, shown=None,
        participants=4, checks=1, seed=3,
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture
def study(gathered: Gathered, tmp_path: Path) -> tuple[Path, Key]:
    out = tmp_path / "public" / "study"
    out.parent.mkdir()
    return out, make_study(gathered, request(out))


def test_nothing_that_is_published_names_a_method(study: tuple[Path, Key], run: RunFolder) -> None:
    out, key = study
    files = [path for path in out.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == {"study", "clips"}
    secrets = ("secret", "another method", "ground truth", "blocks", "mean-colour", run.path.name, str(key.seed) * 9)
    for path in files:
        content = path.read_bytes()
        for word in secrets:
            assert word.encode() not in content, f"{path.name} names {word}"
        assert path.stat().st_mtime == 0 or path.name == "index.html"
    assert all(re.fullmatch(r"[0-9a-f]{10}\.mp4", path.name) for path in (out / "clips").iterdir())
    assert not re.search(r"https?://|//cdn|src=\"http", (out / "index.html").read_text())


def test_the_key_lies_beside_and_says_what_each_clip_is(study: tuple[Path, Key], run: RunFolder) -> None:
    out, key = study
    place = out.with_name("study.key.json")
    assert read_key(place) == key
    assert place.stat().st_mode & 0o077 == 0
    assert out.with_name("study.codes.txt").read_text().split() == list(key.codes)
    assert key.methods == ("our secret method", "another method", "ground truth")
    assert {path.stem for path in (out / "clips").iterdir()} == set(key.clips)
    for name, facts in key.clips.items():
        assert file_digest(out / "clips" / f"{name}.mp4") == facts.sha256
        assert facts.run == ("" if facts.reference else run.path.name)
    assert sorted(path.name for path in out.parent.iterdir()) == ["study", "study.codes.txt", "study.key.json"]


def test_clips_are_the_delivered_frames_with_the_test_sound(study: tuple[Path, Key], gathered: Gathered) -> None:
    out, key = study
    for name, facts in key.clips.items():
        film = out / "clips" / f"{name}.mp4"
        seen = probe(film)
        assert (seen.codec, seen.fps, seen.has_audio) == ("h264", 25.0, True)
        source = gathered.clips[facts.method, facts.subject].clip
        assert (facts.first, facts.frames) == (source.span.first, len(source.span))
        shown = list(read_frames(film, range(facts.frames)))
        for k, frame in enumerate(shown):
            kept = read_frame(source.frame(facts.first + k))
            assert frame.shape == kept.shape  # not the truth beside it
            # Chroma is halved, so means are compared: the noise of the fake pictures has no low frequencies.
            assert np.abs(frame.mean((0, 1)) - kept.mean((0, 1))).max() < 8


def test_the_page_holds_the_public_half_only(study: tuple[Path, Key]) -> None:
    out, key = study
    manifest = read_manifest(out / "index.html")
    assert manifest is not None
    assert manifest["title"] == "Heads & <voices>"
    assert manifest["rows"] == json.loads(json.dumps(key.public()["rows"]))
    assert set(manifest) == {
        "schema", "kind", "study", "title", "questions", "rows", "codes", "open", "welcome", "consent", "scale",
    }  # fmt: skip
    text = (out / "index.html").read_text()
    assert "<title>Heads &amp; &lt;voices&gt;</title>" in text
    assert "default-src 'none'" in text and "unsafe" not in text
    assert read_manifest(out.with_name("study.key.json")) is None


def test_what_the_command_says_to_type_next_is_understood(run: RunFolder, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from synctalk_bench.cli.app import app

    out, answers = tmp_path / "a study", tmp_path / "answers"
    answers.mkdir()
    made = CliRunner().invoke(app, ["study", "make", str(run.path), "-o", str(out), "--participants", "2"])
    said = next(line for line in made.stdout.splitlines() if line.startswith("then:"))
    program, *arguments = shlex.split(said.removeprefix("then:"))
    assert program == "synctalk-bench"
    with pytest.raises(MissingFile, match=r"no \.json file is in .*answers"):  # the key was read before
        CliRunner().invoke(app, [str(answers) if a == "ANSWERS" else a for a in arguments], catch_exceptions=False)


def test_the_same_seed_makes_the_same_study_and_another_does_not(gathered: Gathered, tmp_path: Path) -> None:
    first, again, other = (
        make_study(gathered, request(tmp_path / name, seed=seed)) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert first == again
    assert (tmp_path / "a" / "index.html").read_bytes() == (tmp_path / "b" / "index.html").read_bytes()
    assert not set(first.clips) & set(other.clips)
    assert first.study != other.study


def test_excerpts_are_the_same_frames_of_every_method(gathered: Gathered, tmp_path: Path) -> None:
    longer = {
        place: replace(shown, clip=replace(shown.clip, span=replace(shown.clip.span, first=0, stop=26)))
        for place, shown in gathered.clips.items()
    }
    from synctalk_bench.study.make import _cuts

    cuts = _cuts(replace(gathered, clips=longer), request(tmp_path, seconds=0.5, excerpts=2), [])
    assert {(part, cut.first, cut.frames) for (_, _, part), cut in cuts.items()} == {(0, 0, 12), (1, 14, 12)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shown": 4}, "4 clips a participant cannot be had of 3"),
        ({"shown": 0}, "--clips-per-participant"),
        ({"checks": 4}, "4 checks do not fit on 3 clips"),
        ({"checks": -1}, "--checks"),
        ({"participants": 0}, "--participants"),
        ({"seconds": 0}, "--seconds"),
        ({"seconds": float("nan")}, "--seconds"),
        ({"excerpts": 0}, "--excerpts"),
        ({"title": "  "}, "--title"),
    ],
)
def test_options_that_do_not_fit(gathered: Gathered, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        make_study(gathered, request(tmp_path / "study", **changes))
    assert words in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["", ".", "/"])
def test_a_folder_without_a_name_is_refused(gathered: Gathered, out: str) -> None:
    with pytest.raises(ConfigError, match="names no new folder"):
        make_study(gathered, request(Path(out)))


def test_too_many_excerpts(gathered: Gathered, tmp_path: Path) -> None:
    with pytest.raises(TooShort, match="too few for 3 of 5 s"):
        make_study(gathered, request(tmp_path / "study", excerpts=3, seconds=5))


def test_a_study_is_never_written_over(study: tuple[Path, Key], gathered: Gathered) -> None:
    out, _ = study
    before = sorted(path.read_bytes() for path in out.rglob("*") if path.is_file())
    with pytest.raises(ConfigError, match="is there already"):
        make_study(gathered, request(out))
    with pytest.raises(ConfigError, match=r"key\.json is there already"):
        out.rename(out.with_name("moved"))
        make_study(gathered, request(out))
    assert sorted(path.read_bytes() for path in out.with_name("moved").rglob("*") if path.is_file()) == before


def test_a_failure_leaves_nothing(gathered: Gathered, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_study(gathered, request(tmp_path / "study"), tell=stop)
    assert list(tmp_path.iterdir()) == []


def test_what_is_chosen_of_the_runs(run: RunFolder) -> None:
    found = gather([run], variants=["other"], truth=False)
    assert found.methods == ("another method",)
    with pytest.raises(ConfigError, match="there are: other, secret"):
        gather([run], variants=["otter"])
    with pytest.raises(ConfigError, match="no finished clip is of the subject 'may'"):
        gather([run], subjects=["may"])


def copy_of(run: RunFolder, name: str, **changes: Any) -> RunFolder:
    """A run whose rows say something else."""
    folder = RunFolder(run.path.with_name(name))
    folder.path.mkdir(exist_ok=True)
    folder.preset.write_text(run.preset.read_text())
    rows = [json.loads(line) | changes | {"run": name} for line in run.results.read_text().splitlines()]
    folder.results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_equal_labels_of_two_runs_are_told_apart(run: RunFolder) -> None:
    other = copy_of(run, "twin-1", seed=0)
    found = gather([run, other], variants=["secret"])
    with pytest.raises(ConfigError, match="two runs are called"):
        gather([run, run])
    assert found.methods == (f"{run.path.name}/secret", "twin-1/secret", "ground truth")


def test_films_of_other_methods_come_through_eval(run: RunFolder, tmp_path: Path) -> None:
    found = gather([run], truth=True)
    films = {}
    for method in ("another method", "ground truth"):
        clip = found.clips[method, "blocks"].clip
        films[method] = tmp_path / method / "blocks.mp4"
        write_mp4(films[method], (read_frame(clip.frame(k)) for k in clip.span.frames), clip.fps, clip.audio, crf=1)
    manager = catalogue()
    pair = make_pair(films["another method"], films["ground truth"], name="theirs", subject="blocks", resample=False)
    metrics = choose_metrics([{"use": "mae"}], manager, origin="test")
    plan = plan_evaluation([pair], metrics, protocol="head", name="eval-1", asset_digest=AssetStore().digest)
    facts = {"variants": {"theirs": {"label": "Wav2Lip"}}}
    place = Workspace(run.path.parent.parent)
    report = run_plan(plan, place, manager, assets=AssetStore(), display=Recorder(), facts=facts, device="cpu")
    assert report.outcome.failed == {}
    both = gather([run, report.folder])
    assert both.methods == ("our secret method", "another method", "Wav2Lip", "ground truth")
    assert both.notes == ("eval-1 has another ground truth of blocks; the first run's is shown",)  # a film of it
    shown = both.clips["Wav2Lip", "blocks"].clip
    assert shown.audio is not None and len(shown.span) == len(both.clips["ground truth", "blocks"].clip.span)


def test_the_lowest_seed_is_shown_and_said(run: RunFolder) -> None:
    other = copy_of(run, "seeds-1")
    lines = other.results.read_text()
    more = "".join(json.dumps(json.loads(line) | {"seed": 7}) + "\n" for line in lines.splitlines())
    other.results.write_text(more + lines)
    found = gather([other])
    assert {shown.seed for shown in found.clips.values()} == {0}
    assert "of several seeds the lowest is shown" in found.notes


def test_methods_on_different_subjects_cannot_be_compared(run: RunFolder) -> None:
    other = copy_of(run, "may-1", subject="may", variant="third")
    with pytest.raises(ConfigError, match="third on blocks") as error:
        gather([run, other])
    assert "--subjects or --variants" in str(error.value)


def test_a_variant_that_failed_is_said(run: RunFolder) -> None:
    other = copy_of(run, "half-1")
    rows = [json.loads(line) for line in other.results.read_text().splitlines()]
    for row in rows:
        if row["variant"] == "other":
            row["fingerprint"] = "0" * 64
    other.results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = gather([other])
    assert found.methods == ("our secret method", "ground truth")
    assert found.notes == ("half-1 has no finished clip of other: not in the study",)


def test_a_variant_that_was_not_reached_is_said(run: RunFolder) -> None:
    other = copy_of(run, "stopped-1")
    rows = other.results.read_text().splitlines(keepends=True)
    other.results.write_text("".join(line for line in rows if json.loads(line)["variant"] != "other"))
    assert gather([other]).notes == ("stopped-1 has no finished clip of other: not in the study",)


def test_a_run_without_clips(run: RunFolder) -> None:
    other = copy_of(run, "empty-1", fingerprint="0" * 64)
    with pytest.raises(ConfigError, match="hold no finished clip"):
        gather([other])


def test_clips_without_sound_are_refused(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    from synctalk_bench.study import clips

    whole = clips.open_clip
    monkeypatch.setattr(clips, "open_clip", lambda path: replace(whole(path), audio=None))
    with pytest.raises(NoAudio, match="has no sound"):
        gather([run])
