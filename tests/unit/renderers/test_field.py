"""State-dict names, shapes and totals of spec E.6, and loading of its variants."""

from __future__ import annotations

import pytest
import torch
from synctalk_kernels.grid_encode import tiled_levels
from synctalk_renderers.triplane.field import TriplaneField
from synctalk_renderers.triplane.official import describe, load_official

from synctalk_bench.errors import BadManifest, ConfigError

LINEAR = (1, 512)


def build(audio: tuple[int, int] = LINEAR, expression: int = 7, codes: int = 20_000) -> TriplaneField:
    return TriplaneField(audio_shape=audio, expression=expression, codes=codes)


ORDER = [
    "individual_codes",
    *[f"audio_net.encoder_fc1.{i}.{p}" for i in (0, 2, 4) for p in ("weight", "bias")],
    *[f"audio_att_net.attentionConvNet.{i}.{p}" for i in (0, 2, 4, 6, 8) for p in ("weight", "bias")],
    *[f"audio_att_net.attentionNet.0.{p}" for p in ("weight", "bias")],
    *[f"encoder_{plane}.embeddings" for plane in ("xy", "yz", "xz")],
    *[f"eye_att_net.net.{i}.weight" for i in (0, 1)],
    *[f"sigma_net.net.{i}.weight" for i in (0, 1, 2)],
    *[f"color_net.net.{i}.weight" for i in (0, 1)],
    *[f"unc_net.net.{i}.weight" for i in (0, 1)],
    *[f"aud_ch_att_net.net.{i}.weight" for i in (0, 1)],
]


def test_names_shapes_and_order() -> None:
    field = build()
    shapes = {key: tuple(value.shape) for key, value in field.state_dict().items()}
    assert [name for name, _ in field.named_parameters()] == ORDER
    assert shapes["individual_codes"] == (20000, 4)
    assert shapes["aabb_train"] == shapes["aabb_infer"] == (6,)
    assert shapes["density_grid"] == (1, 2097152) and shapes["density_bitfield"] == (262144,)
    assert shapes["step_counter"] == (16, 2)
    assert shapes["audio_net.encoder_fc1.0.weight"] == (256, 512)
    assert [shapes[f"audio_att_net.attentionConvNet.{i}.weight"] for i in (0, 2, 4, 6, 8)] == [
        (16, 32, 3), (8, 16, 3), (4, 8, 3), (2, 4, 3), (1, 2, 3),
    ]  # fmt: skip
    assert shapes["encoder_xz.embeddings"] == (163584, 1) and shapes["encoder_xy.offsets"] == (13,)
    assert shapes["eye_att_net.net.1.weight"] == (7, 64)
    assert [shapes[f"sigma_net.net.{i}.weight"] for i in (0, 1, 2)] == [(64, 75), (64, 64), (65, 64)]
    assert [shapes[f"color_net.net.{i}.weight"] for i in (0, 1)] == [(64, 84), (3, 64)]
    assert [shapes[f"unc_net.net.{i}.weight"] for i in (0, 1)] == [(32, 36), (1, 32)]
    assert [shapes[f"aud_ch_att_net.net.{i}.weight"] for i in (0, 1)] == [(64, 36), (32, 64)]
    assert field.encoder_xy.offsets.dtype == field.step_counter.dtype == torch.int32
    assert set(shapes) == {
        *ORDER, "aabb_train", "aabb_infer", "density_grid", "density_bitfield", "step_counter",
        "encoder_xy.offsets", "encoder_yz.offsets", "encoder_xz.offsets",
    }  # fmt: skip


def total(field: TriplaneField) -> int:
    return sum(p.numel() for p in field.parameters())


def test_total_of_the_published_variant() -> None:
    assert total(build()) == 768_165


@pytest.mark.parametrize(("rows", "features"), [(16, 29), (2, 1024), (16, 44), (16, 80)])
def test_convolutional_audio_variants(rows: int, features: int) -> None:
    field = build((rows, features))
    state = field.state_dict()
    expected = {0: (32, features, 3), 2: (32, 32, 3), 4: (64, 32, 3), 6: (64, 64, 3)}
    for layer, shape in expected.items():
        assert tuple(state[f"audio_net.encoder_conv.{layer}.weight"].shape) == shape
        assert tuple(state[f"audio_net.encoder_conv.{layer}.bias"].shape) == shape[:1]
    assert tuple(state["audio_net.encoder_fc1.0.weight"].shape) == (64, 64)
    assert tuple(state["audio_net.encoder_fc1.2.weight"].shape) == (32, 64)
    assert field.encode_audio(torch.randn(8, rows, features)).shape == (1, 32)


