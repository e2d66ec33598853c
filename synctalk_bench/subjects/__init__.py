"""Subjects: the dataset folder, the registry of names, and the built-in synthetic heads."""
