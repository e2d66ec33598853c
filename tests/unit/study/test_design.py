"""Orders: balanced sets, places and neighbours; codes that lead to the same order in Python and in the page."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest

from synctalk_bench.study.design import codes, identifiers, row_of, rows, sequences


def grid(methods: int, items: int) -> list[list[str]]:
    return [[f"m{method}i{item}" for method in range(methods)] for item in range(items)]


@pytest.mark.parametrize(("methods", "items"), [(8, 3), (3, 1), (3, 3), (2, 2), (1, 1), (5, 2)])
def test_all_clips_every_place_and_every_neighbour_equally_often(methods: int, items: int) -> None:
    orders = sequences(grid(methods, items), methods * items, random.Random(1))
    count = methods * items
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    for place in range(count):
        assert len(set(Counter(order[place] for order in orders).values())) == 1
        assert {order[place] for order in orders} == set(orders[0])
    neighbours = Counter(pair for order in orders for pair in pairwise(order))
    assert len(neighbours) == count * (count - 1)
    assert len(set(neighbours.values())) <= 1


@pytest.mark.parametrize(("methods", "items", "shown"), [(4, 3, 4), (4, 3, 8), (3, 5, 6), (2, 7, 4), (6, 4, 18)])
def test_some_clips_no_clip_and_no_method_before_another(methods: int, items: int, shown: int) -> None:
    orders = sequences(grid(methods, items), shown, random.Random(2))
    assert len(orders) == methods * items
    seen: Counter[str] = Counter({clip: 0 for row in grid(methods, items) for clip in row})
    for order in orders:
        assert len(set(order)) == shown
        assert set(Counter(clip.split("i")[0] for clip in order).values()) == {shown // methods}
        seen.update(order)
        assert max(seen.values()) - min(seen.values()) <= 1  # after any number of participants
    for place in range(shown):
        assert set(Counter(order[place] for order in orders).values()) == {1}


def test_a_number_that_is_no_multiple_of_the_methods_stays_balanced_over_clips() -> None:
    seen: Counter[str] = Counter()
    for order in sequences(grid(4, 3), 5, random.Random(3)):
        seen.update(order)
    assert set(seen.values()) == {5}


def test_checks_stand_at_places_of_their_own() -> None:
    orders = sequences(grid(3, 2), 6, random.Random(4))
    made = rows(orders, 2, 5, random.Random(5))
    for row in made:
        places = [check.at for check in row.checks]
        assert len(set(places)) == 2 and min(places) > 0 and max(places) < 6
        assert all(0 <= check.before <= 5 and 1 <= check.value <= 5 for check in row.checks)
    assert len({row.checks for row in made}) > 1
    everywhere = rows([["a"]], 1, 5, random.Random(5))
    assert everywhere[0].checks[0].at == 0
    assert rows([["a"]], 0, 5, random.Random(5))[0].checks == ()


def test_the_same_seed_gives_the_same_study() -> None:
    def everything(seed: int) -> object:
        rng = random.Random(seed)
        return identifiers(6, rng), sequences(grid(3, 2), 4, rng), codes(5, rng)

    assert everything(7) == everything(7) != everything(8)


def test_codes_lead_to_orders_in_turn() -> None:
    issued = codes(7, random.Random(9))
    assert len(set(issued)) == 7 and all(len(code) == 6 and not set(code) & set("01ILO") for code in issued)
    assert [row_of(code, issued, 3, open_to_all=False) for code in issued] == [0, 1, 2, 0, 1, 2, 0]
    assert row_of("somebody", issued, 3, open_to_all=False) is None


def test_open_codes_are_hashed_with_fnv_1a() -> None:
    # Published values of the 32-bit function: draft-eastlake-fnv.
    for code, value in (("a", 0xE40C292C), ("foobar", 0xBF9CF968)):
        assert row_of(code, (), 2**32, open_to_all=True) == value
    assert row_of("foobar", (), 7, open_to_all=True) == 0xBF9CF968 % 7
