"""The guide is followed to the letter: its files are written and its commands typed in their order, in a fresh venv."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "adding-a-component.md"
END = "## When it does not work"
METHOD = "## A whole method"
# A line that is a file's name, then its content; or a command; or what a command prints.
BLOCK = re.compile(r"(?:^`(?P<name>[^`\n]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "@@ {}"

pytestmark = pytest.mark.timeout(600)  # half a minute on an idle machine; a run, a check and tests share it with others


@dataclass(frozen=True)
class Followed:
    """What came of it: where the reader is at the end, and what each command block printed."""

    folder: Path
    sandbox: Any
    printed: dict[str, str]  # commands -> output


def blocks(method: bool = False) -> list[re.Match[str]]:
    """What is to be written and typed: up to the end of the walk, or of the section on a whole method."""
    page = GUIDE.read_text()
    return list(BLOCK.finditer(page.partition(METHOD)[2] if method else page.partition(END)[0]))


def as_script(method: bool = False) -> str:
    """The page as a shell script: a file is a here-document, in the folder where the reader is by then."""
    parts = []
    for number, block in enumerate(blocks(method)):
        if block["name"]:
            parts.append(f"cat > {block['name']} <<'END OF FILE'\n{block['text']}END OF FILE\n")
        elif block["kind"] == "bash":
            parts.append(f"echo '{MARK.format(number)}'\n{block['text']}")
    return "".join(parts)


def follow(shell: Any, folder: str, *, method: bool = False) -> Followed:
    done = shell.run(as_script(method))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    pieces = re.split(r"^@@ (\d+)\n", done.stdout, flags=re.MULTILINE)[1:]
    commands = {str(number): block["text"] for number, block in enumerate(blocks(method))}
    printed = {commands[number]: text for number, text in zip(pieces[::2], pieces[1::2], strict=True)}
    return Followed(shell.folder / folder, shell.sandbox, printed)


@pytest.fixture(scope="module")
def followed(shell: Any) -> Followed:
    return follow(shell, "voicing")


@pytest.fixture(scope="module")
def painting(shell: Any, followed: Followed) -> Followed:
    """The section on a whole method, in the same shell: it uses the encoder and the subject of the walk."""
    return follow(shell, "painting", method=True)


def test_what_the_page_says_is_printed_is_printed(followed: Followed) -> None:
    shown, before = 0, ""
    for block in blocks():
        if block["kind"] == "bash":
            before = block["text"]
        elif block["kind"] == "text":
            shown += 1
            assert block["text"].rstrip() in followed.printed[before], before
    assert shown == 3


def test_the_check_passes_whole(followed: Followed) -> None:
    checked = followed.printed["synctalk-bench plugins check voicing\n"]
    assert checked.count("  ok  ") == 8 and "failed" not in checked and "skipped" not in checked


def test_the_run_used_it(followed: Followed) -> None:
    (run,) = (followed.folder / "workspace" / "runs").glob("quick-*")
    (train,) = (followed.folder / "workspace" / "store" / "features" / "voicing").iterdir()
    assert (train / "DONE").is_file() and (run / "results.jsonl").read_text().count('"variant"') >= 1
    assert list((run / "films").glob("*.mp4"))
    (printed,) = (text for command, text in followed.printed.items() if "synctalk-bench run" in command)
    assert "PSNR" in printed and "quick" in printed
    (planned,) = (text for command, text in followed.printed.items() if "plan --preset voicing.toml" in command)
    assert "features voicing" in planned and "features mel" in planned


def test_every_file_of_the_package_is_on_the_page(followed: Followed) -> None:
    here = {str(path.relative_to(followed.folder)) for path in followed.folder.rglob("*.py")}
    assert here == {
        *(f"synctalk_voicing/{name}.py" for name in ("__init__", "plugin", "configs", "encoder")),
        "tests/test_voicing.py",
    }


def test_preset_resolves(followed: Followed) -> None:
    preset, sandbox = str(followed.folder / "voicing.toml"), followed.sandbox
    done = sandbox.cli("config", "show", "--preset", preset, "--set", "audio.slices=16", "--json")
    assert done.returncode == 2 and "slices" in done.stderr, "mel has no slices, and an override reaches every variant"
    done = sandbox.cli("config", "show", "--preset", preset, "--set", "variant.voicing.audio.slices=16")
    assert done.returncode == 0, done.stderr
    assert "variant mel" in done.stdout and "variant voicing" in done.stdout and "slices" in done.stdout


def test_options_are_checked_before_torch_is_loaded(followed: Followed) -> None:
    found = followed.sandbox.json(
        "import json, sys\n"
        "from synctalk_bench.config.coerce import build_config\n"
        "from synctalk_bench.errors import ConfigError\n"
        "from synctalk_bench.plugins.manager import plugins\n"
        "from synctalk_bench.specs import Kind\n"
        "config = plugins().find(Kind.AUDIO, 'voicing').spec.config\n"
        "try:\n"
        "    build_config(config, {'slices': 100}, prefix='audio', origins={})\n"
        "except ConfigError as error:\n"
        "    print(json.dumps([error.message, 'torch' in sys.modules]))"
    )
    assert found == ["100 is too large; at most 64 is allowed", False]


def test_every_kind_and_hook_of_the_table_exists() -> None:
    from synctalk_bench import protocols
    from synctalk_bench.plugins.manager import HOOK_OF_KIND

    rows = re.findall(r"^\| (\w+) \| `(synctalk_bench_\w+)` \| `(\w+)` \|", GUIDE.read_text(), re.MULTILINE)
    assert {kind: hook for kind, hook, _ in rows} == {str(kind): hook for kind, hook in HOOK_OF_KIND.items()}
    assert all(hasattr(protocols, protocol) for _, _, protocol in rows)


def test_the_method_keeps_its_contract(painting: Followed) -> None:
    (checked,) = (text for command, text in painting.printed.items() if "plugins check" in command)
    (shown,) = (block["text"] for block in blocks(method=True) if block["kind"] == "text")
    assert shown in checked
    assert checked.count("  ok  ") == 13 and "failed" not in checked and "skipped" not in checked
    assert "it says that it predicts no more than 'mouth'" in checked


def test_the_method_is_trained_and_scored_in_columns_of_its_own(painting: Followed) -> None:
    (run,) = (painting.folder.parent / "voicing" / "workspace" / "runs").glob("painting-*")
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    scores = {(row["variant"], row["score"]["metric"]): row["score"] for row in rows if not row["control"]}
    assert scores.keys() == {(name, metric) for name in ("mel", "voicing") for metric in ("psnr", "psnr-lips")}
    assert {score["protocol"] for score in scores.values()} == {"head (mouth)"}
    # The frame around the square is given; the square was learned, and hears.
    assert all(score["mean"] > 15 for score in scores.values())
    assert scores["mel", "psnr"]["mean"] != scores["voicing", "psnr"]["mean"]
    assert len(list((run / "films").glob("*.mp4"))) == 2
