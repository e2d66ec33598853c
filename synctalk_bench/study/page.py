"""The participant's page: one HTML file with its style, script and the study in it, and the clips in a folder beside.

It works from ``file://`` and from any static host. Its content security policy lets it load its own clips and hand
answers in to its own host; nothing else can be asked for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from synctalk_bench.errors import Damaged
from synctalk_bench.study.files import STUDY

PAGE: Final = "index.html"
CLIPS: Final = "clips"
_WEB = Path(__file__).with_name("web")
_DATA = re.compile(r'<script type="application/json" id="study">(.*?)</script>', re.DOTALL)


def page(manifest: Mapping[str, Any]) -> str:
    """Return the page of a study, from the public part of its key and its questionnaire."""
    style, script = ((_WEB / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = {
        "default-src": "'none'",
        "media-src": "'self'",
        "connect-src": "'self'",
        "style-src": _hashed(style),
        "script-src": _hashed(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return Template((_WEB / "page.html").read_text(encoding="utf-8")).substitute(
        policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        title=escape(str(manifest["title"])),
        style=style,
        script=script,
        # No text of the study can end the element that holds it.
        study=json.dumps(manifest, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c"),
    )


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the study that the page at ``path`` holds, None when it is another page or none.

    Raises:
        Damaged: it is a study's page, and the study in it cannot be read.
    """
    try:
        found = _DATA.search(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    if found is None:
        return None
    try:
        manifest = json.loads(found[1])
    except ValueError as error:
        raise Damaged(f"the study in {path} cannot be read: {error}", hint="make it again") from error
    if not isinstance(manifest, dict) or manifest.get("kind") != STUDY:
        return None
    return manifest
