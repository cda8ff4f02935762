"""The contract of language models: each fault it is there for is planted, and found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.testing import check_language_model

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> TransformersPolicy:
    folder = tmp_path_factory.mktemp("contract") / "model"
    texts = ['[1] button "ok"', "click('1')"] * 20
    build_tiny(folder, texts, vocabulary=400, hidden=32, layers=2, heads=2, context=512)
    return TransformersPolicy(folder, max_new_tokens=4, device="cpu")


def test_the_local_model_keeps_it(policy: TransformersPolicy) -> None:
    check_language_model(policy, reference=policy, max_new_tokens=6)


class Broken(TransformersPolicy):
    """A policy of the same weights; subclasses plant one fault each."""

    def __init__(self, sound: TransformersPolicy) -> None:
        self.__dict__.update(sound.__dict__)


class IgnoresItsSeed(Broken):
    def generate(self, *args: Any, seed: int = 0, **options: Any) -> Any:
        return super().generate(*args, **options)


class SharesOneStream(Broken):
    """Draws from one generator in the order of the batch."""

    def _sample(self, requests: Any, sampling: Any) -> Any:
        numbered = [request._replace(seed=index) for index, request in enumerate(requests)]
        return super()._sample(numbered, sampling)


class ForgetsThePromptsIds(Broken):
    def generate(self, prompts: Any, **options: Any) -> Any:
        found = super().generate(prompts, **options)
        return [
            [replace(c, prompt_ids=(*c.prompt_ids[:-1], c.prompt_ids[0])) for c in row]
            for row in found
        ]


class IgnoresStops(Broken):
    def generate(self, *args: Any, stop: Any = (), **options: Any) -> Any:
        return super().generate(*args, **options)


class RecordsOtherLogprobs(Broken):
    def _sample(self, requests: Any, sampling: Any) -> Any:
        found = super()._sample(requests, sampling)
        return [replace(c, logprobs=tuple(2 * score for score in c.logprobs)) for c in found]


class ScoresOneTokenLate(Broken):
    def logprobs(self, contexts: Any, completions: Any) -> Any:
        found = super().logprobs(contexts, completions)
        return [(*scores[1:], *scores[:1]) for scores in found]


class LeavesItsAdapterOn(Broken):
    @contextlib.contextmanager
    def adapter(self, rows: Any, settings: Any = None) -> Iterator[Any]:
        with super().adapter(rows, settings) as adapted:
            weights = adapted.model.model.layers[0].mlp.up_proj.weight
            weights.data.mul_(1.01)
            yield adapted


class ClaimsWhatItCannot(Broken):
    capabilities = frozenset({"sampling"})


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (IgnoresItsSeed, "seeds: another seed"),
        (SharesOneStream, "batch: "),
        (ForgetsThePromptsIds, "ids: "),
        (IgnoresStops, "stop: "),
        (RecordsOtherLogprobs, "logprobs: scored"),
        (ScoresOneTokenLate, "logprobs: scored"),
        (ClaimsWhatItCannot, "capabilities: expected MissingCapability for scoring"),
        (LeavesItsAdapterOn, "adapter: "),  # last: it spoils the weights it shares
    ],
)
def test_a_planted_fault_is_named(policy: TransformersPolicy, broken: Any, rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        check_language_model(broken(policy), max_new_tokens=6)
