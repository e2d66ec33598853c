"""From a preset's name and the user's overrides to a resolved ``Preset``.

A preset is read (``files``), its tables and the overrides become layers of values (``variants``, ``overrides``), these
are laid over each other (``layers``), and what comes of it is checked against what is installed (``resolve``).
"""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.config.files import extends_chain, preset_files
from synctalk_bench.config.layers import Layer, Merged
from synctalk_bench.config.overrides import ORIGIN, read_overrides
from synctalk_bench.config.resolve import choose_components, choose_seeds, choose_subjects, preset_metrics
from synctalk_bench.config.schema import Preset, Variant
from synctalk_bench.config.variants import Row, plain_name, read_variants
from synctalk_bench.errors import ConfigError
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.wording import suggest


def load_preset(
    name: str,
    manager: PluginManager,
    *,
    overrides: Iterable[str] = (),
    subjects: Iterable[str] = (),
    seeds: Iterable[int] = (),
    metrics: Iterable[str] = (),
) -> Preset:
    """Return the resolved preset.

    Args:
        name: a built-in preset, one that a plugin brings, or a path to a TOML file.
        overrides: ``--set`` texts, ``audio.use=mel`` or ``variant.hubert.renderer.steps=100``.
        subjects, seeds, metrics: replace the preset's lists when not empty.

    Raises:
        ConfigError: an unknown key, component option or value, with a suggestion and where it came from.
        PluginError: an unknown component.
    """
    chain = extends_chain(name, manager)
    stem = plain_name(name if name in preset_files(manager) else chain[-1].path.stem)
    common, single = read_overrides(overrides)
    rows = read_variants(chain) or {stem: Row(stem, "", Layer(""))}
    if unknown := [variant for variant in single if variant not in rows]:
        raise ConfigError(f"no variant is named '{unknown[0]}'", hint=suggest(unknown[0], rows), where=ORIGIN)

    base = [Layer.read(file.content, file.where) for file in chain]
    lists = {"subjects": list(subjects), "seeds": list(seeds), "metrics": list(metrics)}
    given = [Layer(f"--{key}", {key: value}) for key, value in lists.items() if value]
    shared = Merged([*base, common, *given])

    def variant(own: str, row: Row) -> Variant:
        merged = Merged([*base, row.layer, common, *([single[own]] if own in single else [])])
        return Variant(own, row.label, choose_components(merged, manager), row.paper)

    variants = tuple(variant(own, row) for own, row in rows.items())
    return Preset(
        name=stem,
        summary=str(chain[-1].content.get("summary", "")),
        subjects=choose_subjects(shared, manager),
        seeds=choose_seeds(shared),
        metrics=preset_metrics(shared, manager),
        variants=variants,
        origins=dict(shared.list_origins),
    )
