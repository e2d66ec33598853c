"""``deepspeech`` against TensorFlow, against python_speech_features, and against numpy written out with loops."""

from __future__ import annotations

import math
from pathlib import Path

import graph_writer as writer
import numpy as np
import pytest
import torch
from synctalk_audio_encoders.configs import DeepSpeechConfig
from synctalk_audio_encoders.deepspeech import CepstraInContext, DeepSpeech, resampled, windows
from synctalk_audio_encoders.deepspeech_net import DeepSpeechNetwork, load_network, seeded_network
from synctalk_audio_encoders.sound import Told
from tensorflow_reference import DATA, rows

from synctalk_bench.assets.store import AssetStore
from synctalk_bench.errors import AssetMismatch, MissingAsset, NoAudio, TooShort, WrongFps
from synctalk_bench.mfcc import mfcc
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.protocols import Context
from synctalk_bench.specs import Kind
from synctalk_bench.testing.conformance import check


def speech(count: int = 8000) -> np.ndarray:
    noise = np.random.default_rng(5).normal(0, 800, count)
    t = np.arange(count) / 16000
    samples = (6000 * np.sin(2 * np.pi * (150 + 400 * t) * t) + noise).round().astype(np.int16)
    samples[5000:6000] = 0
    return samples


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deepspeech") / "tiny.pb"
    path.write_bytes(writer.graph(writer.weights(5)))
    return path


@pytest.fixture(scope="module")
def encoder(graph: Path) -> DeepSpeech:
    return DeepSpeech(DeepSpeechConfig(weights=str(graph)), Context(asset=AssetStore().path))


# --- features ---------------------------------------------------------------------------------------------------------


def test_26_cepstra_of_python_speech_features() -> None:
    """python_speech_features 0.6: mfcc(speech(), 16000, numcep=26), rows 0 and 48."""
    published = {
        0: "19.26693 -19.96971 12.38856 11.51046 11.175 15.45841 6.07787 -0.83872 -9.16591 -17.64272 -16.8615 -7.34568 "
        "-14.37812 -12.42242 -18.88483 -10.27182 -5.83814 -5.59758 -2.69074 -0.75687 0.67346 0.1106 -0.05589 -0.14196 "
        "-1.17982 -1.88102",
        48: "19.54934 -15.11578 6.04939 -17.1013 -27.29916 -29.6775 -13.88642 9.12755 17.3895 20.66342 9.85047 3.45592 "
        "-3.20129 -19.00262 -10.00409 -0.15557 0.6664 5.82019 2.74622 1.83451 -0.07438 -1.05857 -0.26777 0.13756 "
        "0.17043 -0.0791",
    }
    cepstra = mfcc(speech(), cepstra=26)
    assert cepstra.shape == (49, 26)
    for row, values in published.items():
        assert cepstra[row] == pytest.approx([float(v) for v in values.split()], abs=5.1e-6)


def test_input_of_the_published_tool() -> None:
    """Figures of python_speech_features 0.6 and numpy: every second row, nine zeros around, one mean and deviation."""
    features = CepstraInContext(speech())
    assert len(features) == 25
    assert features.mean == pytest.approx(-2.1118804279499193, abs=1e-9)
    assert features.deviation == pytest.approx(10.71371364322626, abs=1e-9)
    matrix = features[0:25]
    assert matrix.shape == (25, 494) and matrix.dtype == torch.float32
    assert matrix[0, [0, 233, 234, 259, 260, 493]].tolist() == pytest.approx(
        [0.197119, 0.197119, 1.995462, 0.021548, 2.005368, 0.262147], abs=1e-6
    )
    assert matrix[17, [0, 26, 300, 493]].tolist() == pytest.approx([2.011639, 2.014546, -0.722536, 0.197119], abs=1e-6)
    assert matrix[24, [0, 234, 260, 493]].tolist() == pytest.approx([1.984461, 2.021822, 0.197119, 0.197119], abs=1e-6)


@pytest.mark.parametrize("samples", [1, 400, 700, 4000, 8000])
def test_mean_and_deviation_are_those_of_the_whole_matrix(samples: int) -> None:
    features = CepstraInContext(speech(8000)[:samples])
    matrix = features[0 : len(features)].double()
    assert matrix.mean().item() == pytest.approx(0, abs=1e-6)
    assert matrix.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    parts = [features[k : k + 3] for k in range(0, len(features), 3)]
    assert torch.equal(torch.cat(parts).double(), matrix)


