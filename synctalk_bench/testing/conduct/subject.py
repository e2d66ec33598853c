"""What a subject that is made without a video owes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from synctalk_bench.testing.bench import Bench, Try, require


def subject(bench: Bench) -> Iterator[Try]:
    """Yield the checks of ``SubjectSource.write``."""
    import hashlib

    from synctalk_bench.subjects.folder import FolderScene, open_subject

    written: dict[str, dict[str, str]] = {}

    def write(name: str) -> dict[str, str]:
        root = bench.folder / name
        if name not in written:
            root.mkdir(exist_ok=True)  # it is there when an earlier check failed in between
            bench.make(True).write(root, progress=partial(_progress, [0]))
            files = sorted(path for path in root.rglob("*") if path.is_file())
            written[name] = {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
        return written[name]

    def layout() -> str:
        write("first")
        made = open_subject(bench.folder / "first", name=bench.spec.name, digest="")
        scene = FolderScene(made)
        for k in (0, made.frames - 1):
            for layer in ("ori", "gt", "torso"):
                scene.image(layer, k)
            scene.landmarks(k)
        scene.blendshapes()
        scene.poses("transforms")
        return f"{made.frames} frames of {made.width} x {made.height}"

    def repeats() -> str:
        first, second = write("first"), write("second")
        other = [name for name in first.keys() | second.keys() if first.get(name) != second.get(name)]
        require(not other, f"written twice, {len(other)} files differ: {', '.join(sorted(other)[:3])}")
        return f"{len(first)} files"

    yield "the official layout", layout
    yield "same seed, same bytes", repeats


def _progress(seen: list[int], done: int, total: int) -> None:
    require(0 <= done <= total, f"progress({done}, {total})")
    require(done >= seen[-1], f"progress went back from {seen[-1]} to {done}")
    seen.append(done)
