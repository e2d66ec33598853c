"""The presets that come with the package: each loads, changes what it says, and links to what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctalk_bench.config.files import preset_files
from synctalk_bench.config.load import load_preset
from synctalk_bench.config.schema import SLOTS, Preset
from synctalk_bench.plugins.manager import PluginManager, plugins
from synctalk_bench.results.published import published_row
from synctalk_bench.specs import Kind
from synctalk_bench.stages.plan_preset import make_plan

BUILT_IN = sorted(preset_files(plugins()))
ABLATIONS = ("ablation", "ablation-short")
PACKAGED = "synctalk-bench-synthetic"


def load(name: str, *overrides: str, **lists: list[object]) -> Preset:
    return load_preset(name, plugins(), overrides=overrides, **lists)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_preset_loads_says_what_it_is_for_and_links_to_rows_that_are_there(name: str) -> None:
    preset = load(name)
    assert preset.summary.endswith(".")
    for variant in preset.variants:
        if variant.paper:
            published_row(variant.paper)


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_one_component_a_row(name: str) -> None:
    first, *others = load(name).variants
    changed = {
        variant.name: [k for k in SLOTS if variant.choices[k].values() != first.choices[k].values()]
        for variant in others
    }
    assert changed == {
        "hubert": [Kind.AUDIO],
        "blink": [Kind.EXPRESSION],
        "no-attention": [Kind.RENDERER],
        "no-stabilizer": [Kind.POSE],
        "no-portrait": [Kind.PORTRAIT],
    }
    renderers = {variant.name: variant.choices[Kind.RENDERER].values() for variant in (first, *others)}
    assert renderers["no-attention"] == renderers[first.name] | {"lambda_amb": 0.0}


def test_every_row_of_table_4_has_its_variant_in_its_order() -> None:
    table, _ = published_row("synctalk-table4:full")
    assert [v.paper for v in load("ablation").variants] == [f"{table.name}:{row.name}" for row in table.rows]
    linked = {variant.name: variant.paper for variant in load("ablation-short").variants}
    assert not linked.pop("hubert"), "an untrained network is no row of the paper"
    assert all(linked.values())


def test_the_short_ablation_needs_no_weights_of_others_for_its_encoders() -> None:
    for variant in load("ablation-short").variants:
        choice = variant.choices[Kind.AUDIO]
        assert set(choice.entry.spec.assets_for(choice.config)) <= {PACKAGED}
        renderer = variant.choices[Kind.RENDERER].config
        assert (renderer.steps, renderer.lip_steps) == (6000, 2000)


def test_the_audio_preset_has_every_encoder_there_is() -> None:
    used = [variant.choices[Kind.AUDIO].name for variant in load("audio").variants]
    assert sorted(used) == [e.spec.name for e in plugins().entries(Kind.AUDIO) if e.distribution.startswith("synctalk")]


def test_without_huberts_weights_its_row_alone_cannot_be_made() -> None:
    plan = make_plan(
        load("ablation", subjects=["a", "b"], seeds=[0, 1]),
        asset_digest=lambda name: None if name == "hubert-large" else "0" * 64,
        find_subject=lambda name: (Path(name), name),
    )
    lacking = {cell.variant for cell in plan.cells if None in plan.needed_assets(cell.delivered).values()}
    assert lacking == {"hubert"}
    assert dict(plan.missing_assets) == {"hubert-large": ("hubert",)}


def test_cells_of_an_ablation_share_all_but_what_they_change() -> None:
    plan = make_plan(
        load("ablation", subjects=["a", "b"], seeds=[0, 1]),
        asset_digest=lambda name: "0" * 64,
        find_subject=lambda name: (Path(name), name),
    )
    made = [(task.key.stage, task.key.component) for task in plan.tasks.values()]
    assert made.count(("features", "ave")) == 2 and made.count(("features", "bundle-adjustment")) == 2
    assert made.count(("train", "triplane")) == 5 * 4, "w/o portrait shares the training of ours"


def test_a_variants_words_are_texts(fakes: PluginManager, fake_preset: Path) -> None:
    from synctalk_bench.errors import ConfigError

    for text, said in (("paper = 4", "variant.a.paper = 4 is not a text"), ('papper = "x"', "did you mean 'paper'")):
        fake_preset.write_text(fake_preset.read_text().partition("[variant")[0] + f"[variant.a]\n{text}\n")
        with pytest.raises(ConfigError) as caught:
            load_preset(str(fake_preset), fakes)
        assert said in str(caught.value)


def test_a_run_stores_which_row_is_the_baseline(fakes: PluginManager, fake_preset: Path) -> None:
    fake_preset.write_text(fake_preset.read_text() + "[variant.a]\n[variant.b]\nexpression.value = 2.0\n")
    plain = load_preset(str(fake_preset), fakes)
    assert plain.resolved()["baseline"] == "a"


def test_rows_that_differ_in_nothing_are_found() -> None:
    assert load("ablation").alike() == []
    assert load("ablation", "audio.use=mel").alike() == [("full", "hubert")]
    neutral = load("ablation", "variant.hubert.audio.use=ave", "variant.hubert.renderer.preload=none")
    assert neutral.alike() == [("full", "hubert")], "what changes no number is no difference"
