"""Weights that the package brings: their card is their registry entry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synctalk_audio_encoders.ave import load_network

from synctalk_bench.assets import find
from synctalk_bench.assets.registry import PACKAGED, Asset, packaged
from synctalk_bench.assets.store import AssetStore
from synctalk_bench.errors import AssetMismatch

CARD = {"summary": "An encoder.", "file": "x.safetensors", "bytes": 5, "needed_by": "audio encoder ave"}
SHA = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of "hello", as everyone computes it


def test_a_card_makes_an_asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "PACKAGED", tmp_path)
    (tmp_path / "mine.json").write_text(json.dumps(CARD | {"sha256": SHA, "scores": {}}))
    (tmp_path / "x.safetensors").write_bytes(b"hello")
    (asset,) = packaged(tmp_path)
    store = AssetStore({asset.name: asset}, environ={"SYNCTALK_BENCH_CACHE": str(tmp_path / "cache")})
    assert store.path("mine") == tmp_path / "x.safetensors"
    assert store.digest("mine") == SHA
    (tmp_path / "x.safetensors").write_bytes(b"hallo")
    with pytest.raises(AssetMismatch, match="SHA-256"):
        store.path("mine")
    (tmp_path / "x.safetensors").unlink()
    assert store.status_of("mine").state == "missing"
    assert "pip install" in asset.way()
    assert "assets add" not in asset.way()


@pytest.mark.parametrize("asset", packaged(PACKAGED), ids=lambda asset: asset.name)
def test_what_the_package_brings(asset: Asset) -> None:
    path = AssetStore().path(asset.name)  # verified
    assert asset.bytes <= 12_000_000
    load_network(path)
    card = json.loads((PACKAGED / f"{asset.name}.json").read_text())
    assert card["scores"]["held_out"]["true_faces"]["pair_accuracy_5"] >= 0.9
    assert {"corpus", "config", "seed", "environment", "train_seconds"} <= card.keys()
