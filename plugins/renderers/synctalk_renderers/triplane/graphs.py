"""Launches recorded once as CUDA graphs and replayed, and streams beside the main one; plain calls without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class Recorder:
    """The graphs of one run, by name. What is recorded must not ask the host and must keep its tensors' addresses."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._graphs: dict[str, Callable[[], None]] = {}

    def play(self, name: str, launch: Callable[[], None]) -> None:
        """Run ``launch``; on a GPU it runs once, is recorded, and from the second call on replayed."""
        if self._device.type != "cuda":
            launch()
            return
        if name in self._graphs:
            self._graphs[name]()
            return
        # The first call compiles, and lets the libraries make their handles and workspaces, off the main stream.
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            launch()
        torch.cuda.current_stream(self._device).wait_stream(stream)
        torch.cuda.synchronize(self._device)
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            launch()
        self._graphs[name] = recorded.replay


class SideStream:
    """A stream for what may run beside the main one; without a GPU everything runs in order."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Within it, work goes to this stream, behind what the current stream was given so far."""
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            yield

    def join(self) -> None:
        """Let the current stream wait for this one."""
        if self._stream is not None:
            torch.cuda.current_stream().wait_stream(self._stream)
