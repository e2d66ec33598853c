"""Pictures inside a page's text."""

from __future__ import annotations

import base64
import io
from typing import Any


def jpeg_uri(image: Any, *, quality: int = 82) -> str:
    """Return a PIL picture as a ``data:`` address of a JPEG."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
