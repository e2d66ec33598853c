"""The documentation site builds with warnings as errors, needs nothing from elsewhere, and can be searched."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("material") is None:
        pytest.skip("mkdocs-material missing: pip install 'synctalk-bench[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there_and_in_the_menu(site: Path) -> None:
    """--strict with ``omitted_files: warn`` refuses a page that no menu has; here, that none is lost."""
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}
    assert 'href="faq.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loads = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\ssrc=[\"']?(?:https?:)?//[^>]*>|<link\b[^>]*>")
    for path in site.rglob("*.html"):
        for tag in loads.findall(path.read_text(encoding="utf-8")):
            assert "//" not in tag, f"{path.relative_to(site)}: {tag}"
    for path in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path.name


def test_search_finds_a_word(site: Path) -> None:
    found = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    assert any("bundle adjustment" in entry["text"] for entry in found)
    assert {entry["location"].partition("#")[0] for entry in found} >= {"faq.html", "quick-start.html", "index.html"}


def test_search_in_a_browser(site: Path) -> None:
    """Typing a word brings pages; nothing is asked of another machine, and nothing complains."""
    sys.path.insert(0, str(ROOT / "tests" / "browser"))
    from chromium import chromium, find_chromium

    command = find_chromium()
    if command is None:
        pytest.skip("chromium missing")
    files = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), files) as server, chromium(command) as browser:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here, page = f"http://127.0.0.1:{server.server_port}/", browser.page()
        page.call("Page.navigate", url=f"{here}index.html")
        box = "document.querySelector('[data-md-component=search-query]')"
        page.until(f"document.readyState == 'complete' && !!{box}")
        page.js(f"{box}.focus(), {box}.value = 'stabilizer', {box}.dispatchEvent(new Event('keyup'))")
        page.until("document.querySelectorAll('.md-search-result__item').length > 0")
        found = page.js("[...document.querySelectorAll('.md-search-result__link')].map(link => link.href)")
        assert any("stabilizer.html" in address for address in found)
        assert not page.errors and all(address.startswith(here) for address in page.requests)
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *arguments: object) -> None:
        pass
