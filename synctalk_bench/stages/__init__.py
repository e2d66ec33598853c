"""The stages of a run: artifact in, artifact out."""
