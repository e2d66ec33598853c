"""Options of the audio encoders; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synctalk_bench.assets.find import hub_cache
from synctalk_bench.specs import option

SEEDED = "seeded"


@dataclass(frozen=True, slots=True)
class MelConfig:
    """Options of ``mel``."""

    padding: Literal["zeros", "reflect"] = option(
        "zeros", "what lies beyond both ends of the sound for the STFT; only two columns at each end depend on it"
    )


@dataclass(frozen=True, slots=True)
class AveConfig:
    """Options of ``ave``."""

    weights: str = option(
        "audio-visual-encoder",
        "asset or file that holds the trained weights, or 'seeded': an untrained network that gives random features",
    )
    padding: Literal["zeros", "reflect"] = option(
        "zeros", "what lies beyond both ends of the sound for the STFT; only two columns at each end depend on it"
    )

    def assets(self) -> tuple[str, ...]:
        """Return the registry names of the files that these values need."""
        return () if self.weights == SEEDED else (self.weights,)


@dataclass(frozen=True, slots=True)
class HubertConfig:
    """Options of ``hubert``."""

    weights: str = option(
        "hubert-large",
        "the asset with facebook/hubert-large-ls960-ft; or a folder with another model of the wav2vec 2.0 family, or "
        "its owner/name in the Hugging Face cache; or 'seeded': HuBERT-large untrained, which gives random features",
    )

    def folder(self) -> Path | None:
        """Return the folder of the model, there or not; None for an asset and for 'seeded'."""
        return model_folder(self.weights) if "/" in self.weights else None

    def assets(self) -> tuple[str, ...]:
        """Return the registry names or paths of the files that these values need."""
        if self.weights == SEEDED:
            return ()
        folder = self.folder()
        return (self.weights,) if folder is None else tuple(str(path) for path in model_files(folder))


@dataclass(frozen=True, slots=True)
class DeepSpeechConfig:
    """Options of ``deepspeech``."""

    weights: str = option(
        "deepspeech",
        "asset or file with the frozen graph of DeepSpeech 0.1, or 'seeded': the same network untrained, which gives "
        "random features",
    )

    def assets(self) -> tuple[str, ...]:
        """Return the registry names or paths of the files that these values need."""
        return () if self.weights == SEEDED else (self.weights,)


def model_folder(name: str) -> Path:
    """Return the folder that ``name`` is the path of, else the newest snapshot of that model in the Hugging Face cache.

    Where neither is there it is the path.
    """
    path = Path(name).expanduser().absolute()
    if path.is_dir() or name.count("/") != 1:
        return path
    snapshots = sorted((hub_cache() / f"models--{name.replace('/', '--')}" / "snapshots").glob("*/config.json"))
    return max(snapshots, key=lambda p: p.stat().st_mtime_ns).parent if snapshots else path


def model_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of a transformers model that decide its numbers: settings and weights, safetensors before .bin.

    Where there are no weights, the name that they should have.
    """
    settings = [p for name in ("config.json", "preprocessor_config.json") if (p := folder / name).is_file()]
    weights = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    return (*(settings or [folder / "config.json"]), *(weights or [folder / "model.safetensors"]))
