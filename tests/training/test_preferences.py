"""DPO, SimPO, KTO on token rows: faults guarded are learned tool results and a lost reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
from safetensors.torch import load_file

from agentgym_si.errors import BadInput
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.training.dpo import DPOSettings, train_dpo
from agentgym_si.training.kto import KTOSettings, train_kto
from agentgym_si.types import Preference, Weighted

pytestmark = pytest.mark.train

PLAIN = DPOSettings(
    steps=1, batch_size=4, bf16=False, warmup=0, device="cpu", learning_rate=1e-3, beta=0.5
)
KTO = KTOSettings(steps=1, batch_size=4, bf16=False, warmup=0, device="cpu", learning_rate=1e-3)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs") / "model"
    return build_tiny(folder, ["lorem ipsum"] * 9, vocabulary=300, hidden=32, layers=2, heads=2,
                      context=64)  # fmt: skip


def ids(draw: np.random.Generator, count: int) -> tuple[int, ...]:
    return tuple(draw.integers(6, 260, count).tolist())


def make_pairs(count: int = 4) -> list[Preference]:
    draw = np.random.default_rng(0)
    return [
        Preference(
            ids(draw, 4 + index),
            ids(draw, 5),
            ids(draw, 3 + index),
            chosen_weights=(1.0, 1.0, 0.0, 0.0, 0.5),
            smoothing=0.1 * index,
        )
        for index in range(count)
    ]


def score(
    folder: Path, contexts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]],
    weights: Sequence[Sequence[float]], mean: bool = False,
) -> list[float]:  # fmt: skip
    policy = TransformersPolicy(folder, device="cpu")
    found = []
    rows = zip(policy.logprobs(contexts, answers), weights, strict=True)
    for logprobs, row in rows:
        total = sum(w * lp for w, lp in zip(row, logprobs, strict=True))
        found.append(total / sum(row) if mean else total)
    return found


def sides(folder: Path, pairs: list[Preference], mean: bool = False) -> list[tuple[float, float]]:
    contexts = [pair.context for pair in pairs]
    ones = [(1.0,) * len(pair.rejected) for pair in pairs]
    chosen = score(
        folder, contexts, [p.chosen for p in pairs], [p.chosen_weights for p in pairs], mean
    )
    rejected = score(folder, contexts, [pair.rejected for pair in pairs], ones, mean)
    return list(zip(chosen, rejected, strict=True))


def smoothed(difference: float, smoothing: float) -> float:
    return (1 - smoothing) * math.log1p(math.exp(-difference)) + smoothing * math.log1p(
        math.exp(difference)
    )


def test_dpo_starts_at_log_2_and_its_reference_is_the_start(start: Path, tmp_path: Path) -> None:
    """The second update's loss is the closed form between the first one's model and the start."""
    pairs = make_pairs()
    one = train_dpo(start, pairs, tmp_path / "one", PLAIN)
    assert one.first_loss == pytest.approx(math.log(2), rel=1e-5)
    assert (one.steps, one.rows, one.tokens) == (1, 4, 4 * 3 + 3 + 4 + 5 + 6)
    two = train_dpo(start, pairs, tmp_path / "two", replace(PLAIN, steps=2))
    before, after = sides(start, pairs), sides(tmp_path / "one", pairs)
    losses = [
        smoothed(0.5 * ((a[0] - b[0]) - (a[1] - b[1])), pair.smoothing)
        for a, b, pair in zip(after, before, pairs, strict=True)
    ]
    assert two.last_loss == pytest.approx(float(np.mean(losses)), rel=1e-3)
    assert two.last_loss < one.first_loss - 0.05


def test_simpo_is_the_closed_form(start: Path, tmp_path: Path) -> None:
    pairs = make_pairs()
    settings = replace(PLAIN, loss="simpo", beta=2.0, margin=0.7)
    report = train_dpo(start, pairs, tmp_path / "out", settings)
    losses = [
        smoothed(2.0 * (chosen - rejected) - 0.7, pair.smoothing)
        for (chosen, rejected), pair in zip(sides(start, pairs, mean=True), pairs, strict=True)
    ]
    assert report.first_loss == pytest.approx(float(np.mean(losses)), rel=1e-4)


@pytest.mark.parametrize("changes", [{"parts": 2}, {"lora_rank": 2}, {"bf16": True}])
def test_parts_adapters_and_half_precision_start_the_same(
    start: Path, tmp_path: Path, changes: dict[str, int]
) -> None:
    """A reference taken after the adapter moved, or a mean of parts' sums, would differ."""
    settings = replace(PLAIN, steps=2, **changes)
    report = train_dpo(start, make_pairs(), tmp_path / "out", settings)
    assert report.first_loss == pytest.approx(math.log(2), rel=1e-2)
    assert report.last_loss < report.first_loss
    assert (tmp_path / "out" / "adapter").exists() == ("lora_rank" in changes)


