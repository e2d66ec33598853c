"""Audio encoders: sound to one feature block a video frame. ``plugin`` declares them, nothing here imports torch."""
