"""Judges: what can be read is a score, what cannot is no zero, and values learn from real ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_si.errors import BadInput
from agentgym_si.judging.base import BatchJudge, FunctionJudge, always_judge, return_judge
from agentgym_si.judging.grounded import grounded_judge
from agentgym_si.types import Action, Task, Trajectory, Transition, Verdict


def episode(*rewards: float, name: str = "e", world: str = "real") -> Trajectory:
    steps = tuple(
        Transition(f"page {i}", Action(f"go {i}"), reward, i == len(rewards) - 1, False)
        for i, reward in enumerate(rewards)
    )
    return Trajectory(name, "env", Task("t"), steps, "the end", 0, "find it", world=world)  # type: ignore[arg-type]


def test_rewards_are_cut_to_scores() -> None:
    """A world model may promise more than there is to earn."""
    scores = [
        j.score for j in return_judge().judge([episode(0.5, 0.25), episode(3.0), episode(-1)])
    ]
    assert scores == [0.75, 1.0, 0.0]
    assert always_judge().judge([episode(0.0)])[0].score == 1.0


def test_a_function_is_a_judge() -> None:
    judge = FunctionJudge(lambda trajectory: len(trajectory.transitions) / 4, version="length")
    assert isinstance(judge, BatchJudge)
    assert [j.verdict for j in judge.judge([episode(0, 0), episode(0)])] == [
        Verdict(0.5),
        Verdict(0.25),
    ]


LOOK = '{"name": "get_order", "arguments": {"order": 77805}}'
SHOWN = '{"number":77805,"item":"lamp","pieces":52}'
CANCEL = '{"name": "cancel_order", "arguments": {"order": 77805}}'


@pytest.mark.parametrize(
    ("said", "grounded"),
    [
        (("Order 77805: how many pieces?", LOOK, SHOWN, "52"), True),
        (("Order 77805: how many pieces?", LOOK, SHOWN, "It has 52 pieces."), True),
        (("Order 77805: how many pieces?", LOOK, SHOWN, "5"), False),
        (("Order 77805: how many pieces?", LOOK, SHOWN, "77805"), False),
        (("Order 77805: how many pieces?", LOOK, SHOWN, "done"), False),
        (("Order 77806: how many pieces?", LOOK, SHOWN, "52"), False),
        (("Order 77805: how many pieces?", "52"), False),
        (("Order 77805: how many pieces?", LOOK, "error: no order 77805", "77805"), False),
        (("Order 77805: how many pieces?", LOOK, SHOWN, LOOK), False),
        (("Order 77805: how many pieces?", '{"name": 1', SHOWN, "52"), False),
        (("Cancel order 77805.", CANCEL, "done", "done"), True),
        (("Cancel order 7780.", CANCEL, "done", "done"), False),
        (("Cancel the lamp.", "Which order?", "77805", CANCEL, "done", "done"), True),
        (("Cancel the lamp.", "Which order?", "77806", CANCEL, "done", "done"), False),
    ],
)
def test_what_is_passed_on_and_told_must_have_been_seen(
    said: tuple[str, ...], grounded: bool
) -> None:
    """A world model that pays for an answer that nothing showed teaches to make answers up."""
    steps = tuple(
        Transition(seen, Action(done), 1.0, False, False)
        for seen, done in zip(said[::2], said[1::2], strict=True)
    )
    trajectory = Trajectory("t", "env", Task("t"), steps, "the user has left", 0)
    (judgement,) = grounded_judge().judge([trajectory])
    assert judgement.score == float(grounded)


@pytest.mark.train
@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("It is there.\nScore: 0.5", 0.5),
        ("score = 1.0", 1.0),
        ("Score: 0.2, on reflection\nScore: **.9**", 0.9),
        ("Score: 1.5", None),
        ("Score: 10", None),
        ("a good episode", None),
        ("Score: high", None),
        ("", None),
    ],
)
def test_a_score_is_read_or_there_is_none(text: str, score: float | None) -> None:
    from agentgym_si.judging.language import read_score

    assert read_score(text) == score


@pytest.mark.train
def test_a_model_that_says_no_score_gives_no_verdict(tmp_path: Path) -> None:
    """An untrained model babbles: in published code that is the score 0."""
    from agentgym_si.judging.by_name import load_judge
    from agentgym_si.policies.hf import TransformersPolicy
    from agentgym_si.policies.tiny import build_tiny

    model = build_tiny(tmp_path / "m", ["page 0 go"], vocabulary=300, hidden=16, layers=1, heads=1)
    policy = TransformersPolicy(model, max_new_tokens=4)
    found = load_judge("policy", policy).judge([episode(1.0), episode(0.0)])
    assert [(j.verdict, j.problem, j.calls) for j in found] == [(None, "unread", 1)] * 2
    assert all(j.tokens > 0 for j in found)


@pytest.mark.train
def test_a_value_learns_which_ends_were_good(tmp_path: Path) -> None:
    from agentgym_si.judging.language import ValueJudge, value_rows
    from agentgym_si.policies.hf import TransformersPolicy
    from agentgym_si.policies.tiny import build_tiny
    from agentgym_si.training.sft import SFTSettings, train_sft

    def walk(way: str, reward: float, number: int) -> Trajectory:
        step = Transition("at home", Action(f"go {way}"), reward, True, False)
        return Trajectory(f"{way}{number}", "env", Task("t"), (step,), f"{way} room", 0)

    real = [walk("left", 1.0, i) for i in range(4)] + [walk("right", 0.0, i) for i in range(4)]
    texts = ["at home go left left room value 1", "go right right room value 0"]
    start = build_tiny(tmp_path / "m", texts, vocabulary=300, hidden=32, layers=1, heads=2)
    tokens = TransformersPolicy(start).tokens
    rows = value_rows(real, tokens)
    assert len(rows) == 8 and {row.origin for row in rows} == {t.id for t in real}
    settings = SFTSettings(steps=30, batch_size=8, learning_rate=5e-3, seed=0)
    train_sft(start, rows, tmp_path / "v", settings)
    judge = ValueJudge(TransformersPolicy(tmp_path / "v"))
    good, bad = judge.judge([walk("left", 0.0, 9), walk("right", 0.0, 9)])
    assert (good.score or 0) > 0.8 and (bad.score or 0) < 0.2
    with pytest.raises(BadInput, match="real episodes"):
        value_rows([episode(1.0, world="imagined")], tokens)


@pytest.mark.train
def test_judges_have_names() -> None:
    from agentgym_si.judging.by_name import load_judge

    nobody = None
    assert load_judge("return", nobody).reads_rewards  # type: ignore[arg-type]
    assert load_judge("always", nobody).version == "always"  # type: ignore[arg-type]
    assert not load_judge("grounded", nobody).reads_rewards  # type: ignore[arg-type]
    named = load_judge("agentgym_si.curation:episode_return", nobody)  # type: ignore[arg-type]
    assert named.judge([episode(1.0)])[0].score == 1.0
    for spec in ("best", "agentgym_si.curation:nothing", "no.such:thing"):
        with pytest.raises(BadInput, match="judge"):
            load_judge(spec, nobody)  # type: ignore[arg-type]
