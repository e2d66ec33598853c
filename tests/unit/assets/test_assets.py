"""Asset registry, search, verification, fetching and adding, on small files and a small registry."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from synctalk_bench.assets import Asset, AssetStore, lookup, registry
from synctalk_bench.assets import fetch as fetching
from synctalk_bench.assets.find import cache_dir, folders
from synctalk_bench.assets.registry import Form
from synctalk_bench.errors import AssetMismatch, ConfigError, MissingAsset, MissingFile, PrerequisiteError

CONTENT = b"weights " * 400
FULL = b"weights and a classifier " * 400


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


SMALL = Asset(
    name="small",
    summary="s",
    file="small.bin",
    paths=("weights/small/other_name.bin",),
    sha256=sha(CONTENT),
    bytes=len(CONTENT),
    forms=(Form(file="full.bin", sha256=sha(FULL), bytes=len(FULL)),),
    url="https://example.org/dir/small.bin",
    fetch="free",
    licence="MIT",
    commercial="yes",
    needed_by=("metric m",),
)
MANUAL = Asset(
    name="manual",
    summary="s",
    file="manual.bin",
    size_range=(1000, 5000),
    git_blob=hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT, usedforsecurity=False).hexdigest()[:8],
    fetch="manual",
    how="Ask the author.",
    licence="NC",
    commercial="no",
    needed_by=("audio encoder x", "metric y"),
)


@pytest.fixture
def store(tmp_path: Path) -> AssetStore:
    environ = {"SYNCTALK_BENCH_ASSETS": str(tmp_path / "own"), "SYNCTALK_BENCH_CACHE": str(tmp_path / "cache")}
    return AssetStore({a.name: a for a in (SMALL, MANUAL)}, environ)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# --- registry --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asset", registry().values(), ids=lambda asset: asset.name)
def test_every_entry_can_be_acted_on(asset: Asset) -> None:
    assert asset.sha256 == "" or (len(asset.sha256) == 64 and int(asset.sha256, 16))
    assert all(len(form.sha256) == 64 and form.bytes > 0 for form in asset.forms)
    assert asset.pinned or asset.size_range, "something must tell the right file from a web page"
    assert asset.needed_by
    assert asset.licence
    assert asset.commercial in ("yes", "no", "unknown")
    if asset.fetch == "free":
        assert asset.url.startswith("https://")
        assert asset.fetched_form.sha256, "what is fetched must be known beforehand"
    else:
        assert asset.how.endswith(".")
        assert not asset.url


def test_file_names_in_the_cache_are_unique() -> None:
    names = [name for asset in registry().values() for name in (asset.file, *(form.file for form in asset.forms))]
    assert len(names) == len(set(names))


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"no asset is named 'lpips-alex'") as caught:
        lookup("lpips-alex")
    assert "did you mean 'lpips-alexnet'?" in caught.value.hint


def test_a_folder_that_is_not_there_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there").mkdir()
    environ = {"SYNCTALK_BENCH_ASSETS": os.pathsep.join(str(tmp_path / name) for name in ("there", "ther"))}
    for _ in range(2):
        AssetStore(environ=environ)
    said = capsys.readouterr().err
    assert said == f"warning: SYNCTALK_BENCH_ASSETS names {tmp_path / 'ther'}, which is no folder; it is passed over\n"


def test_the_registry_loads_neither_torch_nor_pooch() -> None:
    code = (
        "import sys; from synctalk_bench.assets import AssetStore; AssetStore(); "
        "sys.exit(bool({'torch', 'pooch', 'requests', 'numpy', 'pandas'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_real_files_are_the_registered_ones(assets_dir: Path) -> None:
    store = AssetStore(environ={"SYNCTALK_BENCH_ASSETS": str(assets_dir), "SYNCTALK_BENCH_CACHE": "/nonexistent"})
    present = [status for status in store.status() if status.path is not None]
    assert {status.state for status in present} == {"ready"}, [s.detail for s in present]
    assert {"face-landmarker", "lpips-alexnet", "lpips-vgg16"} <= {status.asset.name for status in present}


# --- search ----------------------------------------------------------------------------------------------------------


def test_own_folders_come_before_the_cache_and_both_names_are_found(store: AssetStore, tmp_path: Path) -> None:
    cached = put(tmp_path / "cache/small.bin", CONTENT)
    assert store.path("small") == cached
    bare = put(tmp_path / "own/small.bin", CONTENT)
    assert store.path("small") == bare
    nested = put(tmp_path / "own/weights/small/other_name.bin", CONTENT)
    assert store.path("small") == nested


def test_the_folder_list_is_split_as_path_is(tmp_path: Path) -> None:
    environ = {"SYNCTALK_BENCH_ASSETS": os.pathsep.join(["/a", "", str(tmp_path)])}
    assert folders(environ) == (Path("/a"), tmp_path)
    put(tmp_path / "small.bin", CONTENT)
    assert AssetStore({"small": SMALL}, environ).path("small") == tmp_path / "small.bin"


def test_the_cache_follows_its_variables(tmp_path: Path) -> None:
    assert cache_dir({"SYNCTALK_BENCH_CACHE": "/x", "XDG_CACHE_HOME": "/y"}) == Path("/x")
    assert cache_dir({"XDG_CACHE_HOME": "/y"}) == Path("/y/synctalk-bench/assets")
    assert cache_dir({}) == Path.home() / ".cache/synctalk-bench/assets"


def test_a_missing_asset_says_who_needs_it_where_it_looked_and_what_to_type(store: AssetStore, tmp_path: Path) -> None:
    with pytest.raises(MissingAsset) as caught:
        store.path("small")
    assert "needed by: metric m" in caught.value.message
    assert "synctalk-bench assets fetch small" in caught.value.hint
    assert str(tmp_path / "own") in caught.value.where
    assert str(tmp_path / "cache") in caught.value.where
    with pytest.raises(MissingAsset, match=r"Ask the author\. Then: synctalk-bench assets add manual FILE"):
        store.path("manual")
    assert store.digest("small") is None


# --- verification ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "is a web page"),
        (b"\n  <HTML><body>log in</body></html>" + b" " * 4000, "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git-lfs pointer"),
        (CONTENT[:-1], "is truncated"),
        (CONTENT + b"x", "has the wrong size"),
        (CONTENT[:-1] + b"x", "has SHA-256"),
        (b"", "is truncated"),
    ],
)
def test_a_wrong_file_is_refused_by_name(store: AssetStore, tmp_path: Path, content: bytes, problem: str) -> None:
    path = put(tmp_path / "own/small.bin", content)
    for use in (store.path, store.digest):
        with pytest.raises(AssetMismatch, match=problem) as caught:
            use("small")
        assert "'small'" in caught.value.message
        assert caught.value.where == str(path)
        assert "synctalk-bench assets fetch small" in caught.value.hint
    status = store.status_of("small")
    assert status.state == "wrong"
    assert problem in status.detail


def test_a_file_is_read_once_until_it_changes(
    store: AssetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synctalk_bench.assets import verify as verifying

    read: list[str] = []
    digest = verifying._digest
    monkeypatch.setattr(verifying, "_digest", lambda path, *rest: read.append(path.name) or digest(path, *rest))
    path = put(tmp_path / "own/small.bin", CONTENT)
    assert store.path("small") == path
    assert store.digest("small") == sha(CONTENT)
    assert read == ["small.bin"]
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(1, 1))
    with pytest.raises(AssetMismatch):
        store.path("small")


def test_another_form_is_the_same_asset(store: AssetStore, tmp_path: Path) -> None:
    put(tmp_path / "own/full.bin", FULL)
    assert store.path("small").read_bytes() == FULL
    assert store.digest("small") == sha(CONTENT), "one content, one digest, whichever file it came in"


def test_an_unpinned_file_is_taken_by_size_and_its_hash_is_recorded(store: AssetStore, tmp_path: Path) -> None:
    path = put(tmp_path / "own/manual.bin", b"z" * 2000)
    assert store.digest("manual") == sha(b"z" * 2000)
    assert store.status_of("manual").state == "unpinned"
    path.write_bytes(CONTENT)
    assert store.status_of("manual").state == "ready", "its git object name is the known one"
    path.write_bytes(b"z" * 999)
    with pytest.raises(AssetMismatch, match="is truncated"):
        store.path("manual")


# --- fetch and add ---------------------------------------------------------------------------------------------------


def giving(content: bytes) -> Callable[[str, Path, fetching.Progress], None]:
    def downloader(url: str, target: Path, progress: fetching.Progress) -> None:
        progress(len(content) // 2, len(content))
        target.write_bytes(content)
        progress(len(content), len(content))

    return downloader


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_fetching_gives_a_verified_file_and_reports_progress(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetching.fetch(SMALL, tmp_path / "c", lambda *n: seen.append(n), downloader=giving(CONTENT))
    assert path.read_bytes() == CONTENT
    assert left_in(tmp_path / "c") == ["small.bin"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("content", [b"<!doctype html><p>404</p>", CONTENT[:100], FULL[::-1]])
def test_a_wrong_answer_leaves_nothing_behind(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(AssetMismatch):
        fetching.fetch(SMALL, tmp_path / "c", lambda *n: None, downloader=giving(content))
    assert left_in(tmp_path / "c") == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("connection reset")])
def test_an_interrupted_fetch_leaves_nothing_behind(tmp_path: Path, error: BaseException) -> None:
    def downloader(url: str, target: Path, progress: fetching.Progress) -> None:
        target.write_bytes(CONTENT[:100])
        raise error

    with pytest.raises((KeyboardInterrupt, PrerequisiteError)):
        fetching.fetch(SMALL, tmp_path / "c", lambda *n: None, downloader=downloader)
    assert left_in(tmp_path / "c") == []


def test_without_network_the_error_names_the_address_and_the_other_way(tmp_path: Path) -> None:
    import dataclasses

    asset = dataclasses.replace(SMALL, url="https://127.0.0.1:9/small.bin")  # the discard port: refused at once
    with pytest.raises(PrerequisiteError) as caught:
        fetching.fetch(asset, tmp_path / "c", lambda *n: None)
    assert caught.value.message.endswith("from https://127.0.0.1:9/small.bin: no connection to 127.0.0.1")
    assert "synctalk-bench assets add small FILE" in caught.value.hint
    assert left_in(tmp_path / "c") == []


def test_what_may_not_be_fetched_or_is_not_https_is_refused(store: AssetStore, tmp_path: Path) -> None:
    import dataclasses

    with pytest.raises(PrerequisiteError, match=r"cannot be fetched freely \(NC\)"):
        store.fetch("manual")
    with pytest.raises(PrerequisiteError, match="is not https"):
        fetching.fetch(dataclasses.replace(SMALL, url="http://a/b"), tmp_path, lambda *n: None, downloader=giving(b""))


def test_a_right_file_is_not_fetched_again_and_a_wrong_one_of_the_users_is_not_touched(
    store: AssetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_download(*_: object) -> Path:
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr(fetching, "fetch", no_download)
    path = put(tmp_path / "own/small.bin", CONTENT)
    assert store.fetch("small") == path
    path.write_bytes(b"mine")
    with pytest.raises(AssetMismatch):
        store.fetch("small")
    assert path.read_bytes() == b"mine"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    put(tmp_path / "site/small.bin", CONTENT)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **more: object) -> None:
            super().__init__(*args, directory=str(tmp_path / "site"), **more)  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_the_real_downloader_reads_from_a_server(server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetching.download(f"{server}/small.bin", tmp_path / "got", lambda *n: seen.append(n))
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert seen[-1][1] == len(CONTENT)
    with pytest.raises(OSError, match="404"):
        fetching.download(f"{server}/none.bin", tmp_path / "none", lambda *n: None)


def test_adding_copies_a_verified_file_under_its_own_name(store: AssetStore, tmp_path: Path) -> None:
    assert store.add("small", put(tmp_path / "Downloads/über (1).bin", CONTENT)) == tmp_path / "cache/small.bin"
    assert store.digest("small") == sha(CONTENT)
    assert store.add("small", put(tmp_path / "Downloads/f", FULL)) == tmp_path / "cache/full.bin"
    with pytest.raises(AssetMismatch, match="is truncated") as caught:
        store.add("small", put(tmp_path / "Downloads/half", CONTENT[:50]))
    assert "delete" not in caught.value.hint and "the right one: " in caught.value.hint
    with pytest.raises(MissingFile):
        store.add("small", tmp_path / "nothing")
    assert left_in(tmp_path / "cache") == ["full.bin", "small.bin"]


def test_a_cache_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    blocked = put(tmp_path / "file", b"")  # a file where the folder should be refuses root as well
    with pytest.raises(PrerequisiteError, match="cannot be written") as caught:
        fetching.fetch(SMALL, blocked / "cache", lambda *n: None, downloader=giving(CONTENT))
    assert "SYNCTALK_BENCH_CACHE" in caught.value.hint
