"""A real vLLM on the CPU: the same checkpoint as transformers', served and in process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("httpx2")

import peft

from agentgym_si.policies.base import History
from agentgym_si.policies.hf import TransformersPolicy, load_model
from agentgym_si.policies.served import ServedPolicy
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.testing import check_language_model

INTERPRETER = os.environ.get("AGENTGYM_SI_VLLM_PYTHON", "")

pytestmark = [
    pytest.mark.train,
    pytest.mark.vllm,
    pytest.mark.skipif(not INTERPRETER, reason="AGENTGYM_SI_VLLM_PYTHON names no interpreter"),
]

TEXTS = ['Goal: click "ok"\n[1] text "lorem"\n[23] button "ok"', "click('23')"] * 20
HISTORIES = [
    History((f'[{i}] button "ok"' + " lorem" * i,), instructions="act", seed=i) for i in range(12)
]
START = 420.0
"""Seconds the server may take to start on a busy machine."""

SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}

OPTIONS = (
    *("--served-model-name=tiny", "--dtype=float32", "--enforce-eager", "--max-model-len=512"),
    *("--max-num-batched-tokens=16384", "--no-enable-chunked-prefill"),
    *("--logprobs-mode=processed_logprobs", "--host=127.0.0.1"),
)
"""A seeded request whose prefill is split kills vLLM's CPU engine: it is not split."""

ADAPTERS = ("--enable-lora", "--max-lora-rank=8", "--max-loras=4")
"""For a server of its own: with them, scoring two chats at once kills vLLM's CPU engine."""

ENGINE = """
import sys
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.policies.vllm import VLLMPolicy
from agentgym_si.testing import check_language_model

if __name__ == "__main__":
    options = {"dtype": "float32", "enforce_eager": True, "enable_chunked_prefill": False}
    engine = {**options, "max_num_batched_tokens": 16384}
    policy = VLLMPolicy(sys.argv[1], max_new_tokens=8, engine=engine)
    reference = TransformersPolicy(sys.argv[1], max_new_tokens=8)
    check_language_model(policy, reference=reference)
    print("the contract is kept")
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vllm") / "model"
    return build_tiny(folder, TEXTS, vocabulary=400, hidden=64, layers=2, heads=2, context=512)


@pytest.fixture(scope="module")
def url(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start(checkpoint, tmp_path_factory.mktemp("log") / "server.txt") as found:
        yield found


@contextlib.contextmanager
def start(checkpoint: Path, log: Path, *more: str) -> Iterator[str]:
    """Give the URL of a vLLM server for a while."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [INTERPRETER, "-m", "vllm.entrypoints.openai.api_server", f"--model={checkpoint}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *OPTIONS, *more, f"--port={port}"],
            env={**os.environ, **SETTINGS},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(health, timeout=5).close()
            return
        except OSError:  # not yet
            time.sleep(0.5)
    pytest.fail(f"vLLM did not start: {log.read_text()[-4000:]}")


@pytest.fixture
def served(url: str) -> Iterator[ServedPolicy]:
    policy = ServedPolicy("tiny", url, max_new_tokens=8)
    yield policy
    policy.close()


def save_adapter(checkpoint: Path, folder: Path, seed: int) -> TransformersPolicy:
    """Write a random adapter; return the policy that has it merged in."""
    import torch

    config = peft.LoraConfig(
        r=4, target_modules=["q_proj", "v_proj", "up_proj"], init_lora_weights=False
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = peft.get_peft_model(load_model(checkpoint, device="cpu"), config)
    model.save_pretrained(folder)
    merged = folder / "merged"
    model.merge_and_unload().save_pretrained(merged)
    sound = TransformersPolicy(checkpoint, max_new_tokens=8, device="cpu")
    sound.tokens.tokenizer.save_pretrained(merged)
    return TransformersPolicy(merged, max_new_tokens=8, temperature=0.0, device="cpu")


def test_the_server_keeps_the_contract_and_agrees_with_transformers(
    served: ServedPolicy, checkpoint: Path
) -> None:
    """Other greedy tokens, logprobs of another distribution, ids that do not come back."""
    reference = TransformersPolicy(checkpoint, max_new_tokens=8, device="cpu")
    assert served.capabilities == {"sampling", "scoring"}
    check_language_model(served, reference=reference)


@pytest.mark.parametrize("temperature", [0.0, 0.6, 1.0, 1.4])
def test_recorded_logprobs_are_transformers_own(
    served: ServedPolicy, checkpoint: Path, temperature: float
) -> None:
    """Importance weights of the wrong temperature."""
    import torch

    reference = TransformersPolicy(checkpoint, device="cpu")
    actions = [
        a for row in served.with_sampling(temperature=temperature).act(HISTORIES) for a in row
    ]
    for action in actions:
        ids = torch.tensor([[*action.prompt_ids, *action.token_ids]])
        with torch.inference_mode():
            logits = reference.model(input_ids=ids).logits[0, len(action.prompt_ids) - 1 : -1]
        scores = (logits / (temperature or 1.0)).log_softmax(-1)
        expected = scores[range(len(action.token_ids)), list(action.token_ids)].tolist()
        assert action.logprobs == pytest.approx(expected, abs=1e-3)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_adapters_are_swapped_while_the_model_is_served(checkpoint: Path, tmp_path: Path) -> None:
    """An adapter that leaks into the base model's answers, or another adapter's."""
    with start(checkpoint, tmp_path / "server.txt", *ADAPTERS) as url:
        policy = ServedPolicy("tiny", url, max_new_tokens=8, temperature=0.0)
        with contextlib.closing(policy):
            swap_adapters(policy, checkpoint, tmp_path)


def swap_adapters(policy: ServedPolicy, checkpoint: Path, folder: Path) -> None:
    base = [row[0].token_ids for row in policy.act(HISTORIES)]
    seen: list[bool] = []
    over = threading.Event()

    def keep_asking() -> None:
        while not over.is_set():
            seen.append([row[0].token_ids for row in policy.act(HISTORIES)] == base)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        for seed in (1, 2):
            expected = save_adapter(checkpoint, folder / str(seed), seed).act(HISTORIES)
            with policy.lora(folder / str(seed)) as adapted:
                found = adapted.act(HISTORIES)
            ids = [row[0].token_ids for row in found]
            assert ids == [row[0].token_ids for row in expected] and ids != base
            for (one,), (two,) in zip(found, expected, strict=True):
                assert one.logprobs == pytest.approx(two.logprobs, abs=1e-3)
    finally:
        over.set()
        asking.join()
    assert seen and all(seen)


def test_a_chat_beyond_the_context_is_marked(served: ServedPolicy, url: str) -> None:
    endless = History(("lorem " * 600,), seed=1)
    assert served.act([endless])[0][0].text == ""
    served.context = None  # as where the server does not say
    assert served.act([endless])[0][0].text == ""
    assert served.overlong == 2


def test_the_engine_keeps_the_contract_too(checkpoint: Path) -> None:
    done = subprocess.run(
        [INTERPRETER, "-c", ENGINE, str(checkpoint)],
        env={**os.environ, **SETTINGS, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"},
        capture_output=True,
        text=True,
        timeout=START,
    )
    assert "the contract is kept" in done.stdout, done.stderr[-4000:]
