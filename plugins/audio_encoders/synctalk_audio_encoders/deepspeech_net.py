"""The network of Mozilla DeepSpeech 0.1: three dense layers, a bidirectional LSTM, two dense layers (spec C.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synctalk_audio_encoders.frozen_graph import read_constants
from synctalk_bench.errors import AssetMismatch

INPUTS = 494  # 19 rows of 26 cepstra
HIDDEN = 2048
CLASSES = 29  # blank of CTC, space, apostrophe, a ... z
CLIP = 20.0  # the upper bound of the rectified layers
FORGET_BIAS = 1.0  # BasicLSTMCell adds it to the stored bias of the forget gate
BLOCK = 500  # rows at once: 10 s

DENSE = ("1", "2", "3", "5", "6")  # layer 4 is the recurrent one
CELLS = {
    "forward_cell": "bidirectional_rnn/fw/basic_lstm_cell",
    "backward_cell": "bidirectional_rnn/bw/basic_lstm_cell",
}


class Rows(Protocol):
    """[T, 494] values that are made when they are asked for; a tensor is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Tensor: ...


class DeepSpeechNetwork(nn.Module):
    """[T, 494] standardised cepstra in context, 50 rows a second, to [T, 29] logits.

    Args:
        hidden: width of layers 1, 2, 5 and of each direction's state; layer 3 is twice as wide. 2048 as released.
        classes: of the last layer.
    """

    def __init__(self, hidden: int = HIDDEN, classes: int = CLASSES) -> None:
        super().__init__()
        widths = {"1": (INPUTS, hidden), "2": (hidden, hidden), "3": (hidden, 2 * hidden)}
        widths |= {"5": (2 * hidden, hidden), "6": (hidden, classes)}
        # torch initialises layers from the global generator; building this network must not move that.
        with torch.random.fork_rng(devices=[]):
            self.dense = nn.ModuleDict({name: nn.Linear(into, out) for name, (into, out) in widths.items()})
            self.forward_cell = nn.LSTM(2 * hidden, hidden, batch_first=True)
            self.backward_cell = nn.LSTM(2 * hidden, hidden, batch_first=True)
        self.hidden = hidden

    def _layer(self, name: str) -> nn.Linear:
        layer = self.dense[name]
        assert isinstance(layer, nn.Linear)
        return layer

    def _clipped(self, name: str, x: Tensor) -> Tensor:
        y: Tensor = self._layer(name)(x)
        return y.clamp(0.0, CLIP)

    def _before(self, rows: Tensor) -> Tensor:
        for name in ("1", "2", "3"):
            rows = self._clipped(name, rows)
        return rows

    @torch.no_grad()
    def forward(self, rows: Rows, *, block: int = BLOCK, tell: Callable[[float], None] = lambda share: None) -> Tensor:
        """Return the logits [T, classes] of ``rows`` [T, 494] on the CPU, computed ``block`` rows at a time.

        The state runs through the blocks, forward and then backward, so their length changes nothing. Between the two
        passes T x hidden values are kept on the CPU. ``tell`` is given the share of the work that is done.
        """
        device = self._layer("1").weight.device
        count = len(rows)
        heard = torch.empty(count, self.hidden)
        state: tuple[Tensor, Tensor] | None = None
        starts = range(0, count, block)
        for first in starts:
            part = self._before(rows[first : first + block].to(device))
            out, state = self.forward_cell(part[None], state)
            heard[first : first + block] = out[0].cpu()
            tell((first + len(part)) / (2 * count))
        logits = torch.empty(count, self._layer("6").out_features)
        state = None
        for first in reversed(starts):
            part = self._before(rows[first : first + block].to(device)).flip(0)
            out, state = self.backward_cell(part[None], state)
            both = torch.cat([heard[first : first + block].to(device), out[0].flip(0)], 1)
            logits[first : first + block] = self._layer("6")(self._clipped("5", both)).cpu()
            tell(1 - first / (2 * count))
        return logits


