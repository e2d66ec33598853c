"""Every check in order, each on its own: what one of them raises is a finding, and the others go on."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from synctalk_bench.doctor import compute, libraries, machine, places
from synctalk_bench.doctor.finding import Finding, Level, Machine, Notes
from synctalk_bench.errors import SynctalkBenchError

_REPORT = "synctalk-bench --debug doctor, and report what it prints"


@dataclass(frozen=True, slots=True)
class Check:
    """One look at the machine.

    Args:
        name: as it is printed.
        look: notes what it finds.
        fails: how bad it is when the look itself fails.
        means: what follows then.
        type: what to do then.
        after: the check without which this one says nothing.
    """

    name: str
    look: Callable[[Machine, Notes], None]
    fails: Level = "warning"
    means: str = ""
    type: str = _REPORT
    after: str = ""


_TORCH = "nothing can be trained or scored"
_SLOW = "only the slow reference works on this GPU: --set renderer.kernels=reference"
_FILMS = "videos cannot be read or written"
_FACES = "no 'prepare', and no metric that looks for a face"
_FACE = "pip install --force-reinstall 'synctalk-bench[face]'"

CHECKS: tuple[Check, ...] = (
    Check("python", machine.python),
    Check("processors", machine.processors),
    Check("memory", machine.memory),
    Check("driver", machine.driver),
    Check("torch", compute.torch, "problem", _TORCH, compute.REINSTALL),
    Check("gpu", compute.gpu, "problem", "the GPU cannot be used", compute.REINSTALL, after="torch"),
    Check("triton", compute.triton, after="torch"),
    Check("kernel", compute.kernel, "problem", _SLOW, compute.REINSTALL, after="torch"),
    Check("torchvision", compute.torchvision, "problem", compute.NO_LPIPS, compute.REINSTALL, after="torch"),
    Check("metrics", libraries.metrics),
    Check("faces", libraries.faces, "warning", _FACES, _FACE),
    Check("video", libraries.video, "problem", _FILMS, "pip install --force-reinstall av"),
    Check("optional", libraries.optional),
    Check("workspace", places.workspace, "problem", "nothing can be kept", places.ELSEWHERE),
    Check("plugins", places.plugins, "problem"),
    Check("asset folders", places.asset_folders),
    Check("assets", places.assets),
    Check("presets", places.presets),
)


def examine(here: Machine, checks: Sequence[Check] = CHECKS) -> Iterator[Finding]:
    """Yield what each check finds, as soon as it is known."""
    spoiled: set[str] = set()  # checks that found a problem, or could not look
    for check in checks:
        if check.after in spoiled:
            spoiled.add(check.name)
            continue
        notes = Notes(check.name)
        try:
            check.look(here, notes)
        except (Exception, SystemExit) as error:
            notes.found.append(_failed(check, error))
            if here.environ.get("SYNCTALK_BENCH_DEBUG"):
                traceback.print_exception(error)
        if any(finding.level == "problem" for finding in notes.found):
            spoiled.add(check.name)
        yield from notes.found


def _failed(check: Check, error: BaseException) -> Finding:
    said = error.message if isinstance(error, SynctalkBenchError) else f"{type(error).__name__}: {error}"
    hint = error.hint if isinstance(error, SynctalkBenchError) else ""
    first = said.strip().splitlines()[0] if said.strip() else type(error).__name__
    return Finding(check=check.name, level=check.fails, found=first, means=check.means, type=hint or check.type)
