"""Scenes for the check that what is called predicted was not looked up in the frames that a test compares it with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from synctalk_bench.testing.bench import Failure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from synctalk_bench.protocols import Layer
    from synctalk_bench.testing.memory_scene import MemoryScene


class Blind:
    """A scene without its test frames: only channels, the sound, the clean plate and the layers ``given`` are there.

    Args:
        hint: stands behind what is said of a look.
    """

    def __init__(self, scene: MemoryScene, *, given: tuple[Layer, ...] = (), hint: str = "") -> None:
        self._scene, self._given, self._hint = scene, given, hint

    def __getattr__(self, name: str) -> Any:
        if name in ("blendshapes", "action_unit", "poses"):
            raise Failure(f"it asks the subject for '{name}'; what drives it is a channel that its spec requires")
        return getattr(self._scene, name)

    def image(self, layer: Layer, frame: int) -> NDArray[np.uint8]:
        """Return a picture that is given, or one of a training frame."""
        if layer not in self._given:
            self._look(f"the picture '{layer}'", frame)
        return self._scene.image(layer, frame)

    def landmarks(self, frame: int) -> NDArray[np.float32]:
        """Return those of a training frame."""
        self._look("the landmarks", frame)
        return self._scene.landmarks(frame)

    def _look(self, what: str, frame: int) -> None:
        if frame >= self._scene.subject.test.first:
            raise Failure(f"it looks at {what} of frame {frame}, which a test would not know{self._hint}")


class OtherTest:
    """A scene whose test frames all show what frame 0 shows; its channels and its sound are as they were."""

    def __init__(self, scene: MemoryScene) -> None:
        self._scene = scene

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scene, name)

    def _instead(self, frame: int) -> int:
        return 0 if frame >= self._scene.subject.test.first else frame

    def _rows(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        values = values.copy()
        values[self._scene.subject.test.first :] = values[0]
        return values

    def image(self, layer: Layer, frame: int) -> NDArray[np.uint8]:
        """Return a picture."""
        return self._scene.image(layer, self._instead(frame))

    def landmarks(self, frame: int) -> NDArray[np.float32]:
        """Return the landmarks."""
        return self._scene.landmarks(self._instead(frame))

    def blendshapes(self) -> NDArray[np.float64]:
        """Return the blendshapes."""
        return self._rows(self._scene.blendshapes())

    def action_unit(self, name: str) -> NDArray[np.float64]:
        """Return an action unit."""
        return self._rows(self._scene.action_unit(name))

    def poses(self, source: Literal["tracker", "transforms"]) -> NDArray[np.float64]:
        """Return the poses."""
        return self._rows(self._scene.poses(source))