def train_any(
    kind: str, start: Path, context: tuple[int, ...], answer: tuple[int, ...], out: Path
) -> dict[str, torch.Tensor]:
    """Train with `answer` chosen, its last two tokens without weight; return the weights."""
    weights, other = (1.0, 1.0, 0.0, 0.0), (9, 10, 11)
    if kind == "kto":
        rows = [Weighted(context, answer, weights), Weighted(context, other, (-1.0,) * 3)] * 2
        train_kto(start, rows, out, KTO)
    else:
        pairs = [Preference(context, answer, other, weights)]
        train_dpo(start, pairs, out, replace(PLAIN, loss=kind, batch_size=1))  # type: ignore[arg-type]
    return load_file(out / "model.safetensors")


@pytest.mark.parametrize("kind", ["dpo", "simpo", "kto"])
def test_what_a_tool_returned_is_not_learned(start: Path, tmp_path: Path, kind: str) -> None:
    """Another last token of weight 0, which nothing reads, gives the same weights."""
    context = (20, 21, 22)
    one = train_any(kind, start, context, (30, 31, 32, 33), tmp_path / "one")
    two = train_any(kind, start, context, (30, 31, 32, 77), tmp_path / "two")
    three = train_any(kind, start, context, (30, 77, 32, 33), tmp_path / "three")
    assert all(torch.allclose(one[name], two[name], atol=1e-7) for name in one)
    assert not all(torch.allclose(one[name], three[name], atol=1e-4) for name in one)


def make_rows() -> list[Weighted]:
    draw = np.random.default_rng(1)
    signs = (1.0, -1.0, 1.0, -1.0)
    return [
        Weighted(ids(draw, 4 + i), ids(draw, 4), (sign, 0.0, 2 * sign, sign), origin=f"t{i}")
        for i, sign in enumerate(signs)
    ]


def test_kto_makes_the_good_likelier_and_the_bad_unlikelier(start: Path, tmp_path: Path) -> None:
    """The first loss is 1/2: nothing differs from the start yet."""
    rows = make_rows()
    report = train_kto(start, rows, tmp_path / "out", replace(KTO, steps=6))
    assert report.first_loss == pytest.approx(0.5, rel=1e-5)
    assert report.last_loss < 0.48
    assert (report.steps, report.rows, report.tokens) == (6, 4, 6 * 12)
    args = [r.context for r in rows], [r.completion for r in rows], [r.weights for r in rows]
    before, after = score(start, *args), score(tmp_path / "out", *args)
    assert all(b < a for b, a in zip(before, after, strict=True))  # the weights carry the sign


@pytest.mark.parametrize("changes", [{"lora_rank": 2}, {"parts": 2}])
def test_kto_with_adapters_and_parts(start: Path, tmp_path: Path, changes: dict[str, int]) -> None:
    report = train_kto(start, make_rows(), tmp_path / "out", replace(KTO, steps=3, **changes))
    assert report.first_loss == pytest.approx(0.5, rel=1e-4)
    assert report.last_loss < report.first_loss


def test_rows_that_cannot_be_compared_are_bad_input(start: Path, tmp_path: Path) -> None:
    (pair,) = make_pairs(1)
    out = tmp_path / "out"
    with pytest.raises(BadInput, match="pairs to train on, got none"):
        train_dpo(start, [], out, PLAIN)
    with pytest.raises(BadInput, match="chosen_weights of at least 0, some above, in pair 0"):
        train_dpo(start, [replace(pair, chosen_weights=(0.0,) * 5)], out, PLAIN)
    with pytest.raises(BadInput, match=r"got 73 in row 0 \(of pair 1, rejected\)"):
        train_dpo(start, [pair, replace(pair, rejected=(7,) * 69)], out, PLAIN)
    mixed = Weighted((6,), (7, 8), (1.0, -1.0), origin="t9")
    with pytest.raises(BadInput, match=r"got both in row 0 \(t9\)"):
        train_kto(start, [mixed], out, KTO)
    with pytest.raises(BadInput, match="at least 2 rows a part"):
        KTOSettings(batch_size=4, parts=4)
    assert not list(tmp_path.iterdir())
