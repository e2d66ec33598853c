"""Third-party weight and data files: which there are, where they lie, and whether they are the right ones."""

from synctalk_bench.assets.registry import Asset, lookup, registry
from synctalk_bench.assets.store import AssetStatus, AssetStore

__all__ = ["Asset", "AssetStatus", "AssetStore", "lookup", "registry"]
