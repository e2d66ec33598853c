"""From a preset to its plan: which tasks every cell needs."""

from __future__ import annotations

from collections.abc import Mapping

from synctalk_bench.config.schema import Preset, Variant, delivered_protocol, predicted_torso
from synctalk_bench.specs import Kind
from synctalk_bench.stages.channels import channel_sources
from synctalk_bench.stages.control import CONTROLS
from synctalk_bench.stages.plan import Cell, Plan
from synctalk_bench.stages.plan_subject import FindSubject, OnSubject
from synctalk_bench.stages.plan_tasks import AssetDigest, Tasks, control_cell


def make_plan(preset: Preset, *, asset_digest: AssetDigest, find_subject: FindSubject) -> Plan:
    """Return the tasks and cells of ``preset``.

    Raises:
        ConfigError: an unknown subject, a channel that nothing makes, or components that wait for each other.
    """
    tasks = Tasks(asset_digest)
    cells: list[Cell] = []
    for subject in preset.subjects:
        on = OnSubject(subject, tasks, find_subject)
        protocols: dict[str, Variant] = {}
        for variant in preset.variants:
            protocols.setdefault(delivered_protocol(variant.choices), variant)
            cells += [_cell(preset, variant, on, seed) for seed in preset.seeds]
        for variant in protocols.values():
            cells += _controls(preset, variant, on)
    return tasks.plan(preset.run_name, cells)


def _cell(preset: Preset, variant: Variant, on: OnSubject, seed: int) -> Cell:
    """Add everything that one cell needs."""
    channels, protocol = _channels(variant, on), delivered_protocol(variant.choices)
    renderer, portrait = variant.choices[Kind.RENDERER], variant.choices[Kind.PORTRAIT]
    inputs = {f"channel:{name}": channels[name] for name in renderer.entry.spec.requires}
    train = on.task("train", "train:train", renderer, inputs, what=renderer.name, seed=seed)
    # The head trains over the captured torso, as published: variants share its training whatever their torso.
    below = _torso(variant, on, channels, seed)
    drawing = {**inputs, "trained": train, **below}
    drawn = on.task("render", "render:render", renderer, drawing, what=renderer.name, seed=seed)
    composing = {"rendered": drawn, **below}
    delivered = on.task(
        "portrait", "render:compose", portrait, composing, what=portrait.name, seed=seed, protocol=protocol
    )
    truth = on.truth(portrait, protocol)
    clips = {"rendered": delivered, "truth": truth}
    return Cell(
        variant=variant.name,
        subject=on.name,
        seed=seed,
        label=variant.label,
        protocol=protocol,
        channels=channels,
        train=train,
        delivered=delivered,
        truth=truth,
        scores=on.scores(preset.metrics, delivered, truth, f"{variant.name} · seed {seed}"),
        film=on.task("film", "film:film", portrait, clips, what=variant.name, seed=seed),
    )


def _channels(variant: Variant, on: OnSubject) -> dict[str, str]:
    """Add the feature tasks that drive a variant's pictures and return them by channel."""
    made: dict[str, str] = {}
    for choice in channel_sources(variant.choices, where=variant.name):
        inputs = {f"channel:{name}": made[name] for name in choice.entry.spec.requires}
        task = on.task("features", "features:make_channel", choice, inputs, what=choice.name)
        made |= dict.fromkeys(choice.entry.spec.provides, task)
    return made


def _torso(variant: Variant, on: OnSubject, channels: Mapping[str, str], seed: int) -> dict[str, str]:
    """Add the tasks of a predicted torso and return its layers by their role; nothing where it is captured."""
    torso = predicted_torso(variant.choices)
    if torso is None:
        return {}
    inputs = {f"channel:{name}": channels[name] for name in torso.entry.spec.requires}
    trained = on.task("train", "train:train", torso, inputs, what=torso.name, seed=seed)
    drawn = {**inputs, "trained": trained}
    return {"torso": on.task("torso", "render:torso", torso, drawn, what=torso.name, seed=seed)}


def _controls(preset: Preset, variant: Variant, on: OnSubject) -> list[Cell]:
    """Add the controls under a variant's protocol."""
    portrait, protocol = variant.choices[Kind.PORTRAIT], delivered_protocol(variant.choices)
    truth = on.truth(portrait, protocol)
    cells = []
    for name in CONTROLS:
        clip = on.control(name, portrait, protocol)
        scores = on.scores(preset.metrics, clip, truth, name)
        cells.append(control_cell(name, subject=on.name, protocol=protocol, delivered=clip, truth=truth, scores=scores))
    return cells
