"""From request targets to files: what is inside is found, what is outside is not; ranges as the standard has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from synctalk_bench.serve.files import Part, content_type, find, listing, part_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside.txt").write_text("secret")
    root = tmp_path / "served"
    (root / "films" / "über & co").mkdir(parents=True)
    (root / "films" / "über & co" / "a b.mp4").write_bytes(b"film")
    (root / "index.html").write_text("page")
    (root / ".lease").write_text("hidden")
    (root / "study.key.json").write_text("key")
    (root / "OTHER.KEY.JSON").write_text("key")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("hidden")
    (root / "link-out").symlink_to(tmp_path / "outside.txt")
    (root / "dir-out").symlink_to(tmp_path)
    (root / "link-in").symlink_to(root / "index.html")
    (root / "link-hidden").symlink_to(root / ".lease")
    (root / "loop").symlink_to(root / "loop")
    return root.resolve()


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/", "."),
        ("/index.html", "index.html"),
        ("/index.html?x=../..#y", "index.html"),
        ("//index.html", "index.html"),
        ("/films/%C3%BCber%20%26%20co/a%20b.mp4", "films/über & co/a b.mp4"),
        ("/films/", "films"),
        ("/link-in", "index.html"),
    ],
)
def test_what_is_inside_is_found(root: Path, target: str, found: str) -> None:
    assert find(root, target) == root / found


@pytest.mark.parametrize(
    "target",
    [
        "/../outside.txt", "/%2e%2e/outside.txt", "/films/../../outside.txt", "/films/..%2f..%2foutside.txt",
        "/..%5coutside.txt", "/%2e%2e%2foutside.txt", "/....//outside.txt", "//etc/passwd", "/%2fetc/passwd",
        "/etc/passwd", "http://127.0.0.1/index.html", "*", "", "index.html", "/index.html/", "/index.html%00.txt",
        "/link-out", "/dir-out/outside.txt", "/dir-out", "/loop", "/.lease", "/.git/config", "/.git/", "/link-hidden",
        "/films/.", "/nothing", "/study.key.json", "/OTHER.KEY.JSON", "/%FF%FE", "/" + "a" * 5000, "/" + "a/" * 3000,
    ],
)  # fmt: skip
def test_what_is_outside_or_hidden_is_not(root: Path, target: str) -> None:
    assert find(root, target) is None


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-0", Part(0, 1)),
        ("bytes=10-19", Part(10, 20)),
        ("bytes=90-", Part(90, 100)),
        ("bytes=90-1000", Part(90, 100)),
        ("bytes=-10", Part(90, 100)),
        ("bytes=-1000", Part(0, 100)),
        ("bytes=0-", Part(0, 100)),
        ("bytes=20-10", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("lines=0-1", None),
        ("bytes=0-" + "9" * 30, None),
    ],
)
def test_ranges(header: str | None, part: Part | None) -> None:
    assert part_of(header, 100) == part


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_ranges_behind_the_end(header: str) -> None:
    with pytest.raises(ValueError, match="range"):
        part_of(header, 100)


def test_types_do_not_depend_on_the_machine() -> None:
    assert content_type(Path("a.MP4")) == "video/mp4"
    assert content_type(Path("a.html")) == "text/html; charset=utf-8"
    assert content_type(Path("a.safetensors")) == "application/octet-stream"


def test_a_listing_shows_links_that_lead_there_and_nothing_hidden(root: Path) -> None:
    page = listing(root, root / "films")
    assert 'href="%C3%BCber%20%26%20co/"' in page and "über &amp; co/" in page and 'href="../"' in page
    top = listing(root, root)
    odd = Path(os.fsdecode(os.fsencode(root) + b"/films/\xff.txt"))
    odd.write_text("not named in UTF-8")
    assert 'href="%FF.txt"' in listing(root, root / "films") and find(root, "/films/%FF.txt") == odd
    assert "lease" not in top and ".git" not in top and "key.json" not in top and "../" not in top
