"""`VLLMPolicy`: vLLM in this process, on a GPU; a trainer's process talks to a server instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgym_si.errors import MissingDependency
from agentgym_si.policies.asking import Request, Sampling, SamplingPolicy, check_scored, cut_text
from agentgym_si.policies.language import (
    Capability,
    Completion,
    LanguageModel,
    lacking,
)
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.types import Weighted

try:
    import torch
    from vllm import LLM, SamplingParams, TokensPrompt
except ImportError as error:
    raise MissingDependency("vllm:MODEL needs vLLM: pip install 'agentgym-si[vllm]'") from error

if TYPE_CHECKING:
    from agentgym_si.policies.lora import LoraSettings

PLAIN = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""What a checkpoint may ask for, and vLLM would apply unseen."""


class VLLMPolicy(SamplingPolicy):
    """Answers with a causal language model in a vLLM engine of this process.

    An answer is fixed by the weights, its history and its seed up to rounding: vLLM's kernels add
    in an order that follows the batch.

    Args:
        model: a checkpoint folder or hub name.
        temperature: 0 takes the likeliest token.
        max_new_tokens: longest answer, the stop token included.
        seed: of the sampling.
        context: most tokens of a chat; None takes the checkpoint's.
        engine: more of `vllm.LLM`'s arguments, such as `tensor_parallel_size`.
    """

    without_hooks = "vLLM takes them only at its start"
    tokens: ChatTokens
    context: int
    capabilities: frozenset[Capability] = frozenset({"sampling", "scoring"})

    def __init__(
        self,
        model: str | Path,
        *,
        temperature: float = 1.0,
        max_new_tokens: int = 64,
        seed: int = 0,
        context: int | None = None,
        engine: Mapping[str, Any] | None = None,
    ) -> None:
        """Start the engine; raises BadInput where there is no checkpoint with a chat template."""
        super().__init__(Sampling(temperature, max_new_tokens), seed, f"vllm:{model}")
        self.tokens = ChatTokens.load(model)
        options = {"max_model_len": context, "logprobs_mode": "processed_logprobs"}
        self._engine: Any = LLM(str(model), **options, **(engine or {}))
        self.context = int(self._engine.model_config.max_model_len)

    def _sample(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        settings = [
            SamplingParams(
                temperature=sampling.temperature,
                max_tokens=sampling.max_new_tokens,
                stop=list(sampling.stop),
                stop_token_ids=sorted(self.tokens.stops),
                seed=request.seed,
                logprobs=0,
                skip_special_tokens=False,
                **PLAIN,
            )
            for request in requests
        ]
        found = self._run([request.prompt for request in requests], settings)
        return [
            self._completion(request, output.outputs[0], sampling)
            for request, output in zip(requests, found, strict=True)
        ]

    def _completion(self, request: Request, output: Any, sampling: Sampling) -> Completion:
        ids = tuple(output.token_ids)
        logprobs = [
            float(entry[token].logprob) for entry, token in zip(output.logprobs, ids, strict=True)
        ]
        return Completion(
            text=cut_text(self.tokens.text(ids), sampling.stop),
            prompt_ids=request.prompt,
            token_ids=ids,
            logprobs=tuple(logprobs),
            finish="length" if output.finish_reason == "length" else "stop",
        )

    def _run(self, prompts: Sequence[Sequence[int]], settings: Any) -> list[Any]:
        asked = [TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]
        with torch.random.fork_rng(devices=[]):  # an engine of this very process draws from it
            return list(self._engine.generate(asked, settings, use_tqdm=False))

    def logprobs(
        self, contexts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[tuple[float, ...]]:
        """Return the logprob of each completion token after its context, at temperature 1."""
        check_scored(contexts, completions, self.context - 1)  # the engine draws one more
        settings = SamplingParams(max_tokens=1, temperature=1.0, prompt_logprobs=0, seed=0, **PLAIN)
        pairs = list(zip(contexts, completions, strict=True))
        found = self._run([[*context, *completion] for context, completion in pairs], settings)
        return [
            tuple(
                float(entry[token].logprob)
                for entry, token in zip(
                    output.prompt_logprobs[len(context) :], completion, strict=True
                )
            )
            for output, (context, completion) in zip(found, pairs, strict=True)
        ]

    def adapter(
        self, rows: Sequence[Weighted], settings: LoraSettings | None = None
    ) -> AbstractContextManager[LanguageModel]:
        """Raise MissingCapability: vLLM does not train."""
        raise lacking(self.version, "adapting", "vLLM does not train")