def load_network(path: Path) -> DeepSpeechNetwork:
    """Return the network with the weights of the frozen graph ``path``, in eval mode; at most 2048 wide, as it says.

    Raises:
        AssetMismatch: it is no frozen graph, or not one of DeepSpeech 0.1.
    """
    constants = read_constants(path)
    wanted = [f"{kind}{name}" for name in DENSE for kind in "hb"]
    wanted += [f"{cell}/{part}" for cell in CELLS.values() for part in ("kernel", "bias")]
    if missing := [name for name in wanted if name not in constants]:
        raise _not_deepspeech(path, f"it lacks {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}")
    clip = np.ravel(constants.get("Minimum/y", np.float32(CLIP)))[:2].tolist()
    if clip != [CLIP]:
        raise _not_deepspeech(path, f"its layers are clipped at {', '.join(f'{c:g}' for c in clip)}, not at {CLIP:g}")
    hidden, classes = constants["b1"].size, constants["b6"].size
    if not 0 < hidden <= HIDDEN or classes != CLASSES:  # before memory is taken for them
        raise _not_deepspeech(path, f"it is {hidden} wide and tells {classes} letters apart")
    network = DeepSpeechNetwork(hidden, classes)
    for name, value in _translated(constants, network.hidden):
        target = network.get_parameter(name)
        if target.shape != value.shape:
            raise _not_deepspeech(path, f"{name} has shape {tuple(value.shape)}, expected {tuple(target.shape)}")
        target.data.copy_(torch.from_numpy(np.array(value)))  # a copy: the file's pages cannot be written
    return network.eval()


def _translated(constants: Mapping[str, NDArray[np.float32]], hidden: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield TensorFlow's weights under torch's names and in its layout: [out, in], gates input forget cell output."""
    for name in DENSE:
        yield f"dense.{name}.weight", constants[f"h{name}"].T
        yield f"dense.{name}.bias", constants[f"b{name}"]
    for ours, theirs in CELLS.items():
        kernel, bias = constants[f"{theirs}/kernel"].T, constants[f"{theirs}/bias"].copy()  # [4 H, in + H], [4 H]
        kernel = np.atleast_1d(kernel)
        if kernel.ndim == 2 and kernel.shape[:1] == bias.shape == (4 * hidden,):  # else the caller tells the shapes
            bias[2 * hidden : 3 * hidden] += FORGET_BIAS
            # TensorFlow's order is input, cell, forget, output.
            order = np.concatenate([np.arange(gate * hidden, (gate + 1) * hidden) for gate in (0, 2, 1, 3)])
            kernel, bias = kernel[order], bias[order]
        yield f"{ours}.weight_ih_l0", kernel[..., :-hidden]
        yield f"{ours}.weight_hh_l0", kernel[..., -hidden:]
        yield f"{ours}.bias_ih_l0", bias
        yield f"{ours}.bias_hh_l0", np.zeros_like(bias)


def _not_deepspeech(path: Path, problem: str) -> AssetMismatch:
    return AssetMismatch(
        f"{path.name} does not hold DeepSpeech 0.1: {problem}",
        hint="it is deepspeech-0_1_0-b90017e8.pb; see 'synctalk-bench assets list'",
        where=str(path),
    )


def seeded_network(seed: int, hidden: int = HIDDEN) -> DeepSpeechNetwork:
    """Return an untrained network that depends on ``seed`` alone, in eval mode: Glorot weights, biases of zero."""
    generator = torch.Generator().manual_seed(seed)
    network = DeepSpeechNetwork(hidden)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1:
            parameter.data.zero_()
            if name.endswith("bias_ih_l0"):
                parameter.data[hidden : 2 * hidden] = FORGET_BIAS
        else:
            out, into = parameter.shape
            parameter.data.uniform_(-1, 1, generator=generator).mul_((6 / (into + out)) ** 0.5)
    return network.eval()
