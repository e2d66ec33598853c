"""Who is shown: proportions in metres and colours, drawn from one integer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

# Linear-light albedos. Skin runs from light to dark; lips are derived from it.
_SKINS: tuple[Colour, ...] = (
    (0.66, 0.42, 0.31),
    (0.56, 0.33, 0.22),
    (0.34, 0.19, 0.12),
    (0.72, 0.48, 0.37),
    (0.20, 0.10, 0.06),
)
_HAIRS: tuple[Colour, ...] = (
    (0.055, 0.03, 0.018),
    (0.02, 0.016, 0.014),
    (0.16, 0.085, 0.035),
    (0.33, 0.2, 0.085),
    (0.12, 0.035, 0.015),
)
_CLOTHS: tuple[Colour, ...] = (
    (0.05, 0.09, 0.20),
    (0.22, 0.035, 0.04),
    (0.03, 0.12, 0.09),
    (0.30, 0.28, 0.25),
    (0.035, 0.035, 0.045),
)
_WALLS: tuple[Colour, ...] = ((0.30, 0.37, 0.42), (0.42, 0.38, 0.32), (0.25, 0.33, 0.27), (0.36, 0.34, 0.42))
# Each in the hue opposite to its wall: to a radiance field, an iris of the wall's colour is as good as a hole.
_IRISES: tuple[Colour, ...] = ((0.11, 0.05, 0.02), (0.10, 0.22, 0.30), (0.16, 0.09, 0.03), (0.10, 0.16, 0.07))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Proportions (factors around 1 unless a unit is given) and linear-light colours of one person."""

    number: int
    width: float
    length: float
    jaw: float
    chin: float
    cheek: float
    eye_spacing: float
    eye_opening: float
    eye_tilt: float  # rise of the outer corner over the eye's length
    nose_width: float
    nose_height: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    brow_height: float  # metres added
    brow_thickness: float
    hair_volume: float
    hairline: float  # metres added
    long_hair: bool
    skin: Colour
    hair: Colour
    iris: Colour
    cloth: Colour
    wall: Colour


def make_identity(number: int) -> Identity:
    """Return person ``number``; 0 is average, the others vary around it. The same number is always the same person."""
    rng = np.random.default_rng([7121, number])
    amount = 0.0 if number == 0 else 1.0

    def vary(spread: float) -> float:
        return 1.0 + amount * spread * float(rng.uniform(-1, 1))

    def pick(table: tuple[Colour, ...], offset: int) -> Colour:
        base = table[(number * (1 + 2 * offset)) % len(table)]
        return (base[0] * vary(0.08), base[1] * vary(0.08), base[2] * vary(0.08))

    return Identity(
        number=number,
        width=vary(0.05),
        length=vary(0.035),
        jaw=vary(0.08),
        chin=vary(0.35),
        cheek=vary(0.5),
        eye_spacing=vary(0.04),
        eye_opening=vary(0.12),
        eye_tilt=0.06 + 0.07 * (vary(1.0) - 1.0),
        nose_width=vary(0.14),
        nose_height=vary(0.14),
        nose_length=vary(0.06),
        mouth_width=vary(0.09),
        lip_fullness=vary(0.25),
        brow_height=0.0015 * (vary(1.0) - 1.0),
        brow_thickness=vary(0.3),
        hair_volume=vary(0.35),
        hairline=0.006 * (vary(1.0) - 1.0),
        long_hair=number % 2 == 1,
        skin=pick(_SKINS, 0),
        hair=pick(_HAIRS, 1),
        iris=pick(_IRISES, 0),
        cloth=pick(_CLOTHS, 1),
        wall=pick(_WALLS, 0),
    )
