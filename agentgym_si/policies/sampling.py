"""Sampling a batch of answers with transformers: exact, reproducible row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from agentgym_si.policies.asking import Request, Sampling, cut_text
from agentgym_si.policies.language import Completion, Hook
from agentgym_si.policies.threads import one_thread_if_small
from agentgym_si.policies.tokens import ChatTokens


def sample_batch(
    model: Any, tokens: ChatTokens, pad: int, requests: Sequence[Request], sampling: Sampling
) -> Iterator[Completion]:
    """Yield one completion a request, all sampled at once, padded on the left."""
    device = model.device
    width = max(len(request.prompt) for request in requests)
    ids = [[pad] * (width - len(r.prompt)) + list(r.prompt) for r in requests]
    mask = [[0] * (width - len(r.prompt)) + [1] * len(r.prompt) for r in requests]
    sampler = Gumbel([r.seed for r in requests], sampling.temperature, device, sampling.hooks)
    texts = _StopTexts(tokens, sampling.stop, width)
    with one_thread_if_small(model), torch.inference_mode():
        output = model.generate(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=torch.tensor(mask, device=device),
            generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                do_sample=False,
                max_new_tokens=sampling.max_new_tokens,
                pad_token_id=pad,
                eos_token_id=sorted(tokens.stops),
            ),
            logits_processor=LogitsProcessorList([sampler]),
            stopping_criteria=StoppingCriteriaList([texts] if sampling.stop else []),
        )
    logprobs = torch.stack(sampler.chosen, dim=1).tolist()
    for row, (request, new_ids) in enumerate(
        zip(requests, output[:, width:].tolist(), strict=True)
    ):
        stops = (place + 1 for place, token in enumerate(new_ids) if token in tokens.stops)
        found = [length for length in (next(stops, None), texts.lengths.get(row)) if length]
        length = min(found, default=len(new_ids))
        yield Completion(
            text=cut_text(tokens.text(new_ids[:length]), sampling.stop),
            prompt_ids=request.prompt,
            token_ids=tuple(new_ids[:length]),
            logprobs=tuple(logprobs[row][:length]),
            finish="stop" if found else "length",
        )


class Gumbel(LogitsProcessor):
    """Turns greedy decoding into exact sampling: argmax of logits / T plus Gumbel noise.

    Every row has its own generator. A stream is read from its start, a vocabulary's width a step.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        temperature: float,
        device: torch.device,
        hooks: Sequence[Hook] = (),
    ) -> None:
        self.temperature, self.hooks = temperature, hooks
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self.chosen: list[torch.Tensor] = []
        """A (B,) tensor of logprobs for each step."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Return scores whose largest is the drawn token."""
        for hook in self.hooks:
            scores = hook(input_ids, scores)
        logprobs = (scores.float() / (self.temperature or 1.0)).log_softmax(-1)
        noisy = logprobs
        if self.temperature:
            waits = torch.empty_like(logprobs)
            for row, generator in enumerate(self.generators):
                waits[row].exponential_(generator=generator)
            noisy = logprobs - waits.clamp_min_(torch.finfo(waits.dtype).tiny).log_()
        picked = noisy.argmax(-1, keepdim=True)
        self.chosen.append(logprobs.gather(-1, picked)[:, 0])
        return noisy  # type: ignore[return-value]


class _StopTexts(StoppingCriteria):
    """Ends a row once its answer's text holds one of the stop texts."""

    def __init__(self, tokens: ChatTokens, stop: Sequence[str], width: int) -> None:
        self.tokens, self.stop, self.width = tokens, stop, width
        self.lengths: dict[int, int] = {}
        """Row to the tokens of its answer, where a stop text ended it."""

    def __call__(
        self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: Any
    ) -> torch.BoolTensor:
        answers = input_ids[:, self.width :].tolist()
        for row, new_ids in enumerate(answers):
            if row not in self.lengths and any(s in self.tokens.text(new_ids) for s in self.stop):
                self.lengths[row] = len(new_ids)
        ended = [row in self.lengths for row in range(len(answers))]
        return torch.tensor(ended, device=input_ids.device)  # type: ignore[return-value]
