"""Presets: precedence, origins, variants, grids, and the words of every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctalk_bench.config.coerce import coerce, parse_value
from synctalk_bench.config.files import preset_files
from synctalk_bench.config.load import load_preset
from synctalk_bench.config.schema import Preset
from synctalk_bench.errors import ConfigError, PluginError
from synctalk_bench.plugins.manager import PluginManager, plugins
from synctalk_bench.specs import Kind


def load(path: Path, manager: PluginManager, *overrides: str, **lists: list) -> Preset:
    return load_preset(str(path), manager, overrides=overrides, **lists)


def test_later_layers_win_and_say_so(fakes: PluginManager, fake_preset: Path, tmp_path: Path) -> None:
    (tmp_path / "child.toml").write_text(
        f'extends = "{fake_preset}"\naudio.value = 2.0\nrenderer.steps = 7\n'
        "[variant.a]\n[variant.b]\naudio.value = 3.0\n"
    )
    preset = load(tmp_path / "child.toml", fakes, "renderer.steps=9")
    a, b = preset.variants
    assert a.choices[Kind.AUDIO].config.value == 2.0
    assert b.choices[Kind.AUDIO].config.value == 3.0
    assert b.choices[Kind.AUDIO].origins["value"] == "preset child, variant b"
    assert a.choices[Kind.RENDERER].config.steps == 9
    assert a.choices[Kind.RENDERER].origins["steps"] == "--set"
    assert "pause" not in a.choices[Kind.RENDERER].origins  # a default


def test_another_component_drops_the_old_ones_values(fakes: PluginManager, fake_preset: Path, tmp_path: Path) -> None:
    (tmp_path / "child.toml").write_text(f'extends = "{fake_preset}"\naudio.value = 2.0\n')
    preset = load(tmp_path / "child.toml", fakes, "audio.use=hum")
    assert preset.variants[0].choices[Kind.AUDIO].name == "hum"
    assert preset.variants[0].choices[Kind.AUDIO].config.value == 1.0


def test_grid_is_a_cross_product(fakes: PluginManager, fake_preset: Path) -> None:
    fake_preset.write_text(
        fake_preset.read_text() + '[grid.g]\n"audio.use" = ["tone", "hum"]\n"renderer.steps" = [1, 2]\n'
    )
    preset = load(fake_preset, fakes)
    assert [v.name for v in preset.variants] == [
        "audio=tone,renderer.steps=1",
        "audio=tone,renderer.steps=2",
        "audio=hum,renderer.steps=1",
        "audio=hum,renderer.steps=2",
    ]


@pytest.mark.parametrize("seeds", [[0, 0], [-1], [2**63]])
def test_seeds_that_no_generator_takes(fakes: PluginManager, fake_preset: Path, seeds: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"different numbers from 0 to .*seeds, from --seeds"):
        load(fake_preset, fakes, seeds=seeds)
    assert load(fake_preset, fakes, seeds=[2**63 - 1]).seeds == (2**63 - 1,)


def test_set_can_name_one_variant(fakes: PluginManager, fake_preset: Path) -> None:
    fake_preset.write_text(fake_preset.read_text() + "[variant.a]\n[variant.b]\n")
    preset = load(fake_preset, fakes, "variant.b.audio.value=4")
    assert [v.choices[Kind.AUDIO].config.value for v in preset.variants] == [1.0, 4.0]


def test_set_can_name_a_variant_of_a_grid(fakes: PluginManager, fake_preset: Path) -> None:
    fake_preset.write_text(
        fake_preset.read_text() + '[grid.g]\n"audio.use" = ["tone", "hum"]\n"audio.value" = [1.5, 2.5]\n'
    )
    preset = load(fake_preset, fakes, "variant.audio=hum,audio.value=1.5.audio.value=7", "renderer.steps=3")
    assert [v.choices[Kind.AUDIO].config.value for v in preset.variants] == [1.5, 2.5, 7.0, 2.5]
    assert {v.choices[Kind.RENDERER].config.steps for v in preset.variants} == {3}
    with pytest.raises(ConfigError, match="no variant is named 'audio=hun'"):
        load(fake_preset, fakes, "variant.audio=hun.audio.value=7")


def test_run_name_depends_on_values_and_nothing_else(fakes: PluginManager, fake_preset: Path) -> None:
    assert load(fake_preset, fakes).run_name == load(fake_preset, fakes).run_name
    assert load(fake_preset, fakes).run_name != load(fake_preset, fakes, "audio.value=2").run_name
    assert load(fake_preset, fakes).run_name != load(fake_preset, fakes, seeds=[1]).run_name


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("audio.use=tune", ["no audio encoder is named 'tune'", "did you mean 'tone'", "--set"]),
        ("audio.vaule=1", ["no option 'vaule'", "did you mean 'value'", "--set"]),
        ("audio.value=loud", ["'loud' is not a number", "audio.value"]),
        ("audio.value=-1", ["at least 0"]),
        ("renderer.steps=1.5", ["not a whole number"]),
        ("audio.fail=1", ["not true or false"]),
        ("audoi.use=tone", ["is not something a preset has", "audio.use"]),
        ("audio.use", ["is not KEY=VALUE"]),
        ("seeds=0,0", ["must be different"]),
        ("metrics=maee", ["no metric is named 'maee'", "mae"]),
        ("variant.z.audio.use=hum", ["no variant is named 'z'"]),
        ("subject.nobody.value=1", ["no built-in subject is named 'nobody'", "blocks"]),
    ],
)
def test_mistakes_are_named(fakes: PluginManager, fake_preset: Path, override: str, words: list[str]) -> None:
    with pytest.raises((ConfigError, PluginError)) as caught:
        load(fake_preset, fakes, override)
    for word in words:
        assert word in str(caught.value)


def test_unknown_key_circle_and_newer_schema(fakes: PluginManager, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("subjcts = []\n")
    with pytest.raises(ConfigError, match="did you mean 'subjects'"):
        load(path, fakes)
    path.write_text(f'extends = "{path}"\n')
    with pytest.raises(ConfigError, match="circle"):
        load(path, fakes)
    path.write_text('extends = "fsake"\n')
    with pytest.raises(ConfigError, match=r"no preset is named 'fsake'.*extends, from preset x"):
        load(path, fakes)
    path.write_text('extends = "x"\n')
    with pytest.raises(ConfigError, match=r"a file is named with its ending: x\.toml"):
        load(path, fakes)
    path.write_text("schema = 99\n")
    with pytest.raises(ConfigError, match=r"schema = 99 is of a later.*preset x"):
        load(path, fakes)
    path.write_text("")
    with pytest.raises(ConfigError, match=r'nothing says which audio.*\n.*extends = "quick"'):
        load(path, fakes)
    path.write_text("schema = \n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(path, fakes)
    with pytest.raises(ConfigError, match="did you mean 'quick'"):
        load_preset("quik", plugins())


def test_a_byte_order_mark_and_a_folder_of_that_name(fakes: PluginManager, fake_preset: Path) -> None:
    marked = fake_preset.with_name("marked.toml")
    marked.write_text(fake_preset.read_text(), encoding="utf-8-sig")
    marked.with_suffix("").mkdir()  # a folder beside the file does not hide it
    assert load(marked.with_suffix(""), fakes).seeds == load(fake_preset, fakes).seeds
    marked.unlink()
    with pytest.raises(ConfigError, match=r"marked' is a folder, not a preset file"):
        load(marked.with_suffix(""), fakes)
    with pytest.raises(ConfigError, match=r"'/' is a folder, not a preset file"):
        load(Path("/"), fakes)


def test_a_variant_of_no_name_says_which_preset(fakes: PluginManager, fake_preset: Path) -> None:
    fake_preset.write_text(fake_preset.read_text() + '[variant."a/b c"]\n')
    with pytest.raises(ConfigError, match=r"'a/b c' cannot name a variant .*preset fake"):
        load(fake_preset, fakes)


def test_channel_that_nobody_makes(fakes: PluginManager, fake_preset: Path) -> None:
    entry = fakes.find(Kind.AUDIO, "tone")
    mute = type(entry.spec)(name="mute", summary="", target="fake_components:Audio", config=entry.spec.config)
    fakes._entries[Kind.AUDIO, "mute"] = [type(entry)(Kind.AUDIO, mute, "p", "d")]
    with pytest.raises(ConfigError, match="needs the channel 'audio'"):
        load(fake_preset, fakes, "audio.use=mute")


@pytest.mark.parametrize("name", sorted(preset_files(plugins())))
def test_every_preset_resolves(name: str) -> None:
    preset = load_preset(name, plugins())
    assert preset.summary
    assert preset.variants


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60_000", 60000),
        ("1e-3", 1e-3),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("ave", "ave"),
        ("", ""),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_set_values_read_as_toml_or_text(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_coerce_tuples_and_optionals() -> None:
    assert coerce([1, 2], tuple[int, ...], "") == (1, 2)
    assert coerce(3, tuple[int, ...], "") == (3,)
    assert coerce("none", int | None, "") is None
    assert coerce(2.0, int, "") == 2
    with pytest.raises(ConfigError):
        coerce([1], tuple[int, int], "")
    for value in (float("nan"), float("inf"), 10**400):
        with pytest.raises(ConfigError, match="finite"):
            coerce(value, float, "")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("[variant.a]\nseeds = [1]", ["a variant has no key 'seeds'", "label", "variant a"]),
        ("[variant.a]\nmetrics = ['mae']", ["a variant has no key 'metrics'"]),
        ("[variant.a]\nsubject.blocks.value = 1.0", ["a variant has no key 'subject'"]),
        ("[variant.a]\nadio.use = 'hum'", ["a variant has no key 'adio'", "did you mean 'audio'"]),
        ("[variant.a]\nlabel = 5", ["variant.a.label"]),
        ("[variant]\na = 5", ["'variant.a' must be a table"]),
        ("[grid.g]", ["the grid 'g' makes no variant"]),
        ('[grid.g]\n"audio.use" = []', ["the grid 'g' makes no variant", "audio.use"]),
        ('[grid.g]\n"pose.use" = ["still"]\n"audio.use" = []', ["'audio.use' in it lists no value"]),
        ('[grid.g]\n"adio.use" = ["hum"]', ["'adio.use'", "did you mean 'audio.use'"]),
        ('[grid.g]\n"seeds" = [1]', ["'seeds' is not something a grid can vary"]),
        ('[grid.g]\n"subject.blocks.value" = [1.0]', ["'subject.blocks.value' is not something a grid can vary"]),
        ('[grid]\n"audio.use" = ["hum"]', ["a grid is a table of lists"]),
        ("[subject]\nblocks = 5", ["'subject.blocks' must be a table of options"]),
        ("[subject.blocks]\nuse = 'blocks'", ["'subject.blocks' has no option 'use'"]),
        ("[subject.blocks]\nvalue = nan", ["nan is not a finite number"]),
    ],
)
def test_tables_hold_only_what_is_used(fakes: PluginManager, fake_preset: Path, table: str, words: list[str]) -> None:
    fake_preset.write_text(f"{fake_preset.read_text()}{table}\n")
    with pytest.raises(ConfigError) as caught:
        load(fake_preset, fakes)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('schema = "one"', "schema = 'one' is not a whole number"),
        ("schema = true", "schema = True is not a whole number"),
        ("variant = 5", "'variant' must be a table"),
        ("grid = 5", "'grid' must be a table"),
        ("subject = 5", "'subject' must be a table"),
        ("extends = 5", "'extends' must be a text"),
        ("summary = 5", "'summary' must be a text"),
        ("metrics = 5", "'metrics' must be a list, not 5"),
        ('metrics = "mae"', "'metrics' must be a list, not 'mae'"),
        ('metrics = ["mae", {use = "mae", value = 2.0}]', "the metric 'mae' is given twice"),
        ('subjects = "blocks"', "'subjects' must be a list, not 'blocks'"),
        ("subjects = [5]", "5 does not name a subject"),
        ("audio.use = 5", "5 does not name a component"),
    ],
)
def test_wrong_types_are_named(fakes: PluginManager, fake_preset: Path, line: str, words: str) -> None:
    key = line.partition(" ")[0]
    kept = [old for old in fake_preset.read_text().splitlines() if old.partition(" ")[0] != key]
    fake_preset.write_text("\n".join([line, *kept]))
    with pytest.raises(ConfigError) as caught:
        load(fake_preset, fakes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("metrics=5", "'metrics' must be a list, not 5"),
        ("metrics=true", "'metrics' must be a list, not True"),
        ("subjects=5", "'subjects' must be a list, not 5"),
        ("audio.value=inf", "inf is not a finite number"),
        ("subject.blocks.use=blocks", "has no option 'use'"),
        ("variant.a.seeds=1", "'variant.a.seeds' is not something a variant has"),
        ("variant.a.adio.use=hum", "did you mean 'audio.use'"),
        ("variant.a.subject.blocks.value=1", "is not something a variant has"),
    ],
)
def test_wrong_overrides_are_named(fakes: PluginManager, fake_preset: Path, override: str, words: str) -> None:
    fake_preset.write_text(fake_preset.read_text() + "[variant.a]\n")
    with pytest.raises(ConfigError) as caught:
        load(fake_preset, fakes, override)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("key", "values", "names"),
    [
        ("audio.fail", "[true, false]", ["audio.fail=true", "audio.fail=false"]),
        ("audio.without", '["a = b", "true"]', ["audio.without=a-=-b", "audio.without=true"]),
        ("audio.without", '["a b", "a/b"]', ["audio.without=a-b", "audio.without=a-b-2"]),
    ],
)  # fmt: skip
def test_grid_keeps_the_type_of_its_values(
    fakes: PluginManager, fake_preset: Path, key: str, values: str, names: list[str]
) -> None:
    fake_preset.write_text(f'{fake_preset.read_text()}[grid.g]\n"{key}" = {values}\n')
    preset = load(fake_preset, fakes)
    assert [v.name for v in preset.variants] == names
    given = [getattr(v.choices[Kind.AUDIO].config, key.partition(".")[2]) for v in preset.variants]
    assert given == parse_value(values)


def test_grid_over_lists() -> None:
    from synctalk_bench.config.variants import _multiply

    (variant,) = _multiply({"g": {"renderer.milestones": [[1, 2]]}}, "here").items()
    assert variant[0] == "renderer.milestones=1+2"
    assert variant[1].values == {"renderer": {"milestones": [1, 2]}}


def test_a_file_may_extend_the_built_in_preset_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "full.toml").write_text('extends = "full"\nseeds = [7]\n')
    preset = load(tmp_path / "full.toml", plugins())
    assert preset.seeds == (7,)
    assert preset.variants[0].choices[Kind.RENDERER].name == "triplane"


def test_extends_is_looked_up_beside_the_file(
    fakes: PluginManager, fake_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    (tmp_path / "child.toml").write_text('extends = "fake.toml"\nseeds = [3]\n')
    assert load(tmp_path / "child.toml", fakes).seeds == (3,)
    (tmp_path / "fake.toml").write_text('extends = "./child.toml"\n')
    with pytest.raises(ConfigError, match="circle"):
        load(tmp_path / "child.toml", fakes)


@pytest.mark.parametrize(
    ("file", "name"), [("größe.toml", "gro-e"), ("my preset.toml", "my-preset"), ("预设.toml", "preset")]
)
def test_any_file_name_will_do(fakes: PluginManager, fake_preset: Path, file: str, name: str) -> None:
    preset = load(fake_preset.rename(fake_preset.with_name(file)), fakes)
    assert [preset.name, *(v.name for v in preset.variants)] == [name, name]


def test_a_path_needs_no_suffix(fakes: PluginManager, fake_preset: Path) -> None:
    assert load(fake_preset.with_suffix(""), fakes).run_name == load(fake_preset, fakes).run_name
