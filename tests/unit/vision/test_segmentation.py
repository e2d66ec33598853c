"""Mixture, random walker and the parser, on pictures whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from synctalk_bench.vision import celebamask as ids
from synctalk_bench.vision import landmarks as marks
from synctalk_bench.vision.landmark_colour import Frame, label, learn
from synctalk_bench.vision.mixture import fit, look_up, table
from synctalk_bench.vision.walker import edge_weights, walk


def test_mixture_finds_its_components_and_is_a_density() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal([40, 60, 80], 6, (3000, 3)), rng.normal([190, 120, 90], [12, 5, 5], (1000, 3))])
    found = fit(points, 2, seed=1)
    order = np.argsort(found.means[:, 0])
    np.testing.assert_allclose(found.means[order], [[40, 60, 80], [190, 120, 90]], atol=1.5)
    np.testing.assert_allclose(found.weights[order], [0.75, 0.25], atol=0.02)
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, 4.0) + 2] * 3, indexing="ij"), -1).reshape(-1, 3)
    assert np.exp(found.log_density(grid)).sum() * 64 == pytest.approx(1, abs=0.02)
    again = fit(points, 2, seed=1)
    np.testing.assert_array_equal(found.means, again.means)
    assert len(fit(np.full((30, 3), 9.0), 5).weights) == 1


def test_table_looks_up_the_density() -> None:
    found = fit(np.random.default_rng(0).normal(120, 20, (2000, 3)), 1)
    lut = table(found, lambda rgb: rgb)
    colours = np.array([[[118, 122, 126], [250, 2, 130]]], np.uint8)
    want = found.log_density(colours.reshape(-1, 3).astype(float))
    np.testing.assert_allclose(look_up(lut, colours)[0], want, atol=0.6)


def test_walker_solves_its_equations_and_stops_at_edges() -> None:
    picture = np.full((20, 24, 3), 60, np.uint8)
    picture[:, 13:] = 160
    belief, trust = np.full((20, 24), 0.5, np.float32), np.full((20, 24), 1e-3, np.float32)
    belief[10, 2], belief[10, 21] = 1, 0
    trust[10, 2] = trust[10, 21] = 10
    weights = edge_weights(picture)
    x = walk(weights, belief, trust, steps=2000)
    assert x[:, :13].min() > 0.8 and x[:, 13:].max() < 0.2
    # The same by a dense solve.
    index = np.arange(480).reshape(20, 24)
    system = np.diag(trust.ravel().astype(float))
    for w, a, b in ((weights[0], index[:-1], index[1:]), (weights[1], index[:, :-1], index[:, 1:])):
        for value, i, j in zip(w.ravel(), a.ravel(), b.ravel(), strict=True):
            system[i, i] += value
            system[j, j] += value
            system[i, j] -= value
            system[j, i] -= value
    dense = np.linalg.solve(system, (trust * belief).ravel().astype(float)).reshape(20, 24)
    np.testing.assert_allclose(x, dense, atol=5e-3)


def cartoon(size: int, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A drawn person before a two-coloured wall: frame, truth (0 wall, 1 head, 2 neck, 3 clothes), points."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    x = x - shift
    rng = np.random.default_rng(int(shift * 1000) + 500)
    truth = np.zeros((size, size), int)
    truth[(y > 0.78 + 0.5 * np.abs(x - 0.5) ** 1.5) & (np.abs(x - 0.5) < 0.45)] = 3
    truth[(y > 0.6) & (y < 0.82) & (np.abs(x - 0.5) < 0.1)] = 2
    hair = ((x - 0.5) / 0.2) ** 2 + ((y - 0.4) / 0.27) ** 2 < 1
    face = ((x - 0.5) / 0.16) ** 2 + ((y - 0.46) / 0.22) ** 2 < 1
    truth[hair & (y < 0.5)] = 1
    truth[face] = 1
    frame = np.where((x + shift < 0.5)[..., None], (90, 130, 90), (150, 150, 170)).astype(float)
    for where, colour in (
        (truth == 3, (40, 40, 90)),
        (truth == 2, (180, 130, 105)),
        (truth == 1, (60, 40, 25)),
        (face, (205, 150, 125)),
    ):
        frame[where] = colour
    frame = np.clip(frame + rng.normal(0, 4, frame.shape), 0, 255).astype(np.uint8)
    # Landmarks: the oval lies on the face's edge but for the hairline; all else is somewhere inside.
    points = np.full((478, 2), 0.5)
    points[:, 1] = 0.46
    turn = np.linspace(0, 2 * np.pi, len(marks.OVAL), endpoint=False)
    points[list(marks.OVAL)] = np.stack([0.5 + 0.16 * np.sin(turn), 0.46 - 0.2 * np.cos(turn)], -1)
    points[152] = (0.5, 0.68)
    for outline, at, wide, tall in (
        (marks.EYE_RIGHT, (0.43, 0.42), 0.03, 0.012),
        (marks.EYE_LEFT, (0.57, 0.42), 0.03, 0.012),
        (marks.LIPS_OUTER, (0.5, 0.58), 0.05, 0.025),
        (marks.LIPS_INNER, (0.5, 0.58), 0.035, 0.006),
    ):
        turn = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
        points[list(outline)] = np.stack([at[0] - wide * np.cos(turn), at[1] - tall * np.sin(turn)], -1)
    points[list(marks.BROW_RIGHT + marks.BROW_LEFT), 1] = 0.38
    return frame, truth, ((points + np.array([shift, 0])) * size).astype(np.float32)


def test_parser_on_a_drawn_person() -> None:
    clip = [cartoon(192, shift) for shift in np.linspace(-0.04, 0.04, 10)]
    model = learn([frame for frame, _, _ in clip], [Frame.of(points, 192) for _, _, points in clip])
    for frame, truth, points in clip[::3]:
        labels = label(model, frame, points)
        head = np.isin(labels, [*range(1, 14), 17, 18])
        for mask, value, least in ((head, 1, 0.93), (labels == ids.NECK, 2, 0.7), (labels == ids.CLOTH, 3, 0.9)):
            inside, either = (mask & (truth == value)).sum(), (mask | (truth == value)).sum()
            assert inside / either > least, (value, inside / either)
        assert ((labels == 0) == (truth == 0)).mean() > 0.98
        x, y = (int(v) for v in points[marks.EYE_LEFT[0]])
        assert labels[y, x + 3] == ids.EYE_R
        mouth = points[list(marks.LIPS_INNER)].mean(0).astype(int)
        assert labels[mouth[1], mouth[0]] == ids.MOUTH
        np.testing.assert_array_equal(labels, label(model, frame, points))
