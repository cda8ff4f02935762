"""`TransformersPolicy`: a local language model on one device, batched, with ids and logprobs."""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from agentgym_si.errors import BadInput, MissingDependency
from agentgym_si.policies.base import History, Need, stable_seed
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.types import Action

try:
    import torch
    from transformers import (
        AutoModelForCausalLM,
        GenerationConfig,
        LogitsProcessor,
        LogitsProcessorList,
        PreTrainedModel,
    )
    from transformers.utils import logging as transformers_logging

    from agentgym_si.policies.threads import one_thread_if_small
except ImportError as error:
    raise MissingDependency(
        "local language models need torch and transformers: pip install 'agentgym-si[train]'"
    ) from error

Attention = Literal["sdpa", "eager", "flash_attention_2"]


class _Row(NamedTuple):
    """One answer to sample: where it belongs, what it reads, and its own random stream."""

    history: int
    prompt: tuple[int, ...]
    seed: int


class TransformersPolicy:
    """Answers with a causal language model; the same seed, history and weights, the same answer.

    Each answer is drawn with its own random stream, fixed by (`seed`, the history's seed, step,
    sample), so it does not depend on what else is in the batch. `logprobs` of an action are those
    of the distribution it was drawn from, at its temperature; for temperature 0, which draws from
    none, those at temperature 1.

    A prompt that leaves no room for `max_new_tokens` in the model's context is answered with an
    empty text without ids, and counted in `overlong`.

    Args:
        model: a checkpoint folder or hub name.
        temperature: 0 takes the likeliest token.
        max_new_tokens: longest answer, the stop token included.
        batch_size: most answers sampled at once.
        seed: of the sampling.
        device: a torch device, or "auto".
        dtype: a torch dtype's name, or "auto" for the checkpoint's own.
        attention: transformers' attention implementation.
    """

    needs: frozenset[Need] = frozenset()

    def __init__(
        self,
        model: str | Path,
        *,
        temperature: float = 1.0,
        max_new_tokens: int = 64,
        batch_size: int = 64,
        seed: int = 0,
        device: str = "auto",
        dtype: str = "auto",
        attention: Attention = "sdpa",
    ) -> None:
        """Load the checkpoint; raises BadInput where there is none or it has no chat template."""
        if batch_size < 1:
            raise BadInput(f"expected batch_size of at least 1, got {batch_size}")
        self.name = str(model)
        self.model: Any = load_model(model, device=device, dtype=dtype, attention=attention)
        # A checkpoint may ask for a repetition penalty and the like, which `generate` would apply
        # unseen: then the recorded logprobs would not be the model's.
        self._generation = self.model.generation_config
        self.model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        self.tokens = ChatTokens.load(model, stops=_listed(self._generation.eos_token_id))
        self.context = int(self.model.config.get_text_config().max_position_embeddings)
        """Most tokens of a chat, prompt and answer together."""
        self.batch_size = batch_size
        self.seed = seed
        self.overlong = 0
        """Histories that were too long to be answered."""
        self.version = fingerprint(self.model, self.tokens)
        self._set_sampling(temperature, max_new_tokens)

    def _set_sampling(self, temperature: float, max_new_tokens: int) -> None:
        if temperature < 0:
            raise BadInput(f"expected temperature of at least 0, got {temperature}")
        if max_new_tokens < 1:
            raise BadInput(f"expected max_new_tokens of at least 1, got {max_new_tokens}")
        self.temperature, self.max_new_tokens = temperature, max_new_tokens

    def with_sampling(
        self, *, temperature: float | None = None, max_new_tokens: int | None = None
    ) -> TransformersPolicy:
        """Return a policy that shares these weights and samples otherwise."""
        other = copy.copy(self)
        other._set_sampling(
            self.temperature if temperature is None else temperature,
            self.max_new_tokens if max_new_tokens is None else max_new_tokens,
        )
        return other

    # Acting -------------------------------------------------------------------------------

    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        """Sample n answers a history, in batches of like length."""
        rows: list[_Row] = []
        for index, history in enumerate(histories):
            prompt = self.tokens.prompt(history)
            if len(prompt) + self.max_new_tokens > self.context:
                self.overlong += 1
                continue
            rows += [
                _Row(index, prompt, stable_seed(self.seed, history.seed, len(history.actions), j))
                for j in range(n)
            ]
        actions: list[list[Action]] = [[] for _ in histories]
        order = sorted(range(len(rows)), key=lambda row: len(rows[row].prompt))
        sampled: dict[int, Action] = {}
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            sampled.update(zip(batch, self._sample([rows[row] for row in batch]), strict=True))
        for index, row in enumerate(rows):
            actions[row.history].append(sampled[index])
        return [found or [Action("")] * n for found in actions]

    def _sample(self, rows: Sequence[_Row]) -> Iterator[Action]:
        device = self.model.device
        width = max(len(row.prompt) for row in rows)
        pad = pad_id(self.tokens)
        ids = [[pad] * (width - len(row.prompt)) + list(row.prompt) for row in rows]
        mask = [[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in rows]
        sampler = _Sampler([row.seed for row in rows], self.temperature, device)
        with one_thread_if_small(self.model), torch.inference_mode():
            output = self.model.generate(
                input_ids=torch.tensor(ids, device=device),
                attention_mask=torch.tensor(mask, device=device),
                generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                    do_sample=False,
                    max_new_tokens=self.max_new_tokens,
                    pad_token_id=pad,
                    eos_token_id=sorted(self.tokens.stops),
                ),
                logits_processor=LogitsProcessorList([sampler]),
            )
        logprobs = torch.stack(sampler.chosen, dim=1).tolist()
        for row, new_ids, new_logprobs in zip(
            rows, output[:, width:].tolist(), logprobs, strict=True
        ):
            stops = (place + 1 for place, token in enumerate(new_ids) if token in self.tokens.stops)
            length = next(stops, len(new_ids))
            answer = tuple(new_ids[:length])
            yield Action(self.tokens.text(answer), row.prompt, answer, tuple(new_logprobs[:length]))

    # Scoring, keeping ---------------------------------------------------------------------

    def logprobs(
        self, contexts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[tuple[float, ...]]:
        """Return the logprob of each completion token after its context, at temperature 1."""
        lengths = [len(c) + len(t) for c, t in zip(contexts, completions, strict=True)]
        for context, length in zip(contexts, lengths, strict=True):
            if not context or length > self.context:
                raise BadInput(
                    f"expected a context and at most {self.context} tokens with its completion, "
                    f"got {len(context)} and {length}"
                )
        found: dict[int, tuple[float, ...]] = {}
        order = sorted(range(len(lengths)), key=lambda row: lengths[row])
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            scores = self._score([[*contexts[row], *completions[row]] for row in batch])
            for row, row_scores in zip(batch, scores, strict=True):
                found[row] = tuple(row_scores[len(contexts[row]) - 1 : lengths[row] - 1])
        return [found[row] for row in range(len(lengths))]

    def _score(self, chats: Sequence[Sequence[int]]) -> list[list[float]]:
        device, pad = self.model.device, pad_id(self.tokens)
        width = max(map(len, chats))
        ids = torch.tensor([[*chat, *[pad] * (width - len(chat))] for chat in chats], device=device)
        mask = torch.tensor(
            [[1] * len(chat) + [0] * (width - len(chat)) for chat in chats], device=device
        )
        with one_thread_if_small(self.model), torch.inference_mode():
            logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
            scores = logits[:, :-1].float().log_softmax(-1)
            picked = scores.gather(-1, ids[:, 1:, None])[..., 0]
        return [[float(score) for score in row] for row in picked.tolist()]

    def save(self, folder: str | Path) -> Path:
        """Write weights, tokenizer and configuration where `TransformersPolicy` loads them."""
        folder = Path(folder)
        with quiet_transformers():
            self.model.save_pretrained(folder)
        self._generation.save_pretrained(folder)
        self.tokens.tokenizer.save_pretrained(folder)
        make_readable(folder)
        return folder


class _Sampler(LogitsProcessor):
    """Turns greedy decoding into exact sampling: argmax of logits / T plus Gumbel noise.

    Every row has its own generator. A stream is read from its start, a vocabulary's width a step.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, device: torch.device) -> None:
        self.temperature = temperature
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self.chosen: list[torch.Tensor] = []
        """A (B,) tensor of logprobs for each step."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
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


def load_model(
    path: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    attention: Attention = "sdpa",
) -> PreTrainedModel:
    """Load a causal language model in evaluation mode; raises BadInput."""
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        # Loading draws the weights that the file does not hold: not from the caller's generator.
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            model: Any = AutoModelForCausalLM.from_pretrained(
                str(path),
                dtype=dtype,
                attn_implementation=attention,
                local_files_only=Path(path).is_dir(),
            )
    except (OSError, ValueError) as error:
        raise BadInput(f"expected a language model's checkpoint at {path}: {error}") from error
    loaded: PreTrainedModel = model.to(place).eval()
    return loaded


def fingerprint(model: PreTrainedModel, tokens: ChatTokens) -> str:
    """Return a short hash of weights and tokenizer: the same on every machine."""
    digest = hashlib.blake2b(digest_size=6)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    digest.update(tokens.tokenizer.backend_tokenizer.to_str().encode())
    digest.update(str(tokens.tokenizer.chat_template).encode())
    return digest.hexdigest()


def make_readable(folder: Path) -> None:
    """Let every user read the files: safetensors are written for their owner alone."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars off for a while."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _listed(stops: int | list[int] | None) -> list[int]:
    return [] if stops is None else [stops] if isinstance(stops, int) else stops


def pad_id(tokens: ChatTokens) -> int:
    """Return the id that fills batches up; any serves, for padding is masked."""
    pad: Any = tokens.tokenizer.pad_token_id
    return tokens.end[-1] if pad is None else int(pad)
