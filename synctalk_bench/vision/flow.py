"""RAFT-small optical flow (Teed and Deng, ECCV 2020; spec B.8) from one picture to many, with weights from a file.

The network is torchvision's ``raft_small``. It predicts one vector for each cell of 8 x 8 pixels and interpolates
between them, so the vectors of the cells are all that it knows: they are what is returned, and a clip's flow takes
1/32 of the memory of dense fields. The first picture is encoded once, and the recurrence may start from a guess.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, Final

from synctalk_bench.errors import AssetMismatch

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

CELL: Final = 8  # pixels
ITERATIONS: Final = 12  # of the recurrence (spec B.8)


def load_raft(path: Path, device: torch.device | str, *, asset: str = "raft-small") -> Raft:
    """Return RAFT-small with the weights of ``path``, frozen, in eval mode.

    The file is a state dict in the layer order of the published code, its names with or without ``module.``; or, as
    SyncTalk's face-specific weights, a dict whose ``net_C`` is one.

    Raises:
        AssetMismatch: the file is damaged or does not have RAFT-small's layers.
    """
    import torch
    from torchvision.models.optical_flow import raft_small

    # Building it draws random weights that are replaced; the caller's random stream must not notice.
    with torch.random.fork_rng(devices=[]):
        model = raft_small(weights=None, progress=False)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        values = list(stored.get("net_C", stored).values())
        names = list(model.state_dict())
        if len(values) != len(names):
            raise KeyError(f"{len(values)} tensors where RAFT-small has {len(names)}")
        # Both define the same layers in the same order under other names; load_state_dict compares every shape.
        model.load_state_dict(dict(zip(names, values, strict=True)))
    except (KeyError, TypeError, AttributeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        # The unpickler's own words advise to read the file in an unsafe way.
        why = "it cannot be read" if isinstance(error, pickle.UnpicklingError | EOFError) else error
        raise AssetMismatch(
            f"{path} is not a file of RAFT-small weights: {why}", hint=f"synctalk-bench assets verify {asset}"
        ) from error
    return Raft(model.to(device).eval().requires_grad_(False), torch.device(device))


class Raft:
    """Flow from one picture to others of the same size, at the cells' resolution."""

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model = model
        self.device = device

    def features(self, pictures: Tensor) -> Tensor:
        """Return the matching features [N, 128, H/8, W/8] of ``pictures`` [N, 3, H, W] RGB in [-1, 1]."""
        features: Tensor = self._model.feature_encoder(pictures.to(self.device))
        return features

    def flow(
        self, source: Tensor, targets: Tensor, *, start: Tensor | None = None, iterations: int = ITERATIONS
    ) -> Tensor:
        """Return where the cells of ``source`` moved to in each of ``targets``: [N, 2, H/8, W/8] x, y in pixels.

        Args:
            source: [3, H, W] RGB in [-1, 1]; H and W multiples of 8, at least 128.
            targets: [N, 3, H, W].
            start: a first guess of the result.
        """
        return self.between(source, self.features(source[None]), self.features(targets), start, iterations)

    def between(
        self,
        source: Tensor,
        source_features: Tensor,
        target_features: Tensor,
        start: Tensor | None = None,
        iterations: int = ITERATIONS,
    ) -> Tensor:
        """Return ``flow`` for pictures whose ``features`` are known: [1, 128, h, w] and [N, 128, h, w]."""
        import torch

        model, count = self._model, len(target_features)
        block = model.update_block
        model.corr_block.build_pyramid(source_features.expand(count, -1, -1, -1).contiguous(), target_features)
        context = model.context_encoder(source[None].to(self.device)).expand(count, -1, -1, -1)
        width = block.hidden_state_size
        hidden, context = torch.tanh(context[:, :width]), torch.relu(context[:, width:])
        still = cells(target_features.shape[-2:], self.device).expand(count, -1, -1, -1)
        moved = still.clone() if start is None else still + start.to(self.device) / CELL
        for _ in range(iterations):
            found = model.corr_block.index_pyramid(centroids_coords=moved)
            hidden, step = block(hidden, context, found, moved - still)
            moved = moved + step
        return (moved - still) * CELL


def cells(shape: tuple[int, ...] | torch.Size, device: torch.device | str = "cpu") -> Tensor:
    """Return the indices x, y of the cells of an h x w grid: [1, 2, h, w]."""
    import torch

    rows, columns = torch.meshgrid(*(torch.arange(n, device=device).float() for n in shape), indexing="ij")
    return torch.stack([columns, rows])[None]


def dense(flow: Tensor) -> Tensor:
    """Return ``flow`` [N, 2, h, w] at every pixel, [N, 2, 8 h, 8 w]: what RAFT-small itself gives."""
    from torch.nn.functional import interpolate

    return interpolate(flow, scale_factor=CELL, mode="bilinear", align_corners=True)
