"""Requests and answers of the OpenAI API, with the fields that vLLM adds to them.

Every `read_…` function raises LookupError, TypeError or ValueError for what is no such answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from agentgym_si.policies.asking import Request, Sampling, cut_text
from agentgym_si.policies.language import Completion, Finish
from agentgym_si.policies.tokens import ChatTokens

_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length", "tool_calls": "stop"}

_TOO_LONG = ("context length", "context_length", "max_model_len", "maximum model length")
"""What refusals of a chat beyond the context have in common."""


@dataclass(frozen=True)
class Served:
    """A model as the server lists it."""

    name: str
    root: str
    """Where the server found it; "" where it does not say."""
    parent: str
    """The base model of an adapter."""
    context: int | None
    """Most tokens of a chat; None where it does not say."""
    vllm: bool


def read_models(answer: Any) -> list[Served]:
    """Return what `/v1/models` lists."""
    return [
        Served(
            name=str(entry["id"]),
            root=str(entry.get("root") or ""),
            parent=str(entry.get("parent") or ""),
            context=int(entry["max_model_len"]) if entry.get("max_model_len") else None,
            vllm=entry.get("owned_by") == "vllm",
        )
        for entry in answer["data"]
    ]


def request_body(
    model: str, request: Request, sampling: Sampling, *, extended: bool, stops: Collection[int] = ()
) -> dict[str, Any]:
    """Return what asks for one completion: of ids where the request has them, else of a chat.

    Args:
        model: the server's name of it.
        request: what is asked.
        sampling: how it is drawn.
        extended: whether the server takes the fields that vLLM adds.
        stops: ids that end an answer, where the request is one of ids.
    """
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "seed": request.seed % 2**53,  # what every JSON reader keeps whole
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.prompt:
        body |= {"prompt": list(request.prompt), "logprobs": 0, "stop_token_ids": sorted(stops)}
    else:
        body["messages"] = list(request.messages)
        if request.tools:
            body["tools"] = [_as_tool(dict(tool)) for tool in request.tools]
        if extended:
            body["logprobs"] = True
    if extended:  # a checkpoint may ask for a top_p and penalties, which vLLM would apply unseen
        body |= {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
        body |= {"return_token_ids": True, "skip_special_tokens": False}
    return body


def _as_tool(schema: dict[str, Any]) -> dict[str, Any]:
    return schema if schema.get("type") == "function" else {"type": "function", "function": schema}


def completion_reader(
    tokens: ChatTokens, request: Request, sampling: Sampling
) -> Callable[[Any], Completion]:
    """Return what reads an answer of `/v1/completions` to a request of ids."""

    def read(answer: Any) -> Completion:
        choice = answer["choices"][0]
        ids = _ids(choice["token_ids"])
        if "prompt_token_ids" in choice and _ids(choice["prompt_token_ids"]) != request.prompt:
            raise ValueError("the prompt came back as other ids")
        logprobs = tuple(map(_logprob, choice["logprobs"]["token_logprobs"]))
        text = cut_text(tokens.text(ids), sampling.stop)
        return _checked(text, request.prompt, ids, logprobs, choice)

    return read


def read_chat(answer: Any) -> Completion:
    """Return an answer of `/v1/chat/completions`, with ids and logprobs where it has them."""
    choice = answer["choices"][0]
    prompt = _ids(answer.get("prompt_token_ids") or ())
    ids = _ids(choice.get("token_ids") or ()) if prompt else ()
    content = (choice.get("logprobs") or {}).get("content") or ()
    logprobs = tuple(_logprob(entry["logprob"]) for entry in content) if ids else ()
    return _checked(_chat_text(choice["message"]), prompt, ids, logprobs, choice)


def _checked(
    text: str,
    prompt: tuple[int, ...],
    ids: tuple[int, ...],
    logprobs: tuple[float, ...],
    choice: Any,
) -> Completion:
    if logprobs and len(logprobs) != len(ids):
        raise ValueError(f"{len(logprobs)} logprobs for {len(ids)} tokens")
    finish = _FINISH[choice["finish_reason"]]
    return Completion(text, prompt, ids, logprobs, finish)


def _chat_text(message: Any) -> str:
    """Return what was said; calls that the server has parsed are written out as they came."""
    parts = [message.get("content") or ""]
    for call in message.get("tool_calls") or ():
        name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
        written = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
        parts.append(f"<tool_call>{written}</tool_call>")
    if not all(isinstance(part, str) for part in parts):
        raise TypeError(f"expected content as text, got {type(parts[0]).__name__}")
    return "\n".join(part for part in parts if part)


def scoring_body(model: str, context: Sequence[int], completion: Sequence[int]) -> dict[str, Any]:
    """Return what asks vLLM for the logprobs of a completion after its context."""
    return {
        "model": model,
        "prompt": [*context, *completion],
        "max_tokens": 1,
        "temperature": 1.0,
        "prompt_logprobs": 0,
    }


def prompt_logprobs_reader(completion: Sequence[int]) -> Callable[[Any], tuple[float, ...]]:
    """Return what reads the logprobs of a prompt's last tokens, the completion's."""

    def read(answer: Any) -> tuple[float, ...]:
        listed = answer["choices"][0]["prompt_logprobs"]
        last = listed[len(listed) - len(completion) :]
        pairs = zip(last, completion, strict=True)
        return tuple(_logprob(entry[str(token)]["logprob"]) for entry, token in pairs)

    return read


def read_top_logprob(answer: Any) -> float:
    """Return the logprob of the likeliest first token of `/v1/completions`."""
    return max(map(_logprob, answer["choices"][0]["logprobs"]["top_logprobs"][0].values()))


def is_too_long(message: str) -> bool:
    """Return whether a refusal says that the chat is beyond the model's context."""
    return any(sign in message.lower() for sign in _TOO_LONG)


def _ids(values: Any) -> tuple[int, ...]:
    ids = tuple(values)
    if not all(type(value) is int and value >= 0 for value in ids):
        raise TypeError("expected token ids as whole numbers")
    return ids


def _logprob(value: Any) -> float:
    number = float(value)
    if not number <= 0:
        raise ValueError(f"expected a logprob of at most 0, got {number}")
    return number
