"""Every score as a row of a pandas DataFrame, for notebooks and spreadsheets; its CSV is what ``importing`` reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from synctalk_bench.results.importing import weights_text

if TYPE_CHECKING:
    import pandas as pd

    from synctalk_bench.artifacts import ResultRow


def to_frame(rows: Iterable[ResultRow]) -> pd.DataFrame:
    """Return one line a score: where it stands, its value, how it was computed. Nothing is averaged."""
    import pandas as pd

    return pd.DataFrame(
        {
            "run": row.run,
            "variant": row.variant,
            "control": row.control,
            "subject": row.subject,
            "seed": row.seed,
            "metric": row.score.metric,
            "version": row.score.version,
            "protocol": row.score.protocol,
            "mean": row.score.mean,
            "frames": row.score.count,
            "status": row.score.status,
            "reason": " ".join(row.score.reason.split()),  # one score a line, whatever reads it
            "weights": weights_text(row.score.details.get("weights", {})),
            "definition": row.score.details.get("definition", ""),
            "region": row.score.details.get("region", ""),
            "per_frame": str(row.score.per_frame or ""),
        }
        for row in rows
    )
