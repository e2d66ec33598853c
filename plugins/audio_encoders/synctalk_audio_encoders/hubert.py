"""``hubert``: hidden states of HuBERT or another model of the wav2vec 2.0 family, by transformers (spec C.2)."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn

from synctalk_audio_encoders.configs import SEEDED, HubertConfig, model_files
from synctalk_audio_encoders.sound import Told, checked_wave, require_25
from synctalk_bench.errors import AssetMismatch, TooShort
from synctalk_bench.protocols import Context

hub: Any = transformers  # its classes are typed in part only

HOP = 320  # samples between two rows: 20 ms
REACH = 400  # samples that one row hears
ROWS_A_FRAME = 2
CHUNK_ROWS = 1000  # 20 s: attention reaches no further, and its cost grows with the square
TINY = 1e-7  # the feature extractor adds it to the variance

LARGE: dict[str, Any] = {  # facebook/hubert-large-ls960-ft, where it differs from transformers' defaults
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}


def seeded_model(config: Any, seed: int) -> nn.Module:
    """Return an untrained model of ``config`` in eval mode, as transformers initialises it under ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = hub.AutoModel.from_config(config, attn_implementation="eager")
    return model.eval()


def load_model(folder: Path) -> nn.Module:
    """Return the model in a transformers ``folder``, in eval mode; nothing is asked of the network.

    Raises:
        AssetMismatch: it cannot be read, has weights missing, or is no model of 16 kHz sound with 50 rows a second.
    """
    try:
        config = hub.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _check_rows(config, folder)
        with _quiet():
            model, info = hub.AutoModel.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,  # else the user is asked whether to run what lies in the folder
                weights_only=True,
                dtype=torch.float32,
                attn_implementation="eager",
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are told below, by name
            )
    except AssetMismatch:
        raise
    except Exception as error:  # of whatever library it has the settings and weights read and checked by
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise AssetMismatch(
            f"{folder} does not hold a model that transformers can read: {first}",
            hint="it needs config.json and model.safetensors or pytorch_model.bin of one model",
            where="audio.weights",
        ) from error
    # Without this a model of another shape would be used with random numbers in the place of what it lacks. The
    # embedding is what training puts over masked sound.
    lacking = sorted(name for name in info["missing_keys"] if not name.endswith("masked_spec_embed"))
    if lacking or info["mismatched_keys"]:
        named = ", ".join(lacking[:3]) or str(next(iter(info["mismatched_keys"])))
        raise AssetMismatch(f"the weights in {folder} do not fit its config.json: {named}", where="audio.weights")
    network: nn.Module = model
    return network.eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress bar and its report of a recogniser's unused last layer off the user's screen."""
    logging = hub.utils.logging
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _check_rows(config: Any, folder: Path) -> None:
    kernels, strides = getattr(config, "conv_kernel", None), getattr(config, "conv_stride", None)
    if not kernels or not strides:
        raise AssetMismatch(f"{folder} holds a {config.model_type} model, not one of the wav2vec 2.0 family")
    hop, reach = math.prod(strides), 1
    for kernel, stride in reversed(list(zip(kernels, strides, strict=True))):
        reach = (reach - 1) * stride + kernel
    if (hop, reach) != (HOP, REACH):
        raise AssetMismatch(
            f"{folder} holds a model with a row every {hop} samples that hears {reach}; {HOP} and {REACH} are needed"
        )


def _from_asset(weights: Path) -> nn.Module:
    """Return HuBERT-large with the ``weights`` of the registry, which come without a config.json."""
    with tempfile.TemporaryDirectory(prefix="synctalk-bench-hubert-") as place:
        hub.HubertConfig(**LARGE).save_pretrained(place)
        Path(place, "pytorch_model.bin").symlink_to(weights.resolve())
        return load_model(Path(place))


class Hubert:
    """Gives two rows of hidden states a frame at 25 fps: [T, 2, 1024] for HuBERT-large."""

    def __init__(self, config: HubertConfig, context: Context) -> None:
        self._device = torch.device(context.device)
        self._normalised, self._say = True, context.say
        folder = config.folder()
        if config.weights == SEEDED:
            context.say("hubert: weights=seeded is an untrained network; its features are random, not learned")
            model = seeded_model(hub.HubertConfig(**LARGE), context.seed)
        elif folder is None:
            model = _from_asset(context.asset(config.weights))
        else:
            files = [context.asset(str(path)) for path in model_files(folder)]
            self._normalised = _wants_normalised(files)
            model = load_model(folder)
        self._model: Any = model.to(self._device).requires_grad_(False)

    def encode(self, wave: Tensor, rate: int, *, fps: float, frames: int) -> Tensor:
        """Return [frames, 2, D] float32 on the CPU: rows 2 f and 2 f + 1 of the last layer (spec C.2).

        The sound is normalised as a whole and given to the model in stretches of 20 s whose rows follow each other
        without a gap; an odd last row is dropped. Frames beyond the sound repeat the last (spec C.4).

        Raises:
            WrongFps: ``fps`` is not 25.
            TooShort: less than 0.045 s of sound.
            NoAudio, BadManifest, SubjectError: as ``sound.checked_wave``.
        """
        require_25(fps, "hubert")
        samples = checked_wave(wave, rate)
        expected = (len(samples) - (REACH - HOP)) // HOP
        whole = expected // ROWS_A_FRAME
        if whole < 1:
            raise TooShort(
                f"{len(samples)} samples of sound are less than one frame of 'hubert'", hint="use at least 0.1 s"
            )
        heard = samples.float().numpy()
        if self._normalised:  # in float32, as the published feature extractor does
            heard = (heard - heard.mean()) / np.sqrt(heard.var() + TINY)
        # Filled in place: the features of ten minutes are 120 MB, and need not be there twice.
        held = torch.zeros(max(whole, frames) * ROWS_A_FRAME, self._model.config.hidden_size)
        at, told = 0, Told(self._say, "hubert", len(samples))
        for part in chunks(torch.from_numpy(heard)):
            rows = self._rows(part)[: whole * ROWS_A_FRAME - at]
            held[at : at + len(rows)] = rows
            at += len(rows)
            told(at / (whole * ROWS_A_FRAME))
        features = held.reshape(-1, ROWS_A_FRAME, held.shape[1])
        features[whole:] = features[whole - 1]
        return features[:frames]

    @torch.no_grad()
    def _rows(self, part: Tensor) -> Tensor:
        # TF32 and the fastest algorithm of the day would make the features depend on the machine's mood.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            rows: Tensor = self._model(part[None].to(self._device)).last_hidden_state[0]
        return rows.cpu()


def chunks(samples: Tensor) -> list[Tensor]:
    """Return the stretches that the model hears one by one: 1000 rows each, then the rest when it gives a row.

    Each reaches 80 samples into the next, so that the rows of one follow those of the other as if they were whole.
    """
    length = CHUNK_ROWS * HOP
    count = len(samples) // length
    found = [samples[length * i : length * i + length + REACH - HOP] for i in range(count)]
    rest = samples[length * count :]
    return [*found, rest] if len(rest) >= REACH else found


def _wants_normalised(files: list[Path]) -> bool:
    """Return what the model's feature extractor says, whose default is to normalise."""
    settings = next((path for path in files if path.name == "preprocessor_config.json"), None)
    return settings is None or bool(json.loads(settings.read_text()).get("do_normalize", True))
