"""Methods that compare episodes: what is credited, paired, called good; the loop trains by it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import agentgym_si
from agentgym_si import codec
from agentgym_si.errors import BadInput
from agentgym_si.methods.dpo import DPO
from agentgym_si.methods.grpo import GRPO
from agentgym_si.methods.kto import KTO
from agentgym_si.types import Action, Failure, Preference, Task, Trajectory, Transition, Weighted

pytestmark = pytest.mark.train

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def played(name: str, seed: int, token: int, reward: float) -> Trajectory:
    step = Transition("o", Action(str(token), (1,), (token,), (-0.5,)), reward, True, False)
    return Trajectory(name, "env", Task("t"), (step,), "", seed)


CONTEXT: Any = SimpleNamespace(
    rows=lambda t, w: [Weighted((1,), t.transitions[0].action.token_ids, (w,), origin=t.id)]
)

BROKEN = Trajectory("broken", "env", Task("t"), (), "", 0, failure=Failure("died", "gone"))
ALL = [
    played("right", 0, 5, 1.0),
    played("wrong", 0, 6, 0.0),
    played("wrong too", 0, 7, 0.0),
    played("wrong again", 0, 6, 0.0),
    BROKEN,
    played("easy", 1, 8, 1.0),
    played("easy too", 1, 9, 1.0),
]


def test_grpo_credits_by_the_group_and_leaves_equal_groups_out() -> None:
    rows = GRPO(scale="none").curate(ALL, CONTEXT)
    found = {row.origin: row.weights[0] for row in rows}
    assert found == {"right": 0.75, "wrong": -0.25, "wrong too": -0.25, "wrong again": -0.25}
    scaled = GRPO().curate(ALL, CONTEXT)
    assert scaled[0].weights[0] == pytest.approx(1.5, rel=1e-3)


def test_dpo_pairs_solved_with_failed_ones_that_differ() -> None:
    pairs = DPO(smoothing=0.1).curate(ALL, CONTEXT)
    assert [(pair.chosen, pair.rejected) for pair in pairs] == [((5,), (6,)), ((5,), (7,))]
    assert pairs[0].smoothing == 0.1 and pairs[0].origin == "right"
    assert len(DPO(pairs=1).curate(ALL, CONTEXT)) == 1


def test_kto_calls_each_episode_good_or_bad() -> None:
    rows = KTO().curate(ALL, CONTEXT)
    assert [(row.origin, row.weights[0]) for row in rows] == [
        ("right", 1.0),
        ("wrong", -1.0),
        ("wrong too", -1.0),
        ("easy", 1.0),
        ("easy too", 1.0),
    ]


def test_numbers_are_checked() -> None:
    with pytest.raises(BadInput, match="at least 2 to compare, got 1"):
        GRPO(samples=1)
    with pytest.raises(BadInput, match='scale "none" with objective "nft"'):
        GRPO(objective="nft")
    with pytest.raises(BadInput, match=r"smoothing in \[0, 0.5\)"):
        DPO(smoothing=0.5)
    with pytest.raises(BadInput, match="at least 1, got 0"):
        KTO(samples=0)


GUESSING = {
    "env": "my_env:my/Guess-v0",
    "tasks": ["one-digit"],
    "env_options": {"max_steps": 2},
    "in_flight": 8,
    "max_tokens": 4,
    "tiny": {"vocabulary": 300, "hidden": 32, "layers": 1, "heads": 2},
    "train": {"steps": 3, "batch_size": 4},
    "warm": {"seeds": 16, "steps": 40},
    "collect": {"seeds": 8},
    "evaluate": {"seeds": 4, "final_seeds": 0, "alpha": 1.0},
    "iterations": 1,
}


@pytest.mark.parametrize(
    ("method", "options", "kind"),
    [
        ("grpo", {"samples": 4}, Weighted),
        ("grpo", {"samples": 4, "scale": "none", "objective": "nft"}, Weighted),
        ("dpo", {"samples": 4}, Preference),
        ("kto", {}, Weighted),
    ],
)
def test_the_loop_trains_by_the_methods_objective(
    method: str, options: dict[str, Any], kind: type[Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """On the iteration's own rows alone: imitation's would have no logprobs to compare with."""
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    config = GUESSING | {"method": method, "method_options": options}
    report = agentgym_si.improve(config, folder=tmp_path / "run")
    lines = (tmp_path / "run" / "rows" / "1.jsonl").read_text().splitlines()
    rows = [codec.loads(kind, line) for line in lines]
    entry = report["iterations"][1]
    assert entry["rows"] == entry["rows_trained"] == len(rows) > 0
    assert report["checkpoint"] == "checkpoints/1"
