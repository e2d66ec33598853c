"""The sounds that the voice knows, the words made of them, and sentences with exact timing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["vowel", "glide", "nasal", "stop", "fricative", "silence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phoneme:
    """How a sound is made: formants in Hz for an adult man, strengths from 0 to 1, seconds; and how it looks.

    ``shape`` holds mouth coefficients of spec D.1 by short name (see ``SHAPES``).
    """

    kind: Kind
    formants: tuple[float, float, float]
    seconds: float
    voice: float
    hiss: float = 0.0
    hiss_at: float = 0.0
    shape: dict[str, float]


SHAPES = {
    "jaw": ("jawOpen",),
    "funnel": ("mouthFunnel",),
    "pucker": ("mouthPucker",),
    "stretch": ("mouthStretchLeft", "mouthStretchRight"),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "roll": ("mouthRollLower",),
    "roll_up": ("mouthRollUpper",),
    "press": ("mouthPressLeft", "mouthPressRight"),
    "up": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "down": ("mouthLowerDownLeft", "mouthLowerDownRight"),
    "shrug": ("mouthShrugUpper",),
    "dimple": ("mouthDimpleLeft", "mouthDimpleRight"),
}


def _vowel(f1: float, f2: float, f3: float, seconds: float = 0.115, **shape: float) -> Phoneme:
    return Phoneme(kind="vowel", formants=(f1, f2, f3), seconds=seconds, voice=1.0, shape=shape)


def _other(
    kind: Kind,
    f: tuple[float, float, float],
    seconds: float,
    voice: float,
    hiss: float = 0.0,
    hiss_at: float = 0.0,
    **shape: float,
) -> Phoneme:
    return Phoneme(kind=kind, formants=f, seconds=seconds, voice=voice, hiss=hiss, hiss_at=hiss_at, shape=shape)


_SHUT = {"press": 0.45, "roll": 0.18, "roll_up": 0.12}

PHONEMES: dict[str, Phoneme] = {
    "_": _other("silence", (500, 1500, 2500), 0.30, 0.0),
    "AA": _vowel(730, 1090, 2440, 0.140, jaw=0.58, down=0.25),
    "AE": _vowel(660, 1720, 2410, 0.135, jaw=0.48, stretch=0.30, down=0.30, up=0.20),
    "AH": _vowel(620, 1200, 2550, 0.095, jaw=0.38, down=0.20),
    "AO": _vowel(570, 840, 2410, 0.130, jaw=0.44, funnel=0.45),
    "EH": _vowel(530, 1840, 2480, 0.105, jaw=0.36, stretch=0.25, down=0.25, up=0.12),
    "ER": _vowel(490, 1350, 1690, 0.110, jaw=0.24, pucker=0.30, funnel=0.15),
    "IH": _vowel(400, 1990, 2550, 0.080, jaw=0.24, stretch=0.25, down=0.20),
    "IY": _vowel(280, 2250, 2890, 0.120, jaw=0.16, stretch=0.45, smile=0.30, down=0.22, up=0.12),
    "OW": _vowel(480, 870, 2350, 0.120, jaw=0.32, funnel=0.30, pucker=0.45),
    "UH": _vowel(440, 1020, 2240, 0.085, jaw=0.22, pucker=0.40),
    "UW": _vowel(310, 870, 2240, 0.120, jaw=0.14, pucker=0.80),
    "W": _other("glide", (300, 650, 2200), 0.065, 0.75, jaw=0.10, pucker=0.85),
    "R": _other("glide", (340, 1150, 1500), 0.065, 0.75, jaw=0.15, pucker=0.35, funnel=0.20),
    "L": _other("glide", (360, 1150, 2700), 0.065, 0.75, jaw=0.22, down=0.15),
    "Y": _other("glide", (280, 2200, 2900), 0.060, 0.75, jaw=0.12, stretch=0.35),
    "M": _other("nasal", (270, 1000, 2200), 0.075, 0.45, **_SHUT),
    "N": _other("nasal", (270, 1500, 2500), 0.065, 0.45, jaw=0.14, down=0.15),
    "NG": _other("nasal", (270, 1900, 2600), 0.070, 0.42, jaw=0.18),
    "B": _other("stop", (250, 800, 2200), 0.080, 0.18, 0.25, 900, **_SHUT),
    "P": _other("stop", (250, 800, 2200), 0.090, 0.0, 0.45, 900, **_SHUT),
    "D": _other("stop", (280, 1700, 2600), 0.070, 0.18, 0.30, 3800, jaw=0.12, down=0.12),
    "T": _other("stop", (280, 1700, 2600), 0.085, 0.0, 0.55, 4200, jaw=0.12, down=0.15),
    "G": _other("stop", (280, 1900, 2300), 0.075, 0.18, 0.30, 2000, jaw=0.20),
    "K": _other("stop", (280, 1900, 2300), 0.090, 0.0, 0.50, 2100, jaw=0.20),
    "F": _other("fricative", (350, 1100, 2300), 0.090, 0.0, 0.22, 5200, jaw=0.07, roll=0.70, up=0.30),
    "V": _other("fricative", (350, 1100, 2300), 0.070, 0.40, 0.14, 5000, jaw=0.07, roll=0.65, up=0.28),
    "TH": _other("fricative", (350, 1400, 2500), 0.085, 0.0, 0.20, 5600, jaw=0.18, down=0.20),
    "DH": _other("fricative", (320, 1400, 2500), 0.055, 0.45, 0.10, 5400, jaw=0.18, down=0.20),
    "S": _other("fricative", (320, 1700, 2600), 0.100, 0.0, 0.75, 5800, jaw=0.06, stretch=0.28, down=0.30, up=0.12),
    "Z": _other("fricative", (300, 1700, 2600), 0.080, 0.35, 0.45, 5600, jaw=0.06, stretch=0.25, down=0.28, up=0.10),
    "SH": _other("fricative", (320, 1800, 2500), 0.105, 0.0, 0.70, 3100, jaw=0.08, funnel=0.60, pucker=0.20),
    "HH": _other("fricative", (500, 1500, 2500), 0.060, 0.0, 0.22, 1600, jaw=0.24),
}

# A vowel that carries the stress ends in 1.
_WORDS = """
HH EH L OW1|W ER1 L D|M AO1 R N IH NG|P IY1 P AH L|T AH D EY1|S AH1 M|B EH1 T ER|F AA1 DH ER|M AH1 DH ER|W AO1 T ER
SH OW1|V OY1 S|M UW1 V|Y UW1|W IY1|DH AH|AH|AE1 N D|IH N|AO1 V|T UW1|IH T|B IY1|F AO1 R|DH AE1 T|W IH1 DH
S P IY1 K|T AO1 K|L IH1 S AH N|P EY1 P ER|B UH1 K|M Y UW1 Z IH K|F EH1 B R UW EH R IY|S IH1 M P AH L|B IH1 G
W IH1 N D OW|Y EH1 L OW|B L UW1|HH AA1 R B ER|M AW1 N T AH N|AA1 F T ER|EH1 V R IY|M EH1 N IY|P L EY1 S|T AY1 M
G UH1 D|N AY1 T|F EY1 S|M AW1 TH|S AW1 N D|R IH1 V ER|K AH1 M|B IH F AO1 R|W AH1 N|F AY1 V
"""
_PAIRS = {"EY": ("EH", "IY"), "AY": ("AA", "IY"), "AW": ("AA", "UW"), "OY": ("AO", "IY")}


@dataclass(frozen=True, slots=True)
class Sound:
    """A phoneme in its place, in seconds; ``stressed`` vowels are longer, louder and higher."""

    name: str
    start: float
    stop: float
    stressed: bool

    @property
    def phoneme(self) -> Phoneme:
        """What is said."""
        return PHONEMES[self.name]


def _lexicon() -> list[list[tuple[str, bool]]]:
    words = []
    for word in _WORDS.replace("\n", "|").strip("|").split("|"):
        sounds: list[tuple[str, bool]] = []
        for symbol in word.split():
            plain, stressed = symbol.rstrip("1"), symbol.endswith("1")
            sounds += [(part, stressed) for part in _PAIRS.get(plain, (plain,))]
        words.append(sounds)
    return words


def _timed(word: list[tuple[str, bool]], pace: float) -> list[tuple[str, float, bool]]:
    """Return the word's sounds as (name, seconds, stressed)."""
    timed = []
    for name, stressed in word:
        longer = 1.22 if stressed and PHONEMES[name].kind == "vowel" else 1.0
        timed.append((name, PHONEMES[name].seconds * pace * longer, stressed))
    return timed


