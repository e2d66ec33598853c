"""Training on a corpus of many people, before any subject is seen: corpora of face crops and sound, and the loop."""
