"""Train, render and score audio-driven talking heads with numbers that can be compared."""

__version__ = "0.1.0"
