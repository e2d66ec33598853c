"""What the page under test is made of: two subjects whose test frames say which they are, and labels that bite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fake_components import write_blocks
from fake_runs import preset_text
from PIL import Image

from synctalk_bench.subjects.layout import Layout, split_at

FRAMES = 220
FIRST = split_at(FRAMES)
STEP = 12  # grey levels from one test frame to the next: what is seen tells which frame it is
HOSTILE = '<img src=x onerror="window.hacked=1"> & "two" </script>'

VARIANTS = f"""[variant.ours]
[variant.hostile]
label = '''{HOSTILE}'''
renderer.steps = 1
[variant.broken]
label = "a component that fails"
audio.fail = true
"""
PRESET = preset_text(VARIANTS, {"summary": "<b>not bold</b>", "subjects": ["one", "two"], "seeds": [0, 1]})


def write_subject(root: Path, *, falling: bool) -> None:
    """Write a subject whose test frames are plain grey, each of its own level."""
    write_blocks(root, FRAMES)
    for k in range(FRAMES):
        level = STEP * (k - FIRST) if k >= FIRST else 90 + k
        if falling and k >= FIRST:
            level = STEP * (FRAMES - 1 - k)
        Image.fromarray(np.full((12, 16, 3), min(level, 255), np.uint8)).save(Layout(root).gt(k), quality=98)
