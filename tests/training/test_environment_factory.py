"""Environments for scripts on TRL: faults guarded are failures that become text, lost schemas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from datasets import Dataset
from transformers.utils import get_json_schema
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

import agentgym_si  # noqa: F401  (registers the environments)
from agentgym_si.envs.base import Step, TextEnv
from agentgym_si.errors import BadInput, EnvFailure
from agentgym_si.policies.hf import load_model
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.training.environment_factory import OVER, environment_factory, task_rows
from agentgym_si.training.sft import SFTSettings, train_sft
from agentgym_si.types import Task, Weighted

pytestmark = pytest.mark.train

SUM = "agentgym_si/LongHorizon-v0"


class Troubled(TextEnv):
    """Earns 1 for `win`; its box and its code can break."""

    instructions = "Say win."

    def tasks(self) -> Sequence[Task]:
        return [Task("only")]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        return "begin"

    def act(self, action: str) -> Step:
        if action == "break":
            raise EnvFailure("browser", "it died")
        if action == "bug":
            raise KeyError("missing")
        return "no", float(action == "win"), action == "win"


def schemas(instance: Any) -> dict[str, Any]:
    """Return what TRL reads, found as TRL finds it."""
    names = [n for n in dir(type(instance)) if not n.startswith("_")]
    tools = [getattr(instance, n) for n in names if n not in ("reset", "get_reward")]
    return {tool.__name__: get_json_schema(tool)["function"] for tool in tools}


def test_actions_that_are_text_are_one_tool() -> None:
    instance: Any = environment_factory(Troubled)()
    assert instance.reset(seed=1, prompt=[], other="ignored") == "Say win.\n\nbegin"
    assert schemas(instance).keys() == {"act"}
    assert schemas(instance)["act"]["description"] == "Say win."
    assert (instance.act("lose"), instance.get_reward()) == ("no", 0.0)
    assert (instance.act(text="win"), instance.get_reward()) == ("no", 1.0)
    assert (instance.act("win"), instance.get_reward()) == (OVER, 1.0)
    instance.reset(seed=1)
    assert instance.get_reward() == 0.0


def test_a_failed_box_is_none_and_a_bug_is_raised() -> None:
    """TRL turns what a tool raises into text for the model, so that nobody would notice."""
    instance: Any = environment_factory(Troubled)()
    instance.reset(seed=1)
    instance.act("break")
    assert instance.get_reward() is None
    assert instance.act("win") == OVER
    instance.reset(seed=1)
    with pytest.raises(KeyError):
        instance.act("bug")
    with pytest.raises(KeyError):
        instance.get_reward()
    instance.reset(seed=2)
    assert instance.get_reward() == 0.0


def test_rows_without_a_seed_are_refused() -> None:
    instance: Any = environment_factory(Troubled)()
    with pytest.raises(BadInput, match="rows with a column `seed`"):
        instance.reset(prompt=[])
    assert task_rows(["a", "b"], [3, 4], "hi")[1] == {
        "prompt": [{"role": "user", "content": "hi"}], "task": "b", "seed": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("env", "task", "options"),
    [
        (SUM, "sum-k2-t5", {"calls": True}),
        ("agentgym_si/Tools-v0", "orders-l2-0017", {}),
        ("agentgym_si/Tools-v0", "bank-l1-0003", {}),
        ("agentgym_si/Tools-v0", "calendar-l1-0002", {}),
    ],
)
def test_the_oracles_calls_by_methods_earn_the_return(
    env: str, task: str, options: dict[str, Any]
) -> None:
    """And the schema that TRL reads has the names and needs of the environment's own."""
    instance: Any = environment_factory(env, task=task, **options)()
    twin = gym.make(env, disable_env_checker=True, task=task, **options)
    for seed in (1, 2):
        told = instance.reset(seed=seed, task=task)
        observation, _ = twin.reset(seed=seed)
        assert told == observation
        over = False
        while not over:
            action = twin.unwrapped.oracle()
            observation, _, terminated, truncated, _ = twin.step(action)
            over = terminated or truncated
            call = json.loads(action) if action.startswith("{") else {}
            method = getattr(instance, call.get("name", "say"))
            answer = method(**call["arguments"]) if call else method(action)
            assert answer == observation
        assert instance.get_reward() == 1.0
    read = schemas(instance)
    for tool in twin.unwrapped.tools:
        own, found = tool["parameters"], read[tool["name"]]["parameters"]
        assert own["properties"].keys() == found["properties"].keys()
        assert set(own.get("required", [])) == set(found.get("required", []))
        for name, entry in own["properties"].items():
            assert entry.get("type") in (found["properties"][name].get("type"), None)
            assert entry.get("enum") == found["properties"][name].get("enum")


