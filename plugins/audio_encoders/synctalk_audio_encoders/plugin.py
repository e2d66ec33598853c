"""Declares the audio encoders; standard library and specs only."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_audio_encoders.configs import AveConfig, DeepSpeechConfig, HubertConfig, MelConfig
from synctalk_audio_encoders.pretrain.configs import AvePretrainConfig
from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import ComponentSpec


@hookimpl
def synctalk_bench_audio_encoders() -> Iterable[ComponentSpec]:
    """Return the encoders of this package."""
    return (
        ComponentSpec(
            name="ave",
            summary="SyncTalk's audio-visual encoder: one 512-vector a frame from a 0.2 s log-mel window.",
            target="synctalk_audio_encoders.ave:AudioVisualEncoder",
            config=AveConfig,
            provides=("audio",),
            pretraining=ComponentSpec(
                name="ave-pretraining",
                summary="A lip-sync discriminator, then a generator of faces with the encoder in it.",
                target="synctalk_audio_encoders.pretrain.pretraining:AvePretraining",
                config=AvePretrainConfig,
            ),
        ),
        ComponentSpec(
            name="mel",
            summary="The 16 log-mel columns around each frame; needs no weights, the renderer learns the rest.",
            target="synctalk_audio_encoders.mel:MelWindows",
            config=MelConfig,
            provides=("audio",),
        ),
        ComponentSpec(
            name="hubert",
            summary="HuBERT-large, or any wav2vec 2.0 model: two rows of hidden states a frame, 20 ms each.",
            target="synctalk_audio_encoders.hubert:Hubert",
            config=HubertConfig,
            provides=("audio",),
            extra="hubert",
        ),
        ComponentSpec(
            name="deepspeech",
            summary="Mozilla DeepSpeech 0.1, as AD-NeRF and ER-NeRF use it: 16 rows of 29 letter logits a frame.",
            target="synctalk_audio_encoders.deepspeech:DeepSpeech",
            config=DeepSpeechConfig,
            provides=("audio",),
        ),
    )