@pytest.mark.parametrize(("samples", "frames"), [(3_886_720, 6073), (16_000, 25), (16_640, 26), (1280, 2)])
def test_frames_of_a_sound(samples: int, frames: int) -> None:
    """Spec C.3: Nf = ceil((n - 1) / 2) with n = round(50 seconds)."""
    n = round(50 * samples / 16_000)
    assert math.ceil((n - 1) / 2) == frames
    logits = np.zeros((1 + math.ceil(max(0, samples - 400) / 320), 2))
    assert len(windows(resampled(logits, samples / 16_000, 50.0))) == frames


def test_resampling_and_windows_by_hand() -> None:
    logits = np.random.default_rng(0).normal(size=(21, 3))
    for fps in (25.0, 30.0):
        rate, seconds = 2 * fps, 0.43
        found = windows(resampled(logits, seconds, rate))
        count = round(rate * seconds) - 1
        held = []
        for j in range(count):
            place = j / rate * 50
            low = min(int(place), 20)
            part = place - low if low < 20 else 0.0
            held.append((1 - part) * logits[low] + part * logits[min(low + 1, 20)])
        assert found.shape == (math.ceil(count / 2), 16, 3) and found.dtype == np.float32
        for frame, window in enumerate(found):
            for row in range(16):
                index = 2 * frame - 8 + row
                expected = held[index] if 0 <= index < count else np.zeros(3)
                assert window[row] == pytest.approx(expected, abs=1e-6)


# --- network ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [500, 10, 1])
def test_equals_tensorflow(block: int) -> None:
    """A graph that TensorFlow froze and the logits that it computed (tensorflow_reference.py)."""
    network = load_network(DATA / "deepspeech_tiny.pb")
    logits = network(torch.from_numpy(rows()), block=block).numpy()
    expected = np.load(DATA / "deepspeech_tiny_logits.npy")
    assert expected.std(0).mean() > 0.3, "else equality would say little"
    # 1.43e-6 was the most seen on a CPU, where the largest logit is 6.6.
    assert np.abs(logits - expected).max() < 1.51e-6


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def recomputed(values: dict[str, np.ndarray], x: np.ndarray, hidden: int) -> np.ndarray:
    """The network in numpy and float64, one row after the other."""
    w = {name: value.astype(np.float64) for name, value in values.items()}
    for name in "123":
        x = np.clip(x @ w[f"h{name}"] + w[f"b{name}"], 0, 20)
    outs = []
    for cell, order in ((writer.FW, 1), (writer.BW, -1)):
        h, c, out = np.zeros(hidden), np.zeros(hidden), []
        for row in x[::order]:
            i, j, f, o = np.split(np.concatenate([row, h]) @ w[f"{cell}/kernel"] + w[f"{cell}/bias"], 4)
            c = sigmoid(f + 1.0) * c + sigmoid(i) * np.tanh(j)
            h = sigmoid(o) * np.tanh(c)
            out.append(h)
        outs.append(np.stack(out[::order]))
    x = np.clip(np.concatenate(outs, 1) @ w["h5"] + w["b5"], 0, 20)
    return x @ w["h6"] + w["b6"]


def test_whole_encoder_against_numpy(encoder: DeepSpeech) -> None:
    """From the sound to the windows; the graph comes from an independent writer."""
    samples = speech(16_000)
    cepstra = mfcc(samples, cepstra=26)[::2]
    padded = np.concatenate([np.zeros((9, 26)), cepstra, np.zeros((9, 26))])
    x = np.stack([padded[k : k + 19].ravel() for k in range(len(cepstra))])
    logits = recomputed(writer.weights(5), (x - x.mean()) / x.std(), 5)
    n = 49  # round(50 s) - 1; the logits already stand at j / 50
    padded = np.concatenate([np.zeros((8, 29)), logits[:n], np.zeros((8, 29))])
    expected = np.stack([padded[k : k + 16] for k in range(0, n, 2)])
    features = encoder.encode(torch.from_numpy(samples / 32768).float(), 16_000, fps=25.0, frames=28)
    assert features.shape == (28, 16, 29) and features.dtype == torch.float32
    assert features[:25].numpy() == pytest.approx(expected, abs=5e-5)
    assert all(torch.equal(features[k], features[24]) for k in (25, 26, 27)), "beyond the sound the last is held"
    assert features[:25].std(0).mean() > 0.05


