"""Which components make the channels that drive a picture, in an order in which they can be made."""

from __future__ import annotations

from collections.abc import Mapping

from synctalk_bench.config.schema import Choice, predicted_torso
from synctalk_bench.errors import ConfigError
from synctalk_bench.specs import Kind

CHANNEL_KINDS = (Kind.AUDIO, Kind.EXPRESSION, Kind.POSE)


def channel_sources(choices: Mapping[Kind, Choice], *, where: str = "") -> list[Choice]:
    """Return what makes the channels that the renderer and a predicted torso require, each after what it requires.

    The others are chosen and drive nothing: a renderer without cameras needs no pose, so none is made or reported.

    Args:
        where: the variant, for the error.

    Raises:
        ConfigError: nothing makes a channel that is required, or components wait for each other's channels.
    """
    makers = {name: choices[kind] for kind in CHANNEL_KINDS for name in choices[kind].entry.spec.provides}
    found: dict[Kind, Choice] = {}

    def add(channel: str, asking: tuple[Choice, ...]) -> None:
        maker = makers.get(channel)
        if maker is None:
            raise ConfigError(
                f"{asking[-1].entry.kind} '{asking[-1].name}' requires the channel '{channel}', which nothing makes",
                hint=f"there are: {', '.join(makers)}",
                where=where,
            )
        if maker.entry.kind in found:
            return
        kinds = [choice.entry.kind for choice in asking]
        if maker.entry.kind in kinds:
            names = ", ".join(choice.name for choice in asking[kinds.index(maker.entry.kind) :])
            raise ConfigError(f"these components wait for each other's channels: {names}", where=where)
        for needed in maker.entry.spec.requires:
            add(needed, (*asking, maker))
        found[maker.entry.kind] = maker

    for drawing in (choices[Kind.RENDERER], predicted_torso(choices)):
        if drawing is not None:
            for channel in drawing.entry.spec.requires:
                add(channel, (drawing,))
    return list(found.values())
