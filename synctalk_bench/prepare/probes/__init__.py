"""Looks at a video before and while it is prepared, and says what it saw with the frame numbers."""
