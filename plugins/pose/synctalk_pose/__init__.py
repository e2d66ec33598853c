"""Pose sources: where the camera stands relative to the head, one matrix a frame. ``plugin`` declares them."""
