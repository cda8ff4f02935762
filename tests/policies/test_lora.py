"""Throw-away adapters: faults guarded are a model that does not come back, and neighbours heard."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import torch
from peft import LoraConfig, get_peft_model

from agentgym_si.errors import BadInput, RunStopped
from agentgym_si.policies.base import History
from agentgym_si.policies.batches import as_example, pad_batch
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.policies.lora import LoraSettings, StackedLora
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.types import Weighted

pytestmark = pytest.mark.train

QUICK = LoraSettings(rank=4, alpha=8, epochs=2, learning_rate=5e-3, seed=3)
WORDS = ["lorem ipsum dolor", "sit amet", "consectetur elit"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora") / "model"
    return build_tiny(folder, WORDS * 9, vocabulary=300, hidden=32, layers=2, heads=2, context=64)


@pytest.fixture
def policy(folder: Path) -> Iterator[TransformersPolicy]:
    """Return a fresh policy; afterwards its weights must be what they were."""
    policy = TransformersPolicy(folder, device="cpu", max_new_tokens=6)
    before = fingerprint(policy.model)
    yield policy
    assert fingerprint(policy.model) == before


def fingerprint(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def make_rows(count: int, seed: int) -> list[Weighted]:
    """Return rows of different lengths with weights of both signs."""
    draw = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        context = tuple(draw.integers(6, 260, 3 + index + seed % 3).tolist())
        weights = (1.0, 0.0, 0.5, -0.25)
        rows.append(Weighted(context, tuple(draw.integers(6, 260, 4).tolist()), weights))
    return rows


def logits(model: Any, rows: Sequence[Weighted]) -> torch.Tensor:
    fills = {"input_ids": 0, "labels": -100, "weights": 0.0}
    batch = pad_batch([as_example(row) for row in rows], fills)
    with torch.inference_mode():
        names = ("input_ids", "attention_mask", "position_ids")
        result: torch.Tensor = model(**{name: batch[name] for name in names}).logits
    return result


def peft_logits(folder: Path, rows: list[Weighted], settings: LoraSettings) -> torch.Tensor:
    """Train one adapter with peft and torch's own AdamW, a row an update; return its logits."""
    model = TransformersPolicy(folder, device="cpu").model
    own = StackedLora(model, 1, settings)
    drawn = [down[0].detach().clone() for down, _ in own._layers]
    own.remove()
    config = LoraConfig(r=settings.rank, lora_alpha=8, target_modules="all-linear")
    peft = get_peft_model(model, config)
    downs = [p for name, p in peft.named_parameters() if "lora_A" in name]
    with torch.no_grad():
        for parameter, first in zip(downs, drawn, strict=True):
            parameter.copy_(first)
    trained = [p for p in peft.parameters() if p.requires_grad]
    adam = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=0.01)
    for _ in range(settings.epochs):
        for row in rows:
            example = as_example(row)
            output = peft(torch.tensor([example["input_ids"]])).logits[0, :-1]
            targets = torch.tensor(example["input_ids"][1:])
            nll = torch.nn.functional.cross_entropy(output, targets, reduction="none")
            weights = torch.tensor(example["weights"][1:])
            ((weights * nll).sum() / weights.abs().sum()).backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            adam.step()
            adam.zero_grad()
    peft.eval()
    return logits(peft, rows)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft reads it
def test_one_adapter_learns_what_peft_learns(folder: Path, policy: TransformersPolicy) -> None:
    rows = make_rows(1, 0)
    settings = replace(QUICK, epochs=6, schedule="constant", warmup=0.0, weight_decay=0.01)
    expected = peft_logits(folder, rows, settings)
    with StackedLora(policy.model, 1, settings) as lora:
        before = logits(policy.model, rows)
        lora.fit([rows])
        with lora.rows(0):
            found = logits(policy.model, rows)
    assert torch.allclose(found, expected, atol=2e-5)
    assert (expected - before).abs().max() > 0.05


def test_many_at_once_are_as_many_alone(policy: TransformersPolicy) -> None:
    """Also where they have other numbers of rows, none among them: the schedules differ then."""
    rows = [make_rows(3, 1), make_rows(1, 2), [], make_rows(2, 3)]
    with StackedLora(policy.model, 4, QUICK) as lora:
        losses = lora.fit(rows)
        together = lora.weights.clone()
    assert [len(own) for own in losses] == [6, 2, 0, 4]
    for adapter, own in enumerate(rows):
        with StackedLora(policy.model, 1, QUICK) as alone:
            (expected,) = alone.fit([own])
            assert losses[adapter] == pytest.approx(expected, abs=1e-5)
            assert torch.allclose(together[adapter], alone.weights[0], atol=2e-5)
    moved = [float((together[i] - together[2]).abs().max()) for i in (0, 1, 3)]
    assert min(moved) > 1e-3


def test_batches_of_several_rows_are_summed_within_an_adapter(policy: TransformersPolicy) -> None:
    settings = replace(QUICK, batch_size=2)
    rows = [make_rows(3, 1), make_rows(4, 2)]
    with StackedLora(policy.model, 2, settings) as lora:
        losses = lora.fit(rows)
    for adapter in range(2):
        with StackedLora(policy.model, 1, settings) as alone:
            assert losses[adapter] == pytest.approx(alone.fit([rows[adapter]])[0], abs=1e-5)
    assert [len(own) for own in losses] == [4, 4]


