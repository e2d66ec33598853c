"""Which pictures and which sounds belong together, and what variation may do to them."""

from __future__ import annotations

import pytest
import torch
from synctalk_audio_encoders.ave import ave_windows
from synctalk_audio_encoders.pretrain import windows as module
from synctalk_audio_encoders.pretrain.windows import (
    SPAN,
    Windows,
    as_channels,
    column,
    generator,
    make_windows,
    vary_faces,
    vary_sounds,
)

from synctalk_bench.pretrain.clips import TalkingClip

from .conftest import Speaks

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def clips() -> tuple[TalkingClip, ...]:
    from .conftest import speaking

    return speaking("ada", 0, 30), speaking("ben", 1, 41)


@pytest.fixture(scope="module")
def windows(clips: tuple[TalkingClip, ...]) -> Windows:
    return make_windows(clips, CPU)


def test_columns_are_those_of_the_specification() -> None:
    assert column(torch.arange(12)).tolist() == [0, 3, 6, 9, 12, 16, 19, 22, 25, 28, 32, 35]  # spec M


def test_sounds_are_the_encoders_windows(windows: Windows, clips: tuple[TalkingClip, ...]) -> None:
    """The window of frames s ... s+4 is row s of the encoder's input, whose row f covers frames f-2 ... f+2."""
    for number, clip in enumerate(clips):
        starts = torch.arange(clip.frames - 4)
        mine = windows.sounds(torch.tensor([number]), starts[None])[0]
        theirs = ave_windows(torch.from_numpy(clip.wave()), 16_000, padding="zeros")[: len(starts), 0]
        assert torch.equal(mine, theirs)


def test_pictures_are_the_clips_own(windows: Windows, clips: tuple[TalkingClip, ...]) -> None:
    assert windows.count.tolist() == [26, 37]
    found = windows.frames(torch.tensor([1, 0]), torch.tensor([[36], [0]]))
    assert found.shape == (2, 1, 5, 3, 96, 96)
    for row, (clip, first) in enumerate([(clips[1], 36), (clips[0], 0)]):
        true = torch.from_numpy(clip.crops(range(first, first + 5))).movedim(-1, 1)
        assert torch.equal((found[row, 0] * 255).round().byte(), true)


def test_what_does_not_fit_is_decoded_when_needed(
    clips: tuple[TalkingClip, ...], windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_room", lambda device: 0.0)
    small = make_windows(clips, CPU)
    assert windows.pictures.resident
    assert not small.pictures.resident
    chosen = torch.tensor([[3, 60], [60, 5]])
    assert torch.equal(small.pictures[chosen], windows.pictures[chosen])


def test_channels_are_lower_halves_in_time_order() -> None:
    frames = torch.arange(5.0)[:, None, None, None] * 10 + torch.arange(3.0)[:, None, None]
    frames = frames.expand(5, 3, 96, 96).clone()
    frames[..., :48, :] = -1  # the upper half must not come through
    channels = as_channels(frames[None])
    assert channels.shape == (1, 15, 48, 96)
    assert channels[0, :, 0, 0].tolist() == [0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42]


def test_draws_depend_on_their_numbers_alone(windows: Windows) -> None:
    def draw(*numbers: int) -> torch.Tensor:
        g = generator(CPU, *numbers)
        chosen = windows.choose(64, g)
        return torch.cat([chosen[:, None], windows.starts(chosen, 8, g)], 1)

    assert torch.equal(draw(0, 1, 5, 0), draw(0, 1, 5, 0))
    for other in [(1, 1, 5, 0), (0, 2, 5, 0), (0, 1, 6, 0), (0, 1, 5, 1)]:
        assert not torch.equal(draw(0, 1, 5, 0), draw(*other))


def test_starts_are_different_near_and_inside(windows: Windows) -> None:
    g = generator(CPU, 0)
    chosen = windows.choose(400, g)
    starts = windows.starts(chosen, 8, g)
    assert all(len(set(row)) == 8 for row in starts.tolist())
    assert (starts.amax(1) - starts.amin(1) < SPAN).all()
    assert (starts >= 0).all()
    assert (starts < windows.count[chosen][:, None]).all()
    longest = starts[chosen == 1]
    assert set(longest.flatten().tolist()) == set(range(37))  # every window is used


def test_faces_of_a_clip_are_varied_alike() -> None:
    faces = torch.rand(1, 15, 48, 96).expand(6, -1, -1, -1).contiguous()
    varied = vary_faces(faces, 3, generator(CPU, 4))
    assert varied.shape == faces.shape
    assert 0 <= varied.min() <= varied.max() <= 1
    assert torch.equal(varied[0], varied[2])
    assert not torch.allclose(varied[0], varied[3], atol=0.05)


def test_variation_stays_small() -> None:
    """A face is mirrored or not, else it moves by a few pixels at most: the mouth stays in the lower half."""
    blob = torch.zeros(200, 3, 48, 96)
    blob[:, :, 22:26, 46:50] = 1
    varied = vary_faces(blob, 1, generator(CPU, 5)).mean(1)
    weight = (varied - varied.amin((1, 2), keepdim=True)).clamp(min=0)
    weight = weight / weight.sum((1, 2), keepdim=True)
    row = (weight.sum(2) * torch.arange(48)).sum(1)
    col = (weight.sum(1) * torch.arange(96)).sum(1)
    assert (row - 23.5).abs().max() < 6
    assert (col - 47.5).abs().max() < 6


def test_sounds_vary_in_loudness_and_timbre_but_not_in_time() -> None:
    mel = torch.full((50, 80, 16), -4.0)
    mel[:, 20:40, 8:] = 1.0  # silence, then a voice
    varied = vary_sounds(mel, generator(CPU, 6))
    assert varied.min() >= -4
    assert varied.max() <= 4
    bands = varied[:, 26:34]
    assert (bands[..., 8:].mean((1, 2)) > bands[..., :8].mean((1, 2)) + 1).all()
    assert varied[:, 30, 12].std() > 0.2
    before, after = varied[..., :8], varied[..., 8:]
    assert (before.std(-1).max() < 0.8) and (after.std(-1).max() < 0.8)  # noise, but no drift over the window


def test_quiet_clip_is_its_own_length(speaks: Speaks) -> None:
    clip = speaks("cy", 3, 25)
    assert make_windows([clip], CPU).count.tolist() == [21]
