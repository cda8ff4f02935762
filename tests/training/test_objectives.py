"""Objectives against numbers worked by hand, closed forms and effects they were published for."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, tensor

from agentgym_si.training.advantages import group_advantages
from agentgym_si.training.objectives import (
    Surrogate,
    clipped,
    compatible_teacher,
    contrastive,
    distill,
    dpo,
    likelihood,
    nft,
    preference,
    reward_model,
    sequence_clipped,
    simpo,
    token_weighted,
    weighted_mean,
    weighted_sum,
)

pytestmark = pytest.mark.train


def gradient(surrogate: Surrogate, logprobs: Tensor, behaviour: Tensor, weights: Tensor) -> Tensor:
    logprobs = logprobs.clone().requires_grad_()
    (found,) = torch.autograd.grad(
        token_weighted(logprobs, weights, behaviour, surrogate), logprobs
    )
    return found


def test_likelihood_is_the_weighted_sum_of_nll() -> None:
    """0.5 ln 2 + 2 ln 4 - ln 10; the token of weight 0 has an infinite loss that must not count."""
    logprobs = tensor([[0.5, 0.25], [0.1, 0.0]]).log()
    weights = tensor([[0.5, 2.0], [-1.0, 0.0]])
    expected = 0.5 * math.log(2) + 2 * math.log(4) - math.log(10)
    assert float(token_weighted(logprobs, weights)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("ratio", "weight", "loss", "slope"),
    [
        (1.0, 2.0, -2.0, -2.0),
        (1.1, 1.0, -1.1, -1.1),  # inside the range: the slope in log π is the ratio's
        (1.5, 1.0, -1.2, 0.0),  # pushed far enough already
        (0.5, 1.0, -0.5, -0.5),
        (0.5, -1.0, 0.8, 0.0),
        (1.5, -1.0, 1.5, 1.5),
    ],
)
def test_clipped_by_hand(ratio: float, weight: float, loss: float, slope: float) -> None:
    behaviour = tensor([[-3.0]])
    logprobs, weights = behaviour + math.log(ratio), tensor([[weight]])
    found = token_weighted(logprobs, weights, behaviour, clipped)
    assert float(found) == pytest.approx(loss, rel=1e-5)
    got = gradient(clipped, logprobs, behaviour, weights)
    assert float(got) == pytest.approx(slope, rel=1e-5)


def test_on_policy_all_surrogates_are_the_policy_gradient() -> None:
    draw = torch.Generator().manual_seed(0)
    logprobs = -torch.rand(4, 6, generator=draw, dtype=torch.float64)
    weights = torch.randn(4, 6, generator=draw, dtype=torch.float64)
    for surrogate in (likelihood, clipped, partial(nft, accuracy=tensor([[0.3]]))):
        found = gradient(surrogate, logprobs, logprobs, weights)
        assert torch.allclose(found, -weights, atol=1e-12)
    one = gradient(sequence_clipped, logprobs, logprobs, weights)
    assert torch.allclose(one, -weights.sum(-1, keepdim=True).expand(4, 6), atol=1e-12)


@pytest.mark.parametrize("scale", ["none", "deviation"])
def test_nft_is_grpo_on_policy(scale: str) -> None:
    """V2: with the weight 1 - r exactly un-normalised GRPO; over the deviation with its root."""
    rewards = (np.random.default_rng(1).random((5, 16)) < 0.4).astype(float)
    rate = tensor(rewards).mean(1)
    advantages = tensor(group_advantages(rewards, scale=scale, sample=False, epsilon=0.0))  # type: ignore[arg-type]
    root = ((1 - rate) / rate).sqrt() if scale == "deviation" else 1 - rate
    for group in range(5):  # NFT as the paper writes it: a weight a group, a formula a label
        logits = torch.zeros(16, 3, dtype=torch.float64, requires_grad=True)
        r, omega = rate[group], root[group]
        behaviour = logits.detach().log_softmax(-1)[:, 0]
        ratio = (logits.log_softmax(-1)[:, 0] - behaviour).exp()
        right = tensor(rewards[group]) > 0
        losses = torch.where(right, -ratio.log(), -((1 - r * ratio) / (1 - r)).log()) * omega
        (expected,) = torch.autograd.grad(losses.sum(), logits)
        chosen = logits.log_softmax(-1)[:, :1]
        weights = advantages[group][:, None]
        for surrogate in (clipped, partial(nft, accuracy=r.view(1, 1))):
            loss = token_weighted(chosen, weights, behaviour[:, None], surrogate)
            (found,) = torch.autograd.grad(loss, logits, retain_graph=True)
            assert float((found - expected).abs().max()) < 1e-14


def test_nft_reads_the_rate_off_unscaled_weights() -> None:
    """Off policy: -(1 - r) log((1 - rR)/(1 - r)) with r = 1/4, R = 1/2 is -0.75 log(7/6)."""
    behaviour = tensor([[-1.0, -1.0]])
    logprobs, weights = behaviour + math.log(0.5), tensor([[-0.25, 0.75]])
    loss = token_weighted(logprobs, weights, behaviour, nft)
    expected = -0.75 * math.log(7 / 6) + 0.75 * math.log(2)
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    far = behaviour + math.log(4.0)  # the implied ratio is 0: its logarithm is held at 0
    wrong = tensor([[-0.25, 0.0]])
    assert float(token_weighted(far, wrong, behaviour, nft)) == pytest.approx(0.0, abs=1e-6)
    assert torch.isfinite(gradient(nft, far, behaviour, wrong)).all()


class Guided:
    """V7: an answer of 8 tokens that the policy gets right with probability 0.3 ** 8 = 6.6e-5."""

    length, words, group = 8, 4, 16

    def __init__(self, seed: int) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        other = (1 - 0.3) / (self.words - 1)
        start = tensor([[0.3] + [other] * (self.words - 1)] * self.length).log()
        self.logits = start.clone().requires_grad_()
        self.hint = start + tensor([3.0, 0.0, 0.0, 0.0])  # a hint makes each token 0.9 likely

    def sample(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        probabilities = logits.softmax(-1)
        answers = torch.multinomial(probabilities, self.group, True, generator=self.draw).T
        logprobs = logits.log_softmax(-1)[torch.arange(self.length), answers]
        return answers, logprobs, (answers == 0).all(-1).double()

    def train(self, surrogate: Surrogate | None, updates: int = 150) -> float:
        descent = torch.optim.SGD([self.logits], lr=0.5)
        for _ in range(updates):
            with torch.no_grad():
                answers, behaviour, rewards = self.sample(self.logits)
                if surrogate is not None and not rewards.any():
                    answers, behaviour, rewards = self.sample(self.hint)
            advantages = tensor(group_advantages(rewards[None].numpy()))[0].float()
            weights = advantages[:, None].expand(self.group, self.length)
            logprobs = self.logits.log_softmax(-1)[torch.arange(self.length), answers]
            loss = token_weighted(logprobs, weights, behaviour, surrogate or clipped)
            descent.zero_grad()
            (loss / self.group).backward()  # type: ignore[no-untyped-call]
            descent.step()
        return float(self.logits.detach().softmax(-1)[:, 0].prod())


def test_only_a_ratio_a_token_learns_from_hinted_answers() -> None:
    """V7: plain GRPO never sees a success; the product of ratios drowns it."""
    outcomes = {
        name: [Guided(seed).train(surrogate) for seed in range(3)]
        for name, surrogate in (("plain", None), ("token", clipped), ("product", sequence_clipped))
    }
    assert max(outcomes["plain"]) < 0.01
    assert max(outcomes["product"]) < 0.01
    assert min(outcomes["token"]) > 0.9


def choose(rows: list[tuple[int, float]]) -> Tensor:
    """Return the probabilities of 3 first steps learned from (step, weight) rows."""
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    steps, weights = tensor([step for step, _ in rows]), tensor([w for _, w in rows]).double()
    descent = torch.optim.SGD([logits], lr=0.5)
    behaviour = torch.full((len(rows), 1), math.log(1 / 3), dtype=torch.float64)
    for _ in range(150):
        logprobs = logits.log_softmax(-1)[steps][:, None]
        loss = token_weighted(logprobs, weights[:, None], behaviour, likelihood) / len(rows)
        descent.zero_grad()
        (loss + 0.01 * logits.square().sum()).backward()  # type: ignore[no-untyped-call]
        descent.step()
    return logits.detach().softmax(-1)


def test_negatives_a_step_unlearn_what_lucky_episodes_teach() -> None:
    """V12: 70 of 100 solved episodes hold a spurious first step; their value tells it apart.

    Step 0 is right (solves 90 of 100), step 1 spurious (30 of 100), step 2 hopeless.
    """
    value = {0: 0.9, 1: 0.3, 2: 0.0}
    baseline = (30 * 0.9 + 70 * 0.3 + 20 * 0.0) / 120
    solved, failed = [0] * 30 + [1] * 70, [2] * 20
    positives = choose([(step, 1.0) for step in solved])
    outcomes = choose([(step, 1.0) for step in solved] + [(step, -1.0) for step in failed])
    per_step = choose([(step, value[step] - baseline) for step in solved + failed])
    assert float(positives[1]) > 0.6 and float(outcomes[1]) > 0.6
    assert float(per_step[1]) < 0.1 and float(per_step[0]) > 0.8


def test_dpo_by_hand() -> None:
    """-log σ(0.1 · ((−1 + 2) − (−3 + 1))) = log(1 + e^−0.3)."""  # noqa: RUF002
    sums = [tensor([value]) for value in (-1.0, -3.0, -2.0, -1.0)]
    assert float(dpo(*sums, beta=0.1)) == pytest.approx(math.log1p(math.exp(-0.3)), rel=1e-6)
    smoothed = dpo(*sums, beta=0.1, smoothing=tensor([0.2]))
    expected = 0.8 * math.log1p(math.exp(-0.3)) + 0.2 * math.log1p(math.exp(0.3))
    assert float(smoothed) == pytest.approx(expected, rel=1e-6)


def test_a_smoothing_a_pair_is_where_the_pair_settles() -> None:
    """The least loss of a pair that is wrong with probability s has σ(difference) = 1 - s."""  # noqa: RUF002
    smoothing = tensor([0.0, 0.1, 0.4])
    difference = tensor([0.0, math.log(9), math.log(1.5)]).requires_grad_()
    (slope,) = torch.autograd.grad(preference(difference, smoothing).sum(), difference)
    assert slope.tolist() == pytest.approx([-0.5, 0.0, 0.0], abs=1e-6)


def test_simpo_by_hand_and_lengths_do_not_count() -> None:
    logprobs = tensor([[-1.0, -3.0, 0.0], [-2.0, -2.0, -2.0]])
    weights = tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    means = weighted_mean(logprobs, weights)
    assert means.tolist() == [-2.0, -2.0]
    assert weighted_sum(logprobs, weights).tolist() == [-4.0, -6.0]
    expected = math.log1p(math.exp(0.5))
    assert float(simpo(means[:1], means[1:], margin=0.5)) == pytest.approx(expected, rel=1e-6)


def test_what_is_masked_in_a_pair_has_no_gradient() -> None:
    """A tool's result inside a chosen answer must not be preferred."""
    logprobs = torch.full((2, 3), -1.0).requires_grad_()
    sums = weighted_sum(logprobs, tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))
    loss = dpo(sums[:1], sums[1:], tensor([0.0]), tensor([0.0])).sum()
    (slope,) = torch.autograd.grad(loss, logprobs)
    assert [[value != 0 for value in row] for row in slope.tolist()] == [
        [True, False, True],
        [False, True, False],
    ]


