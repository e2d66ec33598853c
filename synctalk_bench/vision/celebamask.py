"""The 19 classes of CelebAMask-HQ, the vocabulary of every face parser here (spec B.3)."""

from __future__ import annotations

from typing import Final

BACKGROUND, SKIN, BROW_L, BROW_R, EYE_L, EYE_R, GLASSES, EAR_L, EAR_R, EARRING, NOSE, MOUTH = range(12)
LIP_UPPER, LIP_LOWER, NECK, NECKLACE, CLOTH, HAIR, HAT = range(12, 19)
CLASSES: Final = 19
