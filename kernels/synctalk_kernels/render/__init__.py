"""A span of frames through the head's field: two launches a frame, no tensor of rays or samples between them.

This file needs no Triton; ``FrameDrawer`` imports the kernels when it is built.
"""

from __future__ import annotations

from synctalk_kernels.render.limits import obstacle

__all__ = ["obstacle"]
