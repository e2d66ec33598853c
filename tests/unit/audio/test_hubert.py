"""``hubert`` against transformers itself, on a small model of the true architecture."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from synctalk_audio_encoders.configs import HubertConfig, model_files, model_folder

from synctalk_bench.assets.store import AssetStore
from synctalk_bench.errors import AssetMismatch, MissingAsset, TooShort, WrongFps
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.protocols import Context
from synctalk_bench.specs import Kind
from synctalk_bench.testing.conformance import check

transformers = pytest.importorskip("transformers", reason="package missing: transformers (extra 'hubert')")

from synctalk_audio_encoders.hubert import LARGE, Hubert, chunks, seeded_model  # noqa: E402

SMALL = LARGE | {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "conv_dim": (4,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hubert") / "tiny"
    seeded_model(transformers.HubertConfig(**SMALL), 3).save_pretrained(place)
    return place


def built(folder: Path | str) -> Hubert:
    return Hubert(HubertConfig(weights=str(folder)), Context(asset=AssetStore().path))


def noise(samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0)) + 0.02


def official(folder: Path, wave: torch.Tensor) -> torch.Tensor:
    """transformers' own feature extractor and model, heard in the stretches that spec C.2 writes down."""
    extract = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    values = extract(wave.numpy(), sampling_rate=16_000, return_tensors="pt").input_values
    model = transformers.HubertModel.from_pretrained(folder, attn_implementation="eager").eval()
    whole = len(wave) // 320_000
    parts = [values[:, 320_000 * i : 320_000 * i + 320_080] for i in range(whole)]
    if values.shape[1] - 320_000 * whole >= 400:
        parts.append(values[:, 320_000 * whole :])
    with torch.no_grad():
        rows = torch.cat([model(part).last_hidden_state[0] for part in parts])
    expected = (len(wave) - 80) // 320
    rows = torch.nn.functional.pad(rows, (0, 0, 0, max(0, expected - len(rows))))[:expected]
    return rows[: len(rows) // 2 * 2].reshape(-1, 2, rows.shape[1])


@pytest.mark.parametrize("samples", [16_000, 320_000 + 5_000, 320_000 + 399])
def test_equals_transformers(folder: Path, samples: int) -> None:
    wave = noise(samples)
    expected = official(folder, wave)
    features = built(folder).encode(wave, 16_000, fps=25.0, frames=len(expected))
    assert features.shape == expected.shape == (((samples - 80) // 320) // 2, 2, 16)
    assert features.dtype == torch.float32
    assert torch.equal(features, expected), (features - expected).abs().max()


@pytest.mark.parametrize("samples", [3_886_720, 720, 320_000, 320_079, 320_080, 320_399, 320_400, 640_000, 960_500])
def test_stretches_give_the_rows_of_the_whole(samples: int) -> None:
    """A row every 320 samples that hears 400: none is lost or doubled between stretches. May has 6072 frames."""
    rows = [(len(part) - 400) // 320 + 1 for part in chunks(torch.zeros(samples))]
    assert sum(rows) == (samples - 80) // 320
    assert all(count == 1000 for count in rows[:-1])
    if samples == 3_886_720:
        assert sum(rows) // 2 == 6072


def test_frames_beyond_and_within_the_sound(folder: Path) -> None:
    encoder, wave = built(folder), noise(16_000)  # 49 rows: 24 frames and a row that is dropped
    full = encoder.encode(wave, 16_000, fps=25.0, frames=24)
    longer = encoder.encode(wave, 16_000, fps=25.0, frames=30)
    assert torch.equal(longer[:24], full)
    assert all(torch.equal(longer[k], full[23]) for k in range(24, 30))
    assert torch.equal(encoder.encode(wave, 16_000, fps=25.0, frames=10), full[:10])


def test_recogniser_with_old_names_in_a_bin_file(folder: Path, tmp_path: Path) -> None:
    """The published file: pytorch_model.bin of HubertForCTC, prefixed, with weight norm's names of older torch."""
    config = transformers.HubertConfig(**SMALL)
    recogniser = transformers.HubertForCTC(config)
    recogniser.hubert.load_state_dict(transformers.HubertModel.from_pretrained(folder).state_dict())
    renamed = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in recogniser.state_dict().items()
    }
    assert any(name.endswith("weight_g") for name in renamed) and "lm_head.weight" in renamed
    config.save_pretrained(tmp_path)
    torch.save(renamed, tmp_path / "pytorch_model.bin")
    wave = noise(8000)
    first, second = (built(p).encode(wave, 16_000, fps=25.0, frames=12) for p in (folder, tmp_path))
    assert torch.equal(first, second)


def test_other_families_through_the_same_class(tmp_path: Path) -> None:
    """A base-size wav2vec 2.0: group norm, post-norm, no bias."""
    small = {key: value for key, value in SMALL.items() if key not in ("conv_bias", "feat_extract_norm")}
    config = transformers.Wav2Vec2Config(**small | {"do_stable_layer_norm": False, "hidden_size": 24})
    seeded_model(config, 1).save_pretrained(tmp_path)
    assert built(tmp_path).encode(noise(8000), 16_000, fps=25.0, frames=12).shape == (12, 2, 24)


def test_what_the_feature_extractor_says_is_done(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "plain"
    shutil.copytree(folder, place)
    (place / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    loud, quiet = noise(8000) * 3, noise(8000)
    normalised, plain = built(folder), built(place)
    same = [normalised.encode(w, 16_000, fps=25.0, frames=12) for w in (loud, quiet)]
    assert torch.allclose(same[0], same[1], atol=1e-4)
    other = [plain.encode(w, 16_000, fps=25.0, frames=12) for w in (loud, quiet)]
    assert not torch.allclose(other[0], other[1], atol=1e-2)


def test_large_is_the_published_architecture() -> None:
    """315 438 720 parameters, counted layer by layer."""
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(transformers.HubertConfig(**LARGE))
    convolutions = 10 * 512 + 4 * 3 * 512 * 512 + 2 * 2 * 512 * 512 + 7 * (512 + 2 * 512)
    projection = 2 * 512 + 512 * 1024 + 1024
    positions = 128 + 1024 * (1024 // 16) * 128 + 1024
    layer = 4 * (1024 * 1024 + 1024) + 2 * 2 * 1024 + 2 * 1024 * 4096 + 4096 + 1024
    total = convolutions + projection + positions + 24 * layer + 2 * 1024 + 1024  # norm, mask embedding
    assert sum(p.numel() for p in model.parameters()) == total == 315_438_720


def test_seeded_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synctalk_audio_encoders.hubert.LARGE", SMALL)
    said: list[str] = []
    before = torch.get_rng_state()
    wave = noise(8000)
    first, again, other = (
        Hubert(HubertConfig(weights="seeded"), Context(seed=seed, say=said.append)).encode(
            wave, 16_000, fps=25.0, frames=12
        )
        for seed in (7, 7, 8)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.std(0).mean() > 0.05
    assert all("untrained" in line and "random" in line for line in said) and len(said) == 3


def change(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("wider", "do not fit its config.json"),
        ("deeper", "do not fit its config.json: encoder.layers.2"),
        ("coarser", "a row every 640 samples"),
        ("text", "not one of the wav2vec 2.0 family"),
        ("page", "is a web page"),
        ("torn", "does not hold a model that transformers can read"),
    ],
)
def test_folders_that_do_not_fit(folder: Path, tmp_path: Path, how: str, text: str) -> None:
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    if how == "wider":
        change(place, hidden_size=32)
    elif how == "deeper":
        change(place, num_hidden_layers=3)
    elif how == "coarser":
        change(place, conv_stride=[5, 2, 2, 2, 2, 2, 4])
    elif how == "text":
        transformers.BertConfig(hidden_size=16, num_attention_heads=2).save_pretrained(place)
    elif how == "page":
        (place / "model.safetensors").write_text("<!DOCTYPE html>")
    else:
        weights = place / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(AssetMismatch, match=text):
        built(place)


@pytest.mark.parametrize("kind", ["hubert", "mine"])
def test_code_in_a_folder_is_never_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """transformers would ask, and run it after a yes."""
    place, ran = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(folder, place)
    change(place, model_type=kind, auto_map={"AutoConfig": "own_code.Own", "AutoModel": "own_code.Own"})
    (place / "own_code.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Own: pass\n")
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda text="": asked.append(text) or "y")
    if kind == "hubert":
        built(place)
    else:
        with pytest.raises(AssetMismatch, match="transformers can read"):
            built(place)
    assert not asked and not ran.exists()


@pytest.mark.parametrize("values", [{"conv_kernel": 5}, {"conv_dim": None}, {"hidden_size": "wide"}])
def test_settings_that_make_no_sense_are_told(folder: Path, tmp_path: Path, values: dict[str, Any]) -> None:
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    change(place, **values)
    with pytest.raises(AssetMismatch):
        built(place)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingAsset, match=r"config\.json"):
        built(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(MissingAsset, match=r"model\.safetensors"):
        built(tmp_path)


def test_files_of_a_model_are_its_key(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert HubertConfig().assets() == ("hubert-large",)
    assert HubertConfig(weights="seeded").assets() == ()
    assert HubertConfig(weights=str(folder)).assets() == (
        str(folder / "config.json"),
        str(folder / "model.safetensors"),
    )
    assert all(AssetStore().digest(name) for name in HubertConfig(weights=str(folder)).assets())
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--owner--name" / "snapshots" / "0123"
    shutil.copytree(folder, snapshot)
    assert model_folder("owner/name") == snapshot
    assert [p.name for p in model_files(model_folder("owner/name"))] == ["config.json", "model.safetensors"]
    assert built("owner/name").encode(noise(8000), 16_000, fps=25.0, frames=12).shape == (12, 2, 16)


def test_hubert_large_in_hugging_faces_cache_is_found(tmp_path: Path) -> None:
    place = tmp_path / "models--facebook--hubert-large-ls960-ft" / "snapshots" / "ece5fabb" / "pytorch_model.bin"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"not the weights")
    with pytest.raises(AssetMismatch, match="SHA-256"):
        AssetStore(environ={"HF_HUB_CACHE": str(tmp_path)}).path("hubert-large")


def test_wrong_fps_and_too_short(folder: Path) -> None:
    encoder = built(folder)
    with pytest.raises(WrongFps, match="30 fps"):
        encoder.encode(noise(16_000), 16_000, fps=30.0, frames=30)
    with pytest.raises(TooShort, match="719 samples"):
        encoder.encode(noise(719), 16_000, fps=25.0, frames=1)
    assert encoder.encode(noise(720), 16_000, fps=25.0, frames=1).shape == (1, 2, 16)


def test_keeps_its_contract(folder: Path) -> None:
    spec = PluginManager().find(Kind.AUDIO, "hubert").spec
    checks = check(spec, Kind.AUDIO, config_overrides={"weights": str(folder)}, asset=AssetStore().path)
    assert all(c.status == "ok" for c in checks), checks
