"""The page of a run: one HTML file with its tables, charts, curves and films that works without a network."""