def test_distillation_by_hand() -> None:
    """KL of (3/4, 1/4) to (1/2, 1/2): log 2 minus the teacher's entropy; masked tokens are out."""
    teacher = tensor([[[math.log(3.0), 0.0], [9.0, 0.0]]])
    student = torch.zeros(1, 2, 2).requires_grad_()
    loss = distill(student, teacher, tensor([[1.0, 0.0]]))
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    (slope,) = torch.autograd.grad(loss, student)
    assert slope[0].tolist() == [pytest.approx([-0.25, 0.25]), [0.0, 0.0]]


def test_temperature_keeps_the_size_of_the_gradient() -> None:
    teacher = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)) * 0.1
    sizes = []
    for temperature in (1.0, 4.0):
        student = torch.zeros(2, 3, 5).requires_grad_()
        loss = distill(student, teacher, torch.ones(2, 3), temperature=temperature)
        sizes.append(float(torch.autograd.grad(loss, student)[0].norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


def test_the_old_model_teaches_where_the_new_one_is_wrong() -> None:
    old, new = tensor([[[5.0, 1.0], [6.0, 2.0]]]), tensor([[[0.0, 1.0], [1.0, 0.0]]])
    taught = compatible_teacher(old, new, tensor([[1, 1]]))
    assert taught.tolist() == [[[0.0, 1.0], [6.0, 2.0]]]


def test_reward_model_and_contrastive_by_hand() -> None:
    loss = reward_model(tensor([2.0]), tensor([1.0]), margin=1.0)
    assert float(loss) == pytest.approx(math.log(2), rel=1e-6)
    states = tensor([[3.0, 0.0], [0.0, 0.5]])
    losses = contrastive(states, states, temperature=1.0)
    assert losses.tolist() == pytest.approx([math.log1p(math.exp(-1))] * 2, rel=1e-6)
    crossed = contrastive(states, states.flip(0), temperature=1.0)
    assert crossed.tolist() == pytest.approx([math.log1p(math.exp(1))] * 2, rel=1e-6)
