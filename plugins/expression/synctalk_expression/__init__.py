"""Expression sources: what the upper face does, one row a frame. ``plugin`` declares them."""
