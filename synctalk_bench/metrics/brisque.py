"""BRISQUE in two named families, with LIVE's support vectors (metrics spec 7.2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.metrics.no_reference import each_frame
from synctalk_bench.store.fingerprint import file_digest

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context, MetricResult

SMALLEST = 32
SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))
Family = Literal["live", "opencv"]
# LIVE's range of each feature over its training pictures, mapped to [-1, 1]: 18 at full size, then 18 at half.
LOW = (
    *(0.338, 0.017204, 0.236, -0.123884, 0.000155, 0.001122, 0.244, -0.123586, 0.000152),
    *(0.000975, 0.249, -0.135687, 0.000174, 0.000913, 0.258, -0.143408, 0.000179, 0.000888),
    *(0.471, 0.012809, 0.218, -0.094876, 0.000015, 0.001272, 0.222, -0.115772, 0.000016),
    *(0.001374, 0.227, -0.117188, 0.00003, 0.001122, 0.228, -0.12243, 0.000028, 0.001118),
)
HIGH = (
    *(10, 0.806612, 1.642, 0.20293, 0.712298, 0.470257, 1.641, 0.179083, 0.710456),
    *(0.470984, 1.555, 0.100858, 0.684173, 0.534174, 1.561, 0.100486, 0.685696, 0.536508),
    *(3.264, 0.703171, 1.046, 0.187459, 0.442057, 0.40803, 1.042, 0.162604, 0.444362),
    *(0.40243, 0.996, 0.098323, 0.531903, 0.369589, 0.99, 0.098658, 0.530092, 0.370399),
)


class _Brisque:
    """36 features of the frame at two sizes, put through LIVE's support vector regression."""

    family: ClassVar[Family]
    how: ClassVar[str]

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device
        self._model = context.asset("brisque-live")

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the badness of each frame, about 0 to 100, and their mean; the truth is not looked at.

        Raises:
            AssetMismatch: the file of the support vectors is another.
            MissingFile, BadManifest: frames that are missing, damaged, of different sizes, below 32 pixels, or flat.
        """
        machine = SupportVectors(self._model, self._device)
        details = {
            "definition": f"{self.how}; LIVE's 774 support vectors, gamma 0.05",
            "weights": {"brisque-live": file_digest(self._model)},
        }
        return each_frame(
            rendered,
            lambda frame: machine.value(features(frame, self.family)),
            least=SMALLEST,
            readers=self._readers,
            device=self._device,
            details=details,
        )


class BrisqueLive(_Brisque):
    """The scale of pyiqa and piq: antialiased bicubic half."""

    family = "live"
    how = "luma rounded to 8 bits, zeros outside, antialiased bicubic half (as pyiqa and piq)"


class BrisqueOpencv(_Brisque):
    """The scale of pybrisque: every second pixel as the half."""

    family = "opencv"
    how = "OpenCV gray, zeros outside, every second pixel as the half (as pybrisque)"


def features(frame: Tensor, family: Family) -> Tensor:
    """Return the 36 features of an RGB frame [H, W, 3] uint8, not yet scaled: [36]."""
    import torch

    from synctalk_bench.metrics import natural_statistics as natural

    if family == "live":
        fine = natural.gray(frame)
        coarse = natural.halved(fine, natural.WIDE_HALF, "mirror")
    else:
        fine = natural.gray_fixed(frame, "opencv")
        rows, columns = (round(size / 2) for size in fine.shape)  # OpenCV rounds half a pixel to the even number
        coarse = fine[::2, ::2][:rows, :columns]
    both = []
    for picture in (fine, coarse):
        block = natural.normalised(picture, "zeros")[None]
        shape, variance = natural.symmetric_fit(block)
        both += [shape, variance]
        for product in natural.neighbours(block, SHIFTS):
            shape, left, right = natural.skewed_fit(product, zeros_are_right=False)
            both += [shape, natural.skewed_mean(shape, left, right), left.square(), right.square()]
    return torch.cat(both)


class SupportVectors:
    """An epsilon-SVR with a radial kernel, read from libsvm's text form.

    Raises:
        AssetMismatch: the file is no such model of 36 features.
    """

    def __init__(self, path: Path, device: str) -> None:
        import torch

        self.gamma, self.rho, weights, vectors = _parse(path)
        low, high = (torch.tensor(bound, dtype=torch.float64, device=device) for bound in (LOW, HIGH))
        self._low, self._span = low, high - low
        self._weights, self._vectors = (torch.tensor(v, dtype=torch.float64, device=device) for v in (weights, vectors))

    def value(self, features: Tensor) -> Tensor:
        """Return the regression's value at ``features`` [36], a scalar; NaN if any of them is."""
        scaled = 2 * (features - self._low) / self._span - 1
        distances = (self._vectors - scaled).square().sum(dim=1)
        return self._weights @ (-self.gamma * distances).exp() - self.rho


def _parse(path: Path) -> tuple[float, float, list[float], list[list[float]]]:
    header: dict[str, str] = {}
    weights: list[float] = []
    vectors: list[list[float]] = []
    try:
        lines = iter(path.read_text("ascii").splitlines())
        for line in lines:
            if line.strip() == "SV":
                break
            name, _, value = line.partition(" ")
            header[name] = value
        for line in lines:
            weight, *pairs = line.split()
            row = [0.0] * len(LOW)  # libsvm leaves zeros out
            for index, number in (pair.split(":") for pair in pairs):
                row[int(index) - 1] = float(number)
            weights.append(float(weight))
            vectors.append(row)
        if header["svm_type"] != "epsilon_svr" or header["kernel_type"] != "rbf":
            raise ValueError(f"it is a {header['svm_type']} with a {header['kernel_type']} kernel")
        if not weights or len(weights) != int(header["total_sv"]):
            raise ValueError(f"it has {len(weights)} support vectors and says {header['total_sv']}")
        return float(header["gamma"]), float(header["rho"]), weights, vectors
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise AssetMismatch(f"{path} is not LIVE's BRISQUE model in libsvm's text form: {error}") from error
