"""What is minimised, as functions of tensors: they know no model, no trainer, no task.

Most published methods are one sum, over tokens, of weight x f(ratio): they differ in the weights
(`agentgym_si.training.advantages`), in the context the log-probabilities are taken under, and in f:

    likelihood          f = -log π             SFT, RFT, weighted SFT (weights of any sign)
    clipped             f = -min(R, clip R)    GRPO, PPO; per-step and per-turn advantages
    clipped, hinted     the same, R = π(a | no hint) / μ(a | hint): Guide's off-context ratio
    sequence_clipped    one R an answer, the product over its tokens
    nft                 -log R for right, -log (1 - rR)/(1 - r) for wrong answers: NFT

Letters: B rows, T tokens, C columns of logits. Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agentgym_si.errors import MissingDependency

try:
    import torch
    from torch import Tensor
    from torch.nn.functional import log_softmax, logsigmoid
except ImportError as error:
    raise MissingDependency("objectives need torch: pip install 'agentgym-si[train]'") from error

Surrogate = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(B, T) logprobs, (B, T) behaviour logprobs and (B, T) weights to (B, T) losses."""


# Token-weighted ---------------------------------------------------------------------------


def token_weighted(
    logprobs: Tensor,
    weights: Tensor,
    behaviour: Tensor | None = None,
    surrogate: Surrogate | None = None,
) -> Tensor:
    """Return the sum over tokens of weight x f(ratio); the caller divides by what it counts.

    Args:
        logprobs: (B, T) of the tokens under the policy that is trained.
        weights: (B, T); 0 where nothing is learned: prompts, tool results, padding.
        behaviour: (B, T) logprobs of the policy that sampled; None where it is this one.
        surrogate: f; None for `likelihood`.
    """
    behaviour = logprobs.detach() if behaviour is None else behaviour
    losses = (surrogate or likelihood)(logprobs, behaviour, weights)
    return losses.masked_fill(weights == 0, 0.0).sum()


def likelihood(logprobs: Tensor, behaviour: Tensor, weights: Tensor) -> Tensor:
    """Return -weight x log π: its gradient is the policy gradient where π is what sampled."""
    return -weights * logprobs


def clipped(
    logprobs: Tensor, behaviour: Tensor, weights: Tensor, *, low: float = 0.2, high: float = 0.2
) -> Tensor:
    """Return PPO's clipped surrogate (arXiv 1707.06347), each token with its own ratio.

    A token whose ratio has left [1 - low, 1 + high] the way its weight pushes has no gradient. With
    the behaviour's logprobs taken under another context (with a hint), this is Guide (2506.13923).
    """
    ratio = (logprobs - behaviour).exp()
    return -torch.minimum(ratio * weights, ratio.clamp(1 - low, 1 + high) * weights)


def sequence_clipped(
    logprobs: Tensor, behaviour: Tensor, weights: Tensor, *, low: float = 0.2, high: float = 0.2
) -> Tensor:
    """Return the clipped surrogate with one ratio an answer: the product over its tokens.

    An exact importance weight, and useless far from the behaviour: for a long answer it is 0 or
    clipped. GSPO (arXiv 2507.18071) takes the geometric mean instead of the product.
    """
    taught = (weights != 0).to(logprobs.dtype)
    ratio = ((logprobs - behaviour) * taught).sum(-1, keepdim=True).exp()
    return -torch.minimum(ratio * weights, ratio.clamp(1 - low, 1 + high) * weights)


def nft(
    logprobs: Tensor,
    behaviour: Tensor,
    weights: Tensor,
    *,
    accuracy: Tensor | None = None,
    floor: float = 1.0,
) -> Tensor:
    """Return NFT's loss (arXiv 2505.18116): likelihood of right answers, implied one of wrong.

    With A the weight, r the group's share of right answers, ω the group's weight and R the ratio:
    right, A = ω(1 - r)/(1 - r) = ω: -A log R; wrong, A = -ωr/(1 - r): -ω log max((1 - rR)/(1 - r),
    floor), the gradient going through the maximum. Where R = 1 the gradient is the policy gradient
    with the weights A; `floor` bounds the logarithm's slope where R nears 1/r.

    Args:
        logprobs: (B, T).
        behaviour: (B, T).
        weights: (B, T) advantages: reward minus the group's mean, rewards being 0 and 1; or that
            over the group's deviation, with `accuracy` given.
        accuracy: (B, 1) or (B, T) r; None reads it off the weights of wrong answers, which are -r.
        floor: least value of the implied ratio.
    """
    ratio = (logprobs - behaviour).exp()
    wrong = weights < 0
    r = (-weights if accuracy is None else accuracy.expand_as(weights)).clamp(0.02, 0.98)
    r = torch.where(wrong, r, torch.full_like(r, 0.5))  # not read: keeps the other branch finite
    implied = (1 - r * ratio) / (1 - r)
    floored = implied + (implied.clamp_min(floor) - implied).detach()
    return torch.where(
        wrong,
        weights * (1 - r) / r * floored.log(),
        -weights * (logprobs - behaviour),
    )


