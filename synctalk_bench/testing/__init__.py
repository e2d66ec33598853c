"""For plugin authors: a subject in memory, the conformance check, and two helpers for numerical tests.

``from synctalk_bench.testing.conformance import check`` is what ``synctalk-bench plugins check NAME`` runs.
"""