def _script(stop: float, last_pause: float, rng: np.random.Generator) -> list[tuple[str, float, bool]]:
    """Return sentences until no word fits before ``stop``; no pause ends after ``last_pause`` (both in seconds)."""
    now = min(0.24, 0.2 * stop)
    script, lexicon = [("_", now, False)], _lexicon()
    while True:
        pace = rng.uniform(0.95, 1.20)
        words = [(word := _timed(sounds, pace), sum(length for _, length, _ in word)) for sounds in lexicon]
        for _ in range(int(rng.integers(4, 9))):
            fitting = [choice for choice in words if now + choice[1] <= stop]
            if not fitting:
                return script
            word, length = fitting[int(rng.integers(len(fitting)))]
            script += word
            now += length
        pause = float(rng.uniform(0.28, 0.60))
        if now + pause <= last_pause:
            script.append(("_", pause, False))
            now += pause


def speak(seconds: float, utterance: int) -> list[Sound]:
    """Return sentences that fill ``seconds`` exactly: silence first and last, pauses between, no word cut off.

    Test frames are the last eleventh (spec A.2), and lips can only be scored where somebody speaks. So the last silence
    takes a third of it at most, and no pause reaches into the second before the end (the last eleventh of short clips).
    """
    stop, spoken = seconds - min(0.30, seconds / 33), seconds - min(1.0, seconds / 11)
    shortest = 0.12  # no word takes less, however slow, so no more is left before ``stop``
    script = _script(stop, spoken - shortest, np.random.default_rng([31, utterance]))
    # Everything is said a little slower to fill what is left.
    ends = np.cumsum([length for _, length, _ in script])
    edges = [0.0, *(ends * stop / ends[-1]).tolist(), seconds]
    script.append(("_", seconds - stop, False))
    return [Sound(name, edges[i], edges[i + 1], stressed) for i, (name, _, stressed) in enumerate(script)]