SURROGATES: dict[str, Surrogate] = {
    "sft": likelihood,
    "grpo": clipped,
    "dapo": partial(clipped, high=0.28),  # arXiv 2503.14476: room for unlikely tokens
    "sequence": sequence_clipped,
    "nft": nft,
}
"""By the names that settings use."""


# Pairwise ---------------------------------------------------------------------------------


def weighted_sum(logprobs: Tensor, weights: Tensor) -> Tensor:
    """Return (B,) sums of weight x logprob: what DPO compares, tool results having weight 0."""
    return (weights * logprobs).sum(-1)


def weighted_mean(logprobs: Tensor, weights: Tensor) -> Tensor:
    """Return (B,) means of the logprobs by weight: what SimPO compares."""
    return weighted_sum(logprobs, weights) / weights.abs().sum(-1).clamp_min(1e-8)


def preference(difference: Tensor, smoothing: Tensor | float = 0.0) -> Tensor:
    """Return (B,) losses of preferring the chosen by `difference`.

    With probability `smoothing` the label is taken to be the wrong way round (conservative DPO):
    -(1 - s) log sigmoid(d) - s log sigmoid(-d), which is least where sigmoid(d) = 1 - s.
    """
    return -(1 - smoothing) * logsigmoid(difference) - smoothing * logsigmoid(-difference)


def dpo(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float = 0.1,
    smoothing: Tensor | float = 0.0,
) -> Tensor:
    """Return (B,) losses of DPO (arXiv 2305.18290, equation 7), conservative with `smoothing`.

    Args:
        chosen: (B,) weighted sums of logprobs.
        rejected: (B,).
        reference_chosen: (B,) the same under the reference, without gradient.
        reference_rejected: (B,).
        beta: strength of the pull to the reference.
        smoothing: (B,) or one number in [0, 0.5).
    """
    return preference(
        beta * ((chosen - reference_chosen) - (rejected - reference_rejected)), smoothing
    )


def simpo(
    chosen: Tensor,
    rejected: Tensor,
    *,
    beta: float = 2.5,
    margin: float = 0.5,
    smoothing: Tensor | float = 0.0,
) -> Tensor:
    """Return (B,) losses of SimPO (arXiv 2405.14734, equation 6): means, and no reference.

    Args:
        chosen: (B,) weighted means of logprobs.
        rejected: (B,).
        beta: scale of the means.
        margin: gamma, by which the chosen is to be better.
        smoothing: (B,) or one number in [0, 0.5).
    """
    return preference(beta * (chosen - rejected) - margin, smoothing)


# Distillation -----------------------------------------------------------------------------


def distill(
    student: Tensor, teacher: Tensor, weights: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """Return the weighted mean of KL(teacher || student) a token, times temperature squared.

    Args:
        student: (B, T, C) logits.
        teacher: (B, T, C) logits of the same vocabulary; gets no gradient.
        weights: (B, T) of at least 0; 0 masks a token.
        temperature: of both (arXiv 1503.02531).
    """
    wanted = log_softmax(teacher.detach().float() / temperature, -1)
    got = log_softmax(student.float() / temperature, -1)
    divergence = (wanted.exp() * (wanted - got)).sum(-1)
    return temperature**2 * (weights * divergence).sum() / weights.sum().clamp_min(1e-8)


def compatible_teacher(old: Tensor, new: Tensor, labels: Tensor) -> Tensor:
    """Return the logits to distil so that a new model keeps what the old one could.

    MUSCLE (arXiv 2407.09435): the old model's at tokens that the new one gets wrong, else the new
    one's own. Meaningful only on data that the new model was not fitted to.

    Args:
        old: (B, T, C) logits of the model before the update.
        new: (B, T, C) logits of the model after it.
        labels: (B, T) right tokens.
    """
    return torch.where((new.argmax(-1) == labels)[..., None], new, old)


def reward_model(chosen: Tensor, rejected: Tensor, *, margin: Tensor | float = 0.0) -> Tensor:
    """Return (B,) Bradley-Terry losses of (B,) scores: -log sigmoid(chosen - rejected - margin)."""
    return preference(chosen - rejected - margin)


def contrastive(states: Tensor, goals: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Return (B,) InfoNCE losses: state i belongs to goal i, the other goals are its negatives.

    Args:
        states: (B, D) vectors of states on the way.
        goals: (B, D) vectors of where they led; compared by cosine (arXiv 2407.13887).
        temperature: of the softmax over goals.
    """
    states, goals = (x / x.norm(dim=-1, keepdim=True).clamp_min(1e-8) for x in (states, goals))
    scores = states @ goals.T / temperature
    return -log_softmax(scores, -1).diagonal()
