"""A tiny checkpoint, and a real server of it on the loopback that misbehaves where it is told."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

TEXTS = ['Goal: click "ok"\n[1] text "lorem"\n[23] button "ok"', "click('23')"] * 20

Fault = Callable[["Handler"], None]
"""What is done in place of an answer."""


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    from agentgym_si.policies.tiny import build_tiny

    folder = tmp_path_factory.mktemp("tiny") / "model"
    return build_tiny(folder, TEXTS, vocabulary=400, hidden=32, layers=2, heads=2, context=512)


@pytest.fixture(scope="session")
def tiny_policy(tiny_folder: Path) -> Any:
    from agentgym_si.policies.hf import TransformersPolicy

    return TransformersPolicy(tiny_folder, max_new_tokens=8, device="cpu")


@pytest.fixture
def serve() -> Iterator[Callable[..., TinyServer]]:
    """Start servers that the test's end stops."""
    started: list[TinyServer] = []

    def start(policy: Any, **options: Any) -> TinyServer:
        started.append(TinyServer(policy, **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


class TinyServer:
    """The OpenAI API over a local policy; `plain` leaves out all that vLLM adds to it."""

    def __init__(
        self, policy: Any, *, plain: bool = False, raw: bool = False, root: str = ""
    ) -> None:
        self.policy, self.plain, self.raw, self.root = policy, plain, raw, root
        self.faults: deque[Fault] = deque()
        """Taken one a POST, before it is answered."""
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.adapters: set[str] = set()
        self.connections: list[socket.socket] = []
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()
        self.computing = threading.Lock()
        handler = type("Bound", (Handler,), {"tiny": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def stop(self) -> None:
        """Stop, and hang up on everyone; safe to call again."""
        self.http.shutdown()
        for connection in self.connections:
            with contextlib.suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        self.http.server_close()
        self.thread.join()

    def models(self) -> dict[str, Any]:
        listed: list[dict[str, Any]] = [{"id": "tiny", "object": "model", "owned_by": "someone"}]
        if not self.plain:
            listed[0] |= {"owned_by": "vllm", "root": self.root, "max_model_len": 512}
        return {"object": "list", "data": listed}

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        ids = body.get("prompt") or self.policy.tokens.chat(body["messages"], body.get("tools", ()))
        if len(ids) + body["max_tokens"] > 512:
            raise TooLong
        with self.computing:
            ((found,),) = self.policy.generate(
                [ids],
                temperature=body["temperature"],
                max_new_tokens=body["max_tokens"],
                stop=body.get("stop", ()),
                seed=body.get("seed", 0),
            )
            logprobs, prompt = found.logprobs, None
            if self.raw:
                logprobs = self.policy.logprobs([ids], [found.token_ids])[0]
            if "prompt_logprobs" in body:
                (scores,) = self.policy.logprobs([ids[:1]], [ids[1:]])
                pairs = zip(ids[1:], scores, strict=True)
                prompt = [None, *({str(i): {"logprob": score}} for i, score in pairs)]
        choice: dict[str, Any] = {"index": 0, "finish_reason": found.finish}
        answer: dict[str, Any] = {"choices": [choice]}
        if path == "/v1/completions":
            tops = [{"token": self.top(ids, body["temperature"])}]
            choice["logprobs"] = {"token_logprobs": list(logprobs), "top_logprobs": tops}
            choice |= {"text": found.text, "prompt_logprobs": prompt}
            choice |= {"prompt_token_ids": list(ids)}
        else:
            choice["message"] = {"role": "assistant", "content": found.text}
            if not self.plain:
                choice["logprobs"] = {"content": [{"logprob": score} for score in logprobs]}
                answer["prompt_token_ids"] = list(ids)
        if not self.plain:
            choice["token_ids"] = list(found.token_ids)
        return answer

    def top(self, ids: list[int], temperature: float) -> float:
        """Return the logprob of the likeliest first token."""
        import torch

        temperature = 1.0 if self.raw else temperature or 1.0
        with torch.inference_mode(), self.computing:
            logits = self.policy.model(input_ids=torch.tensor([list(ids)])).logits[0, -1]
        return float((logits / temperature).log_softmax(-1).max())


class TooLong(Exception):
    """A chat beyond the context."""


class Handler(BaseHTTPRequestHandler):
    tiny: TinyServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.tiny.connections.append(self.connection)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def reply(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self.reply(200, json.dumps(self.tiny.models()).encode())

    def do_POST(self) -> None:
        tiny = self.tiny
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with tiny.lock:
            tiny.bodies.append((self.path, body))
            tiny.busy += 1
            tiny.most_busy = max(tiny.most_busy, tiny.busy)
            fault = tiny.faults.popleft() if tiny.faults else None
        try:
            fault(self) if fault is not None else self.do(body)
        except ConnectionError:  # the client has left, as it should where this is slow
            self.close_connection = True
        finally:
            with tiny.lock:
                tiny.busy -= 1

    def do(self, body: dict[str, Any]) -> None:
        name = body.get("lora_name", "")
        if self.path == "/v1/load_lora_adapter" and not self.tiny.plain:
            if name in self.tiny.adapters:
                message = f"The lora adapter '{name}' has already been loaded."
                return self.reply(400, json.dumps({"error": {"message": message}}).encode())
            self.tiny.adapters.add(name)
            return self.reply(200, b"Success: LoRA adapter added successfully.")
        if self.path == "/v1/unload_lora_adapter" and not self.tiny.plain:
            self.tiny.adapters.discard(name)
            return self.reply(200, b"Success: LoRA adapter removed successfully.")
        if self.path not in ("/v1/chat/completions", "/v1/completions"):
            return self.reply(404, b'{"detail":"Not Found"}')
        try:
            answer = self.tiny.answer(self.path, body)
        except TooLong:
            message = "This model's maximum context length is 512 tokens."
            return self.reply(400, json.dumps({"error": {"message": message}}).encode())
        return self.reply(200, json.dumps(answer).encode())


def status(code: int, message: str = "not now", **headers: str) -> Fault:
    content = json.dumps({"error": {"message": message}}).encode()
    return lambda handler: handler.reply(code, content, **headers)


def garbage(content: bytes) -> Fault:
    return lambda handler: handler.reply(200, content)


def half(handler: Handler) -> None:
    """Promise more bytes than come."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """Send a byte now and then, so that no single read ever times out."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(400):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def hang(handler: Handler) -> None:
    """Say nothing for long."""
    time.sleep(10)
    handler.close_connection = True


@pytest.fixture(scope="session")
def faults() -> dict[str, Fault]:
    return {
        "429": status(429, Retry_After="0.3"),
        "500": status(500),
        "503 with a date": status(503, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
        "400": status(400, "temperature must be at least 0"),
        "no JSON": garbage(b"<html>it works</html>"),
        "no choices": garbage(b'{"choices": []}'),
        "no number": garbage(b'{"choices": [{"token_ids": ["a"], "finish_reason": "stop"}]}'),
        "nested": garbage(b"[" * 100_000),
        "half": half,
        "drip": drip,
        "hang": hang,
    }
