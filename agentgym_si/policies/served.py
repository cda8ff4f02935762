"""`ServedPolicy`: a language model behind an OpenAI-compatible server, vLLM's above all."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agentgym_si.errors import BadInput, MissingCapability
from agentgym_si.policies import openai_api as api
from agentgym_si.policies.asking import Request, Sampling, SamplingPolicy, check_scored
from agentgym_si.policies.client import Client, Refused
from agentgym_si.policies.language import (
    Capability,
    Completion,
    LanguageModel,
    lacking,
)
from agentgym_si.policies.meeting import meet
from agentgym_si.types import Weighted

if TYPE_CHECKING:
    from agentgym_si.policies.lora import LoraSettings


class ServedPolicy(SamplingPolicy):
    """Answers with a model of a server, each answer a request of its own, many in flight.

    With a vLLM server of a checkpoint that can be read here, or with `tokenizer`, chats are kept
    in ids here and sent as ids, so that they only grow; else the server gets messages, and ids are
    recorded where it returns them. Logprobs are recorded where they are those of the distribution
    that was drawn from: vLLM returns them with `--logprobs-mode processed_logprobs`, or at
    temperatures 0 and 1.

    Args:
        model: the server's name of it.
        url: of the server, with or without `/v1`.
        temperature: 0 takes the likeliest token.
        max_new_tokens: longest answer, the stop token included.
        seed: of the sampling.
        tokenizer: a checkpoint folder or hub name; None takes the server's folder where there is
            one here.
        concurrency: requests in flight at most.
        timeout: seconds an attempt may take.
        patience: seconds a request may take with all its attempts.
        key: sent as a bearer token; None takes OPENAI_API_KEY of the environment.
    """

    without_hooks = "its logits stay at the server"

    def __init__(
        self,
        model: str,
        url: str,
        *,
        temperature: float = 1.0,
        max_new_tokens: int = 64,
        seed: int = 0,
        tokenizer: str | Path | None = None,
        concurrency: int = 32,
        timeout: float = 120.0,
        patience: float = 300.0,
        key: str | None = None,
    ) -> None:
        """Ask the server what it can do; raises BadInput where it is not there, or not fit."""
        super().__init__(Sampling(temperature, max_new_tokens), seed, f"openai:{model}")
        self.model = model
        key = os.environ.get("OPENAI_API_KEY", "") if key is None else key
        self._client = Client(
            api_url(url), key=key, concurrency=concurrency, timeout=timeout, patience=patience
        )
        try:
            self._met = meet(self._client, model, tokenizer)
        except BaseException:
            self.close()
            raise
        self.tokens, self.context = self._met.tokens, self._met.context

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Sampling, and scoring where the server returns the logprobs of a prompt."""
        return frozenset({"sampling", "scoring"} if self._met.scoring else {"sampling"})

    def close(self) -> None:
        """Close the connections, which policies made from this one share."""
        self._client.close()

    # Sampling -----------------------------------------------------------------------------

    def _sample(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        def one(request: Request, given_up: threading.Event) -> Completion:
            return self._one(request, sampling, given_up)

        found = self._client.map(one, requests)
        if self._met.tempered or sampling.temperature in (0, 1):
            return found
        return [replace(completion, logprobs=()) for completion in found]

    def _one(self, request: Request, sampling: Sampling, given_up: threading.Event) -> Completion:
        stops = () if self.tokens is None else self.tokens.stops
        extended = self._met.extended
        body = api.request_body(self.model, request, sampling, extended=extended, stops=stops)
        path = "/chat/completions"
        read: Callable[[Any], Completion] = api.read_chat
        if self.tokens is not None:
            path = "/completions"
            read = api.completion_reader(self.tokens, request, sampling)
        try:
            return self._client.ask(path, body, read, given_up=given_up)
        except Refused as error:
            if api.is_too_long(error.message):
                return Completion("", request.prompt, finish="overlong")
            raise BadInput(f"the server at {self._client.url} refused {path}: {error}") from error

    # Scoring, adapting --------------------------------------------------------------------

    def logprobs(
        self, contexts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[tuple[float, ...]]:
        """Return the logprob of each completion token after its context, at temperature 1."""
        if not self._met.scoring:
            raise lacking(self.version, "scoring")
        longest = None if self.context is None else self.context - 1  # the server draws one more
        check_scored(contexts, completions, longest)

        def one(
            pair: tuple[Sequence[int], Sequence[int]], given_up: threading.Event
        ) -> tuple[float, ...]:
            if not pair[1]:
                return ()
            body = api.scoring_body(self.model, *pair)
            read = api.prompt_logprobs_reader(pair[1])
            return self._client.ask("/completions", body, read, given_up=given_up)

        try:
            return self._client.map(one, list(zip(contexts, completions, strict=True)))
        except Refused as error:
            raise BadInput(f"the server at {self._client.url} refused to score: {error}") from error

    def adapter(
        self, rows: Sequence[Weighted], settings: LoraSettings | None = None
    ) -> AbstractContextManager[LanguageModel]:
        """Raise MissingCapability: a server does not train; `lora` serves what was trained."""
        raise lacking(self.version, "adapting", "a server does not train")

    @contextlib.contextmanager
    def lora(self, folder: str | Path) -> Iterator[ServedPolicy]:
        """Serve a LoRA adapter for a while, beside the model itself; give the policy that uses it.

        Args:
            folder: of peft's form, at the same path on the server's machine. The adapter's name is
                made of its content, so one that a killed run left behind is found again.

        Raises:
            BadInput: for a folder without adapter, or one the server cannot load.
            MissingCapability: where the server loads no adapters.
        """
        folder = Path(folder).absolute()
        digest = _digest(folder)
        name = f"{self.model}-lora-{digest}"
        try:
            self._client.tell("/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
        except Refused as error:
            if error.status == 404 and "adapter" not in error.message.lower():
                raise MissingCapability(
                    f"the server at {self._client.url} loads no adapters; start vLLM with "
                    "--enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
                ) from error
            if "already" not in error.message.lower():
                raise BadInput(f"the server cannot load the adapter {folder}: {error}") from error
        other = copy.copy(self)
        other.model, other.version = name, f"{self.version}+{digest}"
        try:
            yield other
        finally:
            with contextlib.suppress(Refused):  # gone already
                self._client.tell("/unload_lora_adapter", {"lora_name": name})


def parse_served(spec: str) -> tuple[str, str]:
    """Return model and URL of `MODEL@URL`; raises BadInput."""
    model, _, url = spec.rpartition("@http")
    if not model or not url.startswith(("://", "s://")):
        raise BadInput(f"expected openai:MODEL@URL with an http or https URL, got 'openai:{spec}'")
    return model, f"http{url}"


def api_url(url: str) -> str:
    """Return a server's URL with the API's path; raises BadInput."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"expected the server's URL as http://HOST:PORT, got {url!r}")
    return url.rstrip("/") if parts.path.strip("/") else url.rstrip("/") + "/v1"


def _digest(folder: Path) -> str:
    """Return a hash of an adapter's files; raises BadInput."""
    if not (folder / "adapter_config.json").is_file():
        raise BadInput(
            f"expected a LoRA adapter (with adapter_config.json) in {folder}, found none"
        )
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.glob("adapter_*")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
