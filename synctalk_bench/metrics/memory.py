"""What is known of a clip already: two metrics on the same verdict or features, or many renders of one truth."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from synctalk_bench.artifacts import Clip

Known = TypeVar("Known")


def digest(clip: Clip) -> str:
    """Return the SHA-256 over the clip's frames, their numbers and its sound."""
    total = hashlib.sha256(f"{clip.span.first} {clip.span.stop} {clip.fps}".encode())
    for path in (*(clip.frame(k) for k in clip.span.frames), *([clip.audio] if clip.audio else [])):
        content = path.read_bytes() if path.is_file() else b"missing"
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()


class Memory(Generic[Known]):
    """The last ``most`` things that this process worked out, by key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[tuple[str, ...], Known] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[str, ...], make: Callable[[], Known]) -> Known:
        """Return what ``key`` stands for, making it when it is new; one at a time, since a model fills the machine."""
        with self._lock:
            if key not in self._known:
                self._known[key] = make()
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]

    def clear(self) -> None:
        """Forget everything, as for a measurement of speed."""
        with self._lock:
            self._known.clear()
