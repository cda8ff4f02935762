"""What a server can do, asked before the run: whose ids, which logprobs, how long a chat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from agentgym_si.errors import BadInput, EnvFailure
from agentgym_si.policies import openai_api as api
from agentgym_si.policies.asking import Request, Sampling
from agentgym_si.policies.client import Client, Refused
from agentgym_si.policies.language import Completion
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.types import Message

Result = TypeVar("Result")

PROBE: tuple[Message, ...] = (
    {"role": "system", "content": "Answer in one word: yes or no."},
    {"role": "user", "content": "Is '[12] button \"ok\"' a line?\n\t1 + 23 = 24"},
)
"""A chat in which tokenizers and templates differ."""

FIRST_PATIENCE = 20.0
"""Seconds the server may take to say which models it has; its first token may take longer."""


@dataclass(frozen=True)
class Met:
    """What is known of a server's model."""

    tokens: ChatTokens | None
    """Its tokenizer, where chats are kept in ids here."""
    context: int | None
    """Most tokens of a chat."""
    extended: bool
    """Whether it takes the fields that vLLM adds to the API."""
    scoring: bool
    """Whether it returns the logprobs of a prompt."""
    tempered: bool
    """Whether recorded logprobs are those after temperature."""


def meet(client: Client, model: str, tokenizer: str | Path | None) -> Met:
    """Ask a server about one of its models.

    Args:
        client: of the server.
        model: the server's name of it.
        tokenizer: a checkpoint folder or hub name; None takes the server's own folder where it is a
            vLLM server's and can be read here.

    Raises:
        BadInput: where no server answers, it has no such model, or another tokenizer.
    """
    patience = min(FIRST_PATIENCE, client.patience)
    listed = _first(client, "/models", None, api.read_models, patience)
    found = {entry.name: entry for entry in listed}
    if model not in found:
        raise BadInput(f"expected a model of {sorted(found)} at {client.url}, got {model!r}")
    entry = found[model]
    base = found.get(entry.parent, entry)
    folder = tokenizer
    if folder is None and entry.vllm and (Path(base.root) / "tokenizer_config.json").is_file():
        folder = base.root
    tokens = None if folder is None else ChatTokens.load(folder)
    extended = entry.vllm or tokens is not None
    asked = Request((), 0, PROBE)
    body = api.request_body(model, asked, Sampling(0.0, 1), extended=extended)
    answer = _first(client, "/chat/completions", body, api.read_chat)
    if tokens is not None:
        _check_tokenizer(client, tokens, answer)
    ids = bool(answer.prompt_ids)
    return Met(
        tokens=tokens,
        context=entry.context or base.context,
        extended=extended,
        scoring=extended and ids and _scores(client, model, answer),
        tempered=extended and ids and _tempers(client, model, answer),
    )


def _first(
    client: Client,
    path: str,
    body: Mapping[str, Any] | None,
    read: Callable[[Any], Result],
    patience: float | None = None,
) -> Result:
    try:
        return client.ask(path, body, read, patience=patience)
    except EnvFailure as error:
        raise BadInput(f"expected an OpenAI-compatible server at {client.url}: {error}") from error
    except Refused as error:
        key = "; its key is read from OPENAI_API_KEY" if error.status in (401, 403) else ""
        raise BadInput(f"the server at {client.url} refused {path}: {error}{key}") from error


def _check_tokenizer(client: Client, tokens: ChatTokens, answer: Completion) -> None:
    """Compare the ids of one chat; raises BadInput."""
    if not answer.prompt_ids:
        raise BadInput(
            f"the server at {client.url} returns no token ids, so chats cannot be kept in ids "
            "here; leave the tokenizer out"
        )
    own, theirs = tokens.chat(PROBE), answer.prompt_ids
    if own != theirs:
        pairs = zip(own, theirs, strict=False)
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(own), len(theirs)))
        raise BadInput(
            f"the tokenizer or chat template of {tokens.name} is not that of the model at "
            f"{client.url}: token {place} of the same chat is {_at(own, place)} here and "
            f"{_at(theirs, place)} there"
        )


def _at(ids: tuple[int, ...], place: int) -> str:
    return str(ids[place]) if place < len(ids) else "missing"


def _scores(client: Client, model: str, answer: Completion) -> bool:
    ids = answer.prompt_ids
    body = api.scoring_body(model, ids[:-1], ids[-1:])
    try:
        client.ask("/completions", body, api.prompt_logprobs_reader(ids[-1:]))
    except (Refused, EnvFailure):
        return False
    return True


def _tempers(client: Client, model: str, answer: Completion) -> bool:
    """Return whether the likeliest token's logprob follows the temperature."""
    request = Request(answer.prompt_ids, 0)
    found = []
    for temperature in (1.0, 0.5):
        body = api.request_body(model, request, Sampling(temperature, 1), extended=True)
        body["logprobs"] = 1
        try:
            found.append(client.ask("/completions", body, api.read_top_logprob))
        except (Refused, EnvFailure):
            return False
    return abs(found[0] - found[1]) > 1e-6
