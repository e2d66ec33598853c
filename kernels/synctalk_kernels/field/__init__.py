"""The head's whole field on a tile of samples: features, attention gates, density, colour (spec E.1 - E.4)."""

from __future__ import annotations

from synctalk_kernels.field.layout import PackedWeights, level_table, matrices, pack_weights, supported

__all__ = ["PackedWeights", "level_table", "matrices", "pack_weights", "supported"]