@pytest.mark.parametrize(("values", "hidden", "wide"), [(7, 64, 75), (4, 64, 72), (2, 64, 70), (1, 16, 69)])
def test_expression_variants(values: int, hidden: int, wide: int) -> None:
    state = build(expression=values).state_dict()
    assert tuple(state["eye_att_net.net.0.weight"].shape) == (hidden, 36)
    assert tuple(state["eye_att_net.net.1.weight"].shape) == (values, hidden)
    assert tuple(state["sigma_net.net.0.weight"].shape) == (64, wide)


def test_torso_grid_has_the_official_offsets() -> None:
    assert tiled_levels().offset == (
        0, 296, 872, 1896, 3832, 7432, 14160, 26936, 50968, 96768, 162304, 227840, 293376, 358912, 424448, 489984,
        555520,
    )  # fmt: skip


def test_official_state_dict_loads_without_its_optional_keys() -> None:
    source, target = build(), build()
    source.density_bitfield.copy_(torch.randint(0, 256, source.density_bitfield.shape, dtype=torch.uint8))
    state = dict(source.state_dict())
    del state["density_grid"]
    state |= {"anchor_points": torch.zeros(3, 4), "torso_net.net.0.weight": torch.zeros(32, 116)}
    state["camera_dR"] = torch.zeros(20000, 3)
    assert describe(state) == (LINEAR, 7)
    assert load_official(target, state) == ("anchor_points", "camera_dR", "torso_net.net.0.weight")
    for (name, a), (_, b) in zip(source.named_parameters(), target.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert torch.equal(source.density_bitfield, target.density_bitfield)
    from synctalk_kernels.occupancy import pack

    assert torch.equal(pack(target.density_grid, 0.5), target.density_bitfield)


def test_moving_average_replaces_the_parameters() -> None:
    source, target = build(), build()
    state = dict(source.state_dict())
    # Shadow parameters come by position, the camera offsets second in line.
    shadow = [torch.full_like(p, float(i)) for i, p in enumerate(source.parameters())]
    state |= {"camera_dR": torch.zeros(20000, 3), "camera_dT": torch.zeros(20000, 3)}
    with_cameras = [shadow[0], torch.zeros(20000, 3), torch.zeros(20000, 3), *shadow[1:]]
    load_official(target, state, ema={"decay": 0.95, "shadow_params": with_cameras})
    for i, parameter in enumerate(target.parameters()):
        assert bool((parameter == i).all())
    with pytest.raises(BadManifest, match="shadow"):
        load_official(target, state, ema={"shadow_params": shadow})


def test_unfit_state_dicts_are_named() -> None:
    state = dict(build(expression=4).state_dict())
    with pytest.raises(BadManifest, match=r"eye_att_net\.net\.1\.weight \(4, 64\) for \(7, 64\)"):
        load_official(build(), state)
    state = dict(build().state_dict())
    state["embedding.weight"] = torch.zeros(44, 44)
    with pytest.raises(BadManifest, match=r"embedding\.weight"):
        load_official(build(), state)
    with pytest.raises(BadManifest, match="does not hold a head"):
        describe({"weight": torch.zeros(1)})


def test_empty_channels_are_refused() -> None:
    with pytest.raises(ConfigError):
        build(expression=0)
    with pytest.raises(ConfigError):
        build((0, 5))


def test_field_of_no_points() -> None:
    field = build(codes=4)
    from synctalk_renderers.triplane.field import Condition

    drive = Condition(torch.zeros(1, 32), torch.zeros(1, 7), field.individual_codes[:1])
    values = field(torch.zeros(0, 3), torch.zeros(0, 3), drive)
    assert values.rgb.shape == (0, 3) and values.sigma.shape == (0,)


def test_density_is_the_forward_sigma_and_its_gradient_is_clamped() -> None:
    from synctalk_renderers.triplane.field import ClippedExp, Condition

    torch.manual_seed(0)
    field = build(codes=4)
    drive = Condition(torch.randn(1, 32), torch.randn(1, 7), field.individual_codes[:1])
    points = torch.rand(100, 3) - 0.5
    both = field(points, torch.nn.functional.normalize(points, dim=-1), drive)
    assert torch.allclose(field.density(points, drive), both.sigma, rtol=1e-5)
    audio_eye, unknown = field.attention(points)
    assert torch.equal(audio_eye, both.attention) and torch.equal(unknown, both.uncertainty)
    x = torch.tensor([1.0, 20.0], requires_grad=True)
    y = ClippedExp.apply(x)
    assert torch.equal(y, x.exp())
    y.sum().backward()
    assert x.grad is not None and torch.allclose(x.grad, torch.tensor([1.0, 15.0]).exp())
