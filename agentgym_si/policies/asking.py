"""Histories and prompts as single answers to sample: what all language models have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

from agentgym_si.errors import BadInput
from agentgym_si.policies.base import History, stable_seed
from agentgym_si.policies.language import Completion, Hook, Prompt
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.types import Message


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn."""

    temperature: float = 1.0
    """0 takes the likeliest token."""
    max_new_tokens: int = 64
    """The longest answer, the stop token included."""
    stop: tuple[str, ...] = ()
    hooks: tuple[Hook, ...] = ()

    def __post_init__(self) -> None:
        """Check the ranges; raises BadInput."""
        if not self.temperature >= 0:
            raise BadInput(f"expected temperature of at least 0, got {self.temperature}")
        if self.max_new_tokens < 1:
            raise BadInput(f"expected max_new_tokens of at least 1, got {self.max_new_tokens}")
        if isinstance(self.stop, str) or not all(self.stop):
            raise BadInput(f"expected stop as texts that are not empty, got {self.stop!r}")

    def but(self, **changes: Any) -> Sampling:
        """Return it with the changes that are not None."""
        return replace(
            self, **{name: value for name, value in changes.items() if value is not None}
        )


class Request(NamedTuple):
    """One answer to sample: what it reads, and its own random stream."""

    prompt: tuple[int, ...]
    """(P,) ids; empty where the server tokenises."""
    seed: int
    messages: tuple[Message, ...] = ()
    """The chat, where the server tokenises."""
    tools: tuple[Mapping[str, Any], ...] = ()


Sampler = Callable[[Sequence[Request], Sampling], Sequence[Completion]]
"""Draws one completion a request, in their order."""


def from_histories(
    tokens: ChatTokens | None, histories: Sequence[History], n: int, seed: int
) -> list[list[Request]]:
    """Return n requests a history; their streams follow `seed`, the history's seed and the step."""
    asked = []
    for history in histories:
        prompt = () if tokens is None else tokens.prompt(history)
        messages = tuple(history.messages()) if tokens is None else ()
        tools = history.tools if tokens is None else ()
        step = len(history.actions)
        seeds = [stable_seed(seed, history.seed, step, sample) for sample in range(n)]
        asked.append([Request(prompt, own, messages, tools) for own in seeds])
    return asked


def from_prompts(
    tokens: ChatTokens | None, prompts: Sequence[Prompt], n: int, *seeds: int
) -> list[list[Request]]:
    """Return n requests a prompt; their streams follow the seeds and the prompt.

    Raises BadInput for an empty prompt, and for ids where only the server tokenises.
    """
    asked = []
    for index, prompt in enumerate(prompts):
        if not prompt:
            raise BadInput(f"expected prompt {index} to hold ids or messages, got an empty one")
        messages: tuple[Message, ...] = ()
        ids: tuple[int, ...] = ()
        if isinstance(prompt[0], Mapping):
            messages = tuple(cast(Sequence[Message], prompt))
            if tokens is not None:
                ids, messages = tokens.chat(messages), ()
        elif tokens is None:
            raise BadInput(
                f"expected prompt {index} as messages, for only the server knows the tokenizer; "
                "got ids. Give tokenizer=FOLDER to talk to it in ids"
            )
        else:
            ids = tuple(cast(Sequence[int], prompt))
        key = [*ids, *(value for message in messages for value in message.values())]
        streams = [stable_seed(*seeds, *key, sample) for sample in range(n)]
        asked.append([Request(ids, own, messages) for own in streams])
    return asked


def answer(
    asked: Sequence[Sequence[Request]], sampling: Sampling, sample: Sampler, context: int | None
) -> list[list[Completion]]:
    """Return a completion a request, in groups as asked.

    A prompt that leaves no room for the budget in `context` tokens (None: not known) is answered
    with an empty text, marked "overlong".
    """

    def fits(request: Request) -> bool:
        return context is None or len(request.prompt) + sampling.max_new_tokens <= context

    rows = [request for group in asked for request in group if fits(request)]
    found = iter(sample(rows, sampling) if rows else [])
    return [
        [
            next(found) if fits(request) else Completion("", request.prompt, finish="overlong")
            for request in group
        ]
        for group in asked
    ]


def cut_text(text: str, stop: Sequence[str]) -> str:
    """Return the text before the first stop text in it."""
    places = [place for place in map(text.find, stop) if place >= 0]
    return text[: min(places)] if places else text


def check_scored(
    contexts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    longest: int | None,
) -> None:
    """Check what is to be scored; raises BadInput.

    Args:
        contexts: ids, at least one each.
        completions: ids, as many sequences as there are contexts.
        longest: most tokens of the two together; None where it is not known.
    """
    if len(contexts) != len(completions):
        raise BadInput(
            f"expected as many contexts as completions, got {len(contexts)} and {len(completions)}"
        )
    for context, completion in zip(contexts, completions, strict=True):
        length = len(context) + len(completion)
        if not context or (longest is not None and length > longest):
            raise BadInput(
                f"expected a context and at most {longest} tokens with its completion, "
                f"got {len(context)} and {length}"
            )