TEMPLATE = (
    "{% if tools %}{{ '<|tools|>' + (tools | tojson) }}{% endif %}{% for m in messages %}"
    "{{ '<|' + m.role + '|>' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}{{ '<tool_call>' + (c.function | tojson) + '</tool_call>' }}"
    "{% endfor %}{{ '<|end|>' }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
RESPONSE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|assistant|>",
    "fields": {
        "tool_calls": {
            "open": "<tool_call>",
            "close_pattern": r"</tool_call>\s*",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"<\|end\|>", "content": "text"},
    },
}
CALL = '<tool_call>{"name": "act", "arguments": {"text": "win"}}</tool_call>'


@pytest.mark.filterwarnings("ignore:You are using 'environment_factory'")
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_trl_plays_it_and_is_told_the_return(tmp_path: Path) -> None:
    """A model that has learned one call by heart, in `GRPOTrainer` as its users write it."""
    row = task_rows(["only"], [7], "Go.")[0]
    start = build_tiny(tmp_path / "m", [CALL, "Say win.", "begin"] * 9, vocabulary=340, hidden=32,
                       layers=2, heads=2, context=512)  # fmt: skip
    tokenizer: Any = ChatTokens.load(start).tokenizer
    tokenizer.chat_template, tokenizer.response_template = TEMPLATE, RESPONSE
    tools = [get_json_schema(environment_factory(Troubled)().act)]  # type: ignore[attr-defined]
    messages = [{"role": "user", "content": "Go.Say win.\n\nbegin"}]
    rendered = [
        tokenizer.apply_chat_template(
            messages + more, tools=tools, tokenize=False, add_generation_prompt=True
        )
        for more in (
            [],
            [
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"function": json.loads(CALL[11:-12])}],
                },
                {"role": "tool", "name": "act", "content": "no"},
            ],
        )
    ]
    rows = []
    for prompt, answer in zip(rendered, (CALL, "done"), strict=True):
        context, said = (tuple(tokenizer(text)["input_ids"]) for text in (prompt, answer))
        completion = (*said, tokenizer.eos_token_id)
        rows.append(Weighted(context, completion, (1.0,) * len(completion)))
    settings = SFTSettings(steps=60, batch_size=2, bf16=False, learning_rate=3e-3, device="cpu")
    report = train_sft(start, rows, tmp_path / "warm", settings)
    assert report.last_loss < 0.1
    seen: list[float | None] = []
    factory = environment_factory(Troubled)

    def watch(environments: Sequence[Any], **others: Any) -> list[float]:
        seen.extend(environment.get_reward() for environment in environments)
        return [0.0] * len(environments)

    trainer = GRPOTrainer(
        model=load_model(tmp_path / "warm", device="cpu"),
        reward_funcs=[watch],
        args=GRPOConfig(
            **replace(settings, steps=1, batch_size=4).arguments(tmp_path / "trl"),
            num_generations=2,
            max_completion_length=64,
            temperature=0.2,
        ),
        train_dataset=Dataset.from_list([row] * 4),
        processing_class=tokenizer,
        environment_factory=factory,
    )  # fmt: skip
    trainer.train()
    assert seen == [1.0] * 4