def test_each_row_of_a_batch_has_its_own_adapter(policy: TransformersPolicy) -> None:
    batch = make_rows(4, 5)
    with StackedLora(policy.model, 2, QUICK) as lora:
        lora.fit([make_rows(2, 1), make_rows(2, 2)])
        with lora.rows([1, None, 0, 1]):
            mixed = logits(policy.model, batch)
        for place, adapter in enumerate([1, None, 0, 1]):
            with lora.rows([adapter] * 4):
                assert torch.allclose(mixed[place], logits(policy.model, batch)[place], atol=1e-5)
        with lora.rows(1):
            one = logits(policy.model, batch)
        assert torch.allclose(one[[0, 3]], mixed[[0, 3]], atol=1e-5)
        assert (one[2] - mixed[2]).abs().max() > 1e-3


def test_outside_of_rows_nothing_has_changed_a_bit(policy: TransformersPolicy) -> None:
    batch = make_rows(3, 5)
    before = logits(policy.model, batch)
    names = [name for name, _ in policy.model.named_modules()]
    asked = [p.requires_grad for p in policy.model.parameters()]
    with StackedLora(policy.model, 1, QUICK) as lora:
        with lora.rows(0):
            assert torch.equal(logits(policy.model, batch), before)  # fresh: changes nothing yet
        lora.fit([make_rows(2, 1)])
        assert torch.equal(logits(policy.model, batch), before)
        with lora.rows([0, None, 0]):
            inside = logits(policy.model, batch)
        assert torch.equal(inside[1], before[1]) and not torch.equal(inside[0], before[0])
        with pytest.raises(KeyError), lora.rows(0):
            raise KeyError("in the middle")
        assert torch.equal(logits(policy.model, batch), before)
    assert torch.equal(logits(policy.model, batch), before)
    assert [name for name, _ in policy.model.named_modules()] == names
    assert [p.requires_grad for p in policy.model.parameters()] == asked
    assert not any(module._forward_hooks for module in policy.model.modules())


def test_reset_is_exact_and_the_same_rows_give_the_same_adapter(policy: TransformersPolicy) -> None:
    with StackedLora(policy.model, 2, QUICK) as lora:
        fresh = lora.weights.clone()
        first = lora.fit([make_rows(2, 1)] * 2)
        trained = lora.weights.clone()
        lora.reset()
        assert torch.equal(lora.weights, fresh)
        assert lora.fit([make_rows(2, 1)] * 2) == first
        assert torch.equal(lora.weights, trained)
        assert torch.equal(trained[0], trained[1])


def test_an_adapter_learns_its_rows(policy: TransformersPolicy) -> None:
    row = replace(make_rows(1, 1)[0], weights=(1.0,) * 4)
    settings = replace(QUICK, epochs=12, learning_rate=2e-2)
    with StackedLora(policy.model, 1, settings) as lora:
        (losses,) = lora.fit([[row]])
    assert losses[-1] < 0.7 * losses[0]


def test_answers_are_sampled_with_an_adapter_a_row(policy: TransformersPolicy) -> None:
    """Generation calls the model with a cache, a token at a time."""
    greedy = policy.with_sampling(temperature=0.0)
    histories = [History(("lorem ipsum",)), History(("lorem ipsum",))]
    plain = [answer.token_ids for (answer,) in greedy.act(histories)]
    wished = policy.tokens.answer("sit")
    row = Weighted(policy.tokens.prompt(histories[0]), wished, (1.0,) * len(wished))
    settings = replace(QUICK, epochs=20, learning_rate=2e-2)
    with StackedLora(policy.model, 2, settings) as lora:
        lora.fit([[], [row]])
        with lora.rows([0, 1]):
            taught = [answer.token_ids for (answer,) in greedy.act(histories)]
    assert taught == [plain[0], wished]
    assert plain[0] != wished


def test_a_loss_that_is_not_finite_stops_and_resets(policy: TransformersPolicy) -> None:
    bad = replace(make_rows(1, 1)[0], weights=(float("inf"),) * 4)
    with StackedLora(policy.model, 2, QUICK) as lora:
        fresh = lora.weights.clone()
        with pytest.raises(RunStopped, match="adapter 1 was nan at update 1 of 2"):
            lora.fit([make_rows(1, 1), [bad]])
        assert torch.equal(lora.weights, fresh)


def test_what_cannot_be_used_is_bad_input(policy: TransformersPolicy) -> None:
    with pytest.raises(BadInput, match="at least 1 adapter"):
        StackedLora(policy.model, 0)
    with pytest.raises(BadInput, match="found none in Qwen3"):
        StackedLora(policy.model, 1, LoraSettings(targets=("c_attn",)))
    with pytest.raises(BadInput, match="rank above 0"):
        LoraSettings(rank=0)
    with StackedLora(policy.model, 2) as lora:
        with pytest.raises(BadInput, match="rows for 2 adapters, got 1"):
            lora.fit([make_rows(1, 1)])
        with pytest.raises(BadInput, match="adapters from 0 to 1, got 2"), lora.rows([0, 2]):
            pass
        with pytest.raises(BadInput, match="a batch of 2 rows, got 3"), lora.rows([0, 1]):
            logits(policy.model, make_rows(3, 0))


def test_named_targets_alone_are_adapted(policy: TransformersPolicy) -> None:
    with StackedLora(policy.model, 1, replace(QUICK, targets=("q_proj", "v_proj"))) as lora:
        assert len(lora._layers) == 4
