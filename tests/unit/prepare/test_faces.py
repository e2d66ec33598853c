"""What is said of boxes around faces, and when they are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synctalk_bench.errors import NoFace
from synctalk_bench.prepare.probes.faces import Seen, best_run, look, refuse

BOX = (200.0, 150.0, 400.0, 350.0)


def seen(boxes: list[list[tuple[float, ...]]]) -> Seen:
    return Seen.of([np.array(b, float).reshape(-1, 4) for b in boxes], 512, 512)


def test_one_face_throughout_needs_no_word() -> None:
    assert look(seen([[BOX]] * 50), 0) == []
    refuse(seen([[BOX]] * 50), 0, Path("a.mp4"), cropped=False, face="only")


def test_a_far_smaller_face_does_not_count() -> None:
    passer_by = (10.0, 10.0, 50.0, 50.0)
    assert seen([[BOX, passer_by]]).count.tolist() == [1]
    assert seen([[BOX, (10.0, 10.0, 110.0, 110.0)]]).count.tolist() == [2]


def test_leaving_is_told_apart_from_not_being_there() -> None:
    at_border = (330.0, 150.0, 530.0, 350.0)
    leaves = seen([[BOX]] * 60 + [[at_border]] * 3 + [[]] * 10 + [[at_border]] * 2 + [[BOX]] * 25)
    face, border = look(leaves, 100)
    assert face.text == "the face leaves the picture" and face.spans == ((163, 172),)
    assert border.spans == ((160, 162), (173, 174)) and "5 frames" in border.text
    assert face.advice == "the longest run without: --start 4.00 --seconds 2.52"
    with pytest.raises(NoFace, match=r"10 of 100 frames of a\.mp4: video frames 163-172 \(it leaves") as caught:
        refuse(leaves, 100, Path("a.mp4"), cropped=False, face="only")
    assert "--start 4.00 --seconds 2.52" in caught.value.hint
    turned = seen([[BOX]] * 30 + [[]] * 3 + [[BOX]] * 67)
    (face,) = look(turned, 0)
    assert face.text == "no face is seen"
    refuse(turned, 0, Path("a.mp4"), cropped=False, face="only")  # 3 %: made up from their neighbours later
    refuse(leaves, 0, Path("a.mp4"), cropped=True, face="only")  # after the crop it may be found


def test_two_faces_are_refused_unless_the_largest_is_asked_for() -> None:
    two = seen([[BOX]] * 40 + [[BOX, (10.0, 10.0, 150.0, 150.0)]] * 10)
    with pytest.raises(NoFace, match=r"10 of 50 frames .*video frames 40-49") as caught:
        refuse(two, 0, Path("a.mp4"), cropped=False, face="only")
    assert "--face largest" in caught.value.hint
    refuse(two, 0, Path("a.mp4"), cropped=False, face="largest")
    assert "two faces" in look(two, 0)[0].line


def test_a_small_head() -> None:
    (finding,) = look(seen([[(200.0, 200.0, 260.0, 260.0)]] * 30), 0)
    assert finding.what == "small" and "60 pixels from brows to chin" in finding.text


def test_no_advice_for_runs_that_are_too_short() -> None:
    assert best_run(np.ones(49, bool), 0) == "" and best_run(np.zeros(99, bool), 0) == ""
    assert best_run(np.ones(50, bool), 25) == "--start 1.00 --seconds 2.00"
