"""Merging: faults guarded are weights lost in small tensors and models that do not fit together."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file
from torch import tensor

from agentgym_si.errors import BadInput
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.training.merging import (
    breadcrumbs,
    linear,
    merge_checkpoints,
    merge_states,
    slerp,
)

pytestmark = pytest.mark.train


def test_linear_by_hand_keeps_the_first_models_types() -> None:
    states = [
        {"w": tensor([2.0, 4.0], dtype=torch.bfloat16), "steps": tensor([3])},
        {"w": tensor([4.0, -4.0]), "steps": tensor([9])},
    ]
    merged = merge_states(states, linear([0.25, 0.75]))
    assert merged["w"].tolist() == [3.5, -2.0] and merged["w"].dtype == torch.bfloat16
    assert merged["steps"].tolist() == [3]


def test_slerp_goes_round_not_across() -> None:
    """Half way between (2, 0) and (0, 2) lies (1.41, 1.41), of length 2."""
    states = [{"w": tensor([2.0, 0.0])}, {"w": tensor([0.0, 2.0])}]
    (middle,) = merge_states(states, slerp(0.5)).values()
    assert middle.tolist() == pytest.approx([math.sqrt(2)] * 2)
    for share, model in ((0.0, 0), (1.0, 1)):
        (end,) = merge_states(states, slerp(share)).values()
        assert end.tolist() == pytest.approx(states[model]["w"].tolist(), abs=1e-6)


def test_slerp_has_a_share_a_layer() -> None:
    names = ("model.layers.0.w", "model.layers.1.w", "model.norm.weight")
    one, two = ({name: tensor(value) for name in names} for value in ([1.0, 0.0], [0.0, 1.0]))
    merged = merge_states([one, two], slerp([0.0, 1.0]))
    found = [value for name in names for value in merged[name].tolist()]
    assert found == pytest.approx([1, 0, 0, 1, *[math.sqrt(0.5)] * 2], abs=1e-6)
    with pytest.raises(BadInput, match="a share for each layer, got 2 for h"):
        merge_states([{"h.2.w": one[names[0]]}] * 2, slerp([0.0, 1.0]))


@pytest.mark.parametrize("same", [[1.0, -2.0], [0.0, 0.0]])
def test_slerp_of_a_model_with_itself_is_that_model(same: list[float]) -> None:
    merged = merge_states([{"w": tensor(same)}] * 2, slerp(0.3))
    assert merged["w"].tolist() == pytest.approx(same)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 64, 99, 1000, 20_011])
@pytest.mark.parametrize(("keep", "outliers"), [(0.9, 0.01), (0.5, 0.0), (1.0, 0.0), (0.2, 0.3)])
def test_breadcrumbs_keep_an_exact_count(size: int, keep: float, outliers: float) -> None:
    """Also of tensors so small that no outlier is dropped, where a slice to -0 keeps nothing."""
    changed = torch.arange(1, size + 1).float()
    shuffled = changed[torch.randperm(size, generator=torch.Generator().manual_seed(size))]
    states = [{"w": torch.zeros(size)}, {"w": shuffled}]
    (merged,) = merge_states(states, breadcrumbs(keep=keep, outliers=outliers)).values()
    top = size - math.floor(outliers * size)
    bottom = max(top - round(keep * size), 0)
    assert sorted(merged[merged != 0].tolist()) == changed[bottom:top].tolist()
    assert torch.equal(merged[merged != 0], shuffled[merged != 0])


def test_breadcrumbs_count_equal_changes_too() -> None:
    states = [{"w": torch.zeros(10, 10)}, {"w": torch.ones(10, 10)}]
    (merged,) = merge_states(states, breadcrumbs(keep=0.5, outliers=0.1)).values()
    assert int(merged.sum()) == 50


def test_breadcrumbs_of_no_model_are_the_base_and_changes_add_up() -> None:
    base = {"w": tensor([1.0, 2.0])}
    assert torch.equal(merge_states([base], breadcrumbs())["w"], base["w"])
    others = [{"w": tensor([2.0, 2.0])}, {"w": tensor([1.0, 4.0])}]
    merged = merge_states([base, *others], breadcrumbs(keep=1.0, outliers=0.0, scale=0.5))
    assert merged["w"].tolist() == [1.5, 3.0]


def test_a_large_tensor_is_no_exception() -> None:
    """torch.quantile refuses more than 16 million elements."""
    size = (1 << 24) + 1
    changed = torch.arange(size, dtype=torch.int64).remainder(251).float()
    states = [{"w": torch.zeros(size)}, {"w": changed}]
    (merged,) = merge_states(states, breadcrumbs(keep=0.25, outliers=0.0)).values()
    kept = changed > 250 - 63
    assert abs(int((merged != 0).sum()) - round(0.25 * size)) == 0
    assert not merged[~kept].any()


def test_checkpoints_are_merged_whole(tmp_path: Path) -> None:
    for seed in (0, 1):
        build_tiny(tmp_path / str(seed), ["lorem ipsum"] * 9, seed=seed, vocabulary=300, hidden=32)
    out = merge_checkpoints([tmp_path / "0", tmp_path / "1"], tmp_path / "out", linear([0.5, 0.5]))
    one, two, merged = (load_file(tmp_path / n / "model.safetensors") for n in ("0", "1", "out"))
    assert one.keys() == merged.keys()
    assert all(torch.allclose(merged[name], (one[name] + two[name]) / 2) for name in one)
    policy = TransformersPolicy(out, device="cpu")
    assert policy.model.lm_head.weight is policy.model.model.embed_tokens.weight
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "out"]
    with pytest.raises(BadInput, match="which exists"):
        merge_checkpoints([tmp_path / "0"], out, linear([1.0]))


def test_models_that_do_not_fit_are_bad_input(tmp_path: Path) -> None:
    one, two = {"w": tensor([1.0])}, {"w": tensor([1.0, 2.0])}
    with pytest.raises(BadInput, match="w of one shape"):
        merge_states([one, two], linear([1, 1]))
    with pytest.raises(BadInput, match="model 1 differs in v"):
        merge_states([one, {**one, "v": tensor([1.0])}], linear([1, 1]))
    with pytest.raises(BadInput, match="expected 2 models, got 3 at w"):
        merge_states([one] * 3, slerp(0.5))
    with pytest.raises(BadInput, match="models to merge, got none"):
        merge_states([], linear([]))
    with pytest.raises(BadInput, match=r"shares in \[0, 1\]"):
        slerp(1.5)
    with pytest.raises(BadInput, match="safetensors in"):
        merge_checkpoints([tmp_path], tmp_path / "out", linear([1.0]))
