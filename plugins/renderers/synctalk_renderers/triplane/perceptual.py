"""LPIPS of pictures whose size only the device knows: AlexNet on canvases of a fixed size (spec G.3).

A picture lies in the corner of its canvas. Where a convolution would pad the picture with zeros, everything beyond its
extent is set to zero before the next layer reads it, so features and distance are those of the picture alone.
"""

from __future__ import annotations

import torch
import triton
from synctalk_kernels.train import pictures
from torch import Tensor, nn
from torch.nn import functional

ELEMENTS = 2048  # features a program of the distance kernel compares at once


def extents(height: int, width: int) -> list[tuple[int, int]]:
    """Return (rows, columns) of a window, and of the features of its picture after convolution 1, 2, and 3 to 5."""
    sizes = []
    for size in (height, width):
        first = (max(size, pictures.SMALLEST) + 2 * pictures.PADDING - 11) // pictures.CELL + 1
        second = (first - 3) // 2 + 1
        sizes.append((size, first, second, (second - 3) // 2 + 1))
    return list(zip(*sizes, strict=True))


class Perceptual:
    """The distance of LPIPS v0.1 with AlexNet between canvases of ``train.pictures``, and its gradient.

    Args:
        lpips: the library's module (``vision.lpips``).
        half: convolutions in half precision, as under autocast; the comparison is always in single precision.
    """

    def __init__(self, lpips: nn.Module, *, half: bool) -> None:
        dtype = torch.float16 if half else torch.float32
        convolutions = [m for m in lpips.net.modules() if isinstance(m, nn.Conv2d)]  # type: ignore[union-attr]
        weights = [c.weight.detach() for c in convolutions]
        scale, shift = (getattr(lpips.scaling_layer, n).reshape(3) for n in ("scale", "shift"))
        # x = 2 p - 1 enters as (x - shift) / scale = (p - middle) 2 / scale, and the factor goes into the weights.
        self.middle = ((1.0 + shift) / 2.0).contiguous()
        first = functional.pad(weights[0] * (2.0 / scale)[:, None, None], (0, 1, 0, 1))
        cells = first.reshape(len(first), 3, 3, pictures.CELL, 3, pictures.CELL)  # out, colour, cell row, row, ...
        weights[0] = cells.permute(0, 3, 5, 1, 2, 4).reshape(len(first), -1, 3, 3)
        self._weights = [w.to(dtype, memory_format=torch.channels_last) for w in weights]
        self._biases = [c.bias.detach().to(dtype) for c in convolutions if c.bias is not None]
        heads = [m.weight.detach() for m in lpips.lins.modules() if isinstance(m, nn.Conv2d)]  # type: ignore[union-attr]
        self._importance = [w.float().reshape(-1).contiguous() for w in heads]
        self.dtype = dtype

    def canvas(self, count: int, edge: int, device: torch.device) -> Tensor:
        """Return zeros for ``count`` pictures of up to ``edge`` pixels each way: [N, G, G, 48]."""
        grid = extents(edge, edge)[1][0] + 2
        return torch.zeros(count, grid, grid, 3 * pictures.CELL**2, dtype=self.dtype, device=device)

    def features(self, canvas: Tensor, extent: Tensor | None) -> list[Tensor]:
        """Return the five layers' features [N, C, H, W], channels last.

        Args:
            extent: int32 [4, 2] on the device, of ``extents``; none where every picture fills its canvas.
        """
        x = canvas.permute(0, 3, 1, 2)
        found: list[Tensor] = []
        inside: Tensor | None = None
        for layer, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            if layer in (1, 2):
                x = functional.max_pool2d(x, 3, 2)
                inside = None if extent is None else _inside(x, extent[layer + 1])
            if inside is not None:
                x = x * inside
            x = functional.relu(functional.conv2d(x, weight, bias, padding=(0, 2, 1, 1, 1)[layer]))
            found.append(x)
        return found

    def compare(
        self, mine: list[Tensor], theirs: list[Tensor], extent: Tensor, stats: Tensor, *, share: float, scale: float
    ) -> list[Tensor]:
        """Add the mean distance times ``share`` to stats[0]; return its gradients by ``mine``, times both factors."""
        gradients = []
        for layer, (a, b, importance) in enumerate(zip(mine, theirs, self._importance, strict=True)):
            a, b = (t.detach().contiguous(memory_format=torch.channels_last) for t in (a, b))
            count, channels, height, width = a.shape
            padded = triton.next_power_of_2(channels)
            gradient = torch.empty_like(a)
            pictures.distance_kernel[(triton.cdiv(count * height * width * padded, ELEMENTS),)](
                a, b, importance, extent[min(layer + 1, 3)], gradient, stats, count * height * width, count, share,
                scale, HEIGHT=height, WIDTH=width, CHANNELS=channels, PADDED=padded, BLOCK=ELEMENTS // padded,
                num_warps=4,
            )  # fmt: skip
            gradients.append(gradient)
        return gradients


def _inside(x: Tensor, extent: Tensor) -> Tensor:
    """Return ones in the first extent[0] rows and extent[1] columns of a square map like ``x``: [H, H]."""
    place = torch.arange(x.shape[-1], device=x.device)
    return ((place[:, None] < extent[0]) & (place < extent[1])).to(x.dtype)