def test_wide_as_released() -> None:
    with torch.device("meta"):
        network = DeepSpeechNetwork()
    dense = 494 * 2048 + 2048 * 2048 + 2048 * 4096 + 4096 * 2048 + 2048 * 29 + 3 * 2048 + 4096 + 29
    cell = (4096 + 2048) * 4 * 2048 + 4 * 2048
    total = sum(p.numel() for name, p in network.named_parameters() if "bias_hh" not in name)
    assert total == dense + 2 * cell == 122_732_573


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"h5": None}, "lacks h5"),
        ({f"{writer.BW}/kernel": None}, "lacks bidirectional_rnn/bw/basic_lstm_cell/kernel"),
        ({"h3": np.zeros((5, 9))}, r"dense\.3\.weight has shape \(9, 5\), expected \(10, 5\)"),
        ({f"{writer.FW}/bias": np.zeros(19)}, r"bias_ih_l0 has shape \(19,\), expected \(20,\)"),
        ({f"{writer.FW}/bias": np.zeros((1, 20))}, r"bias_ih_l0 has shape \(1, 20\), expected \(20,\)"),
        ({f"{writer.BW}/kernel": np.zeros(20)}, r"weight_ih_l0 has shape"),
        ({"b1": np.zeros(0)}, "it is 0 wide"),
        ({"b6": np.zeros(30)}, "tells 30 letters apart"),
    ],
)
def test_another_network_is_refused(tmp_path: Path, change: dict[str, np.ndarray | None], text: str) -> None:
    values = {name: value for name, value in (writer.weights(5) | change).items() if value is not None}
    (tmp_path / "other.pb").write_bytes(writer.graph(values))
    with pytest.raises(AssetMismatch, match=text):
        load_network(tmp_path / "other.pb")


def test_another_bound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.pb").write_bytes(writer.graph(writer.weights(5), clip=6.0))
    with pytest.raises(AssetMismatch, match="clipped at 6, not at 20"):
        load_network(tmp_path / "other.pb")


def test_seeded() -> None:
    before = torch.get_rng_state()
    first, again, other = (seeded_network(seed, hidden=16) for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    x = torch.from_numpy(rows())
    assert torch.equal(first(x), again(x)) and not torch.equal(first(x), other(x))
    assert first(x).std(0).mean() > 0.01


# --- component --------------------------------------------------------------------------------------------------------


def test_errors(encoder: DeepSpeech) -> None:
    wave = torch.zeros(16_000)
    with pytest.raises(WrongFps):
        encoder.encode(wave, 16_000, fps=0.0, frames=4)
    with pytest.raises(TooShort, match="two rows"):
        encoder.encode(wave[:400], 16_000, fps=25.0, frames=4)
    with pytest.raises(NoAudio):
        encoder.encode(wave[:0], 16_000, fps=25.0, frames=4)
    assert torch.isfinite(encoder.encode(wave, 16_000, fps=25.0, frames=25)).all(), "silence"


def test_weights_are_an_asset_a_file_or_seeded(tmp_path: Path) -> None:
    assert DeepSpeechConfig().assets() == ("deepspeech",)
    assert DeepSpeechConfig(weights="seeded").assets() == ()
    nowhere = str(tmp_path / "nowhere.pb")
    with pytest.raises(MissingAsset, match=r"nowhere\.pb"):
        DeepSpeech(DeepSpeechConfig(weights=nowhere), Context(asset=AssetStore().path))


def test_keeps_its_contract(graph: Path) -> None:
    spec = PluginManager().find(Kind.AUDIO, "deepspeech").spec
    checks = check(spec, Kind.AUDIO, config_overrides={"weights": str(graph)}, asset=AssetStore().path)
    assert all(c.status == "ok" for c in checks), checks


def test_long_work_is_told(encoder: DeepSpeech, monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []
    network = seeded_network(0, hidden=4)
    network(torch.zeros(25, 494), block=10, tell=shares.append)
    assert shares == pytest.approx([0.2, 0.4, 0.5, 0.6, 0.8, 1.0])
    said: list[str] = []
    told = Told(said.append, "deepspeech", 160_000)
    for share in (0.1, 0.5, 1.0):
        told(share)
    assert said == [], "short work is not worth a line"
    monkeypatch.setattr("synctalk_audio_encoders.sound.BETWEEN_LINES", -1.0)
    told(0.5)
    assert said[0].startswith("deepspeech: 5 of 10 s heard, about ")
