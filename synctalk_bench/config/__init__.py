"""Presets: loading, overriding and checking them, with the origin of every value."""
