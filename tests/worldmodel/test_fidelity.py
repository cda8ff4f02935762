"""Guards the measures: literal numbers, models known to be right, wrong and lazy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from agentgym_si.envs.base import TextEnv
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.policies.base import History, RandomPolicy
from agentgym_si.rollouts import rollout
from agentgym_si.types import Action, Trajectory
from agentgym_si.worldmodel.base import Prediction
from agentgym_si.worldmodel.fidelity import (
    by_depth,
    by_kind,
    certainties,
    judge,
    one_step,
    open_loop,
    report,
    summarise,
    trusted_depth,
)
from agentgym_si.worldmodel.lived import Lived, lived
from agentgym_si.worldmodel.perfect import (
    NoisyWorldModel,
    PerfectWorldModel,
    StillWorldModel,
)
from agentgym_si.worldmodel.structure import Pages, Results

BEFORE = 'Goal: G\n[1] link "a"\n[2] link "b"\nurl: x'
AFTER = 'Goal: G\n[1] link "a"\n[2] link "c"\n[3] link "d"\nurl: x'
STEP = Lived(History((BEFORE,)), "click('1')", Prediction(AFTER, 1.0, True), "t")


@pytest.fixture
def perfect(make_house: Callable[[], TextEnv]) -> Iterator[PerfectWorldModel]:
    model = PerfectWorldModel(make_house)
    yield model
    model.close()


def test_a_judgement_by_hand() -> None:
    """Recall of what came and went, F1 of what is there."""
    said = (
        'Goal: G\n[1] link "a"\n[2] link "d"\n[9] link "e"\nurl: x'  # d came, b went, c is missed
    )
    judged = judge(Prediction(said, 1.0, False), STEP, Pages())
    assert judged.recall == pytest.approx(2 / 3)
    assert judged.f1 == pytest.approx(2 * 3 / (4 + 4))
    assert (judged.reward, judged.end, judged.exact, judged.kind) == (True, False, False, "click")


@pytest.mark.parametrize(
    ("prediction", "exact", "f1", "recall"),
    [
        (Prediction(AFTER, 1.0, True), True, 1.0, 1.0),
        (Prediction(AFTER, 0.5, True), False, 1.0, 1.0),
        (Prediction(BEFORE, 1.0, True), False, 4 / 7, 0.0),
        (Prediction(AFTER, 1.0, True, valid=False), False, 0.0, 0.0),
    ],
    ids=["right", "wrong reward", "copied", "not valid"],
)
def test_kinds_of_answers(prediction: Prediction, exact: bool, f1: float, recall: float) -> None:
    """A copy that scores on change, or an unusable answer that scores at all."""
    judged = judge(prediction, STEP, Pages())
    assert judged.exact == exact
    assert judged.f1 == pytest.approx(f1)
    assert judged.recall == recall


def test_nothing_changed_is_no_recall() -> None:
    """Steps without a change that count as changes predicted."""
    still = replace(STEP, outcome=Prediction(BEFORE))
    assert judge(Prediction(BEFORE), still, Pages()).recall is None
    assert summarise([judge(Prediction(BEFORE), still, Pages())]).change_recall is None


def test_certainty_is_of_the_tokens_said() -> None:
    """A certainty that grows with the number of tokens."""
    said = Action("x", (1,), (2, 3), (-0.5, -1.5))
    judged = judge(Prediction(AFTER, 1.0, True, said=said), STEP, Pages())
    assert judged.certainty == pytest.approx(np.exp(-1.0))
    sure, right = certainties([judged, judge(Prediction(AFTER), STEP, Pages())])
    assert sure == [pytest.approx(np.exp(-1.0))]
    assert right == [1]
    with pytest.raises(UnknownName):
        certainties([judged], "confidence")


@pytest.mark.parametrize("env_id", ["agentgym_si/Sites-v0", "agentgym_si/Tools-v0"])
def test_the_perfect_model_is_perfect_at_every_depth(env_id: str) -> None:
    """A step compared with another step's truth, here or in imagination that goes on."""
    with gym.make(env_id, split="train") as env:
        steps = lived(rollout(env, RandomPolicy(), episodes=6))
    structure = Pages() if "Sites" in env_id else Results()
    model = PerfectWorldModel(env_id)
    judged = one_step(model, steps, structure) + open_loop(model, steps, structure, most=4)
    model.close()
    scores = summarise(judged)
    assert (scores.valid, scores.exact, scores.f1, scores.reward, scores.end) == (1, 1, 1, 1, 1)
    assert scores.change_recall in (1.0, None)


def test_open_loop_counts_each_depth_once(
    perfect: PerfectWorldModel, walks: list[Trajectory]
) -> None:
    """Depths that go on into the next episode, or episodes that end too soon."""
    lengths = [len(t.transitions) for t in walks]
    depths = by_depth(open_loop(perfect, lived(walks), Pages(), most=3))
    expected = {d: sum(max(0, length - d + 1) for length in lengths) for d in (1, 2, 3)}
    assert {depth: scores.n for depth, scores in depths.items()} == expected


def test_what_follows_an_invalid_prediction_is_invalid(
    walks: list[Trajectory], perfect: PerfectWorldModel
) -> None:
    """Depths measured on the survivors alone, which look better the more die."""

    class DiesAtOnce:
        version = "dies"

        def __init__(self) -> None:
            self.asked = 0

        def predict(self, histories: list[History], actions: list[str], **_: object) -> object:
            self.asked += len(actions)
            return [[Prediction("", valid=False, problem="format: x")] for _ in actions]

    model, steps = DiesAtOnce(), lived(walks)
    depths = by_depth(open_loop(model, steps, Pages(), most=3))  # type: ignore[arg-type]
    truth = by_depth(open_loop(perfect, steps, Pages(), most=3))
    assert {d: s.n for d, s in depths.items()} == {d: s.n for d, s in truth.items()}
    assert {s.valid for s in depths.values()} == {0.0}
    assert model.asked == len(steps)


def test_noise_lowers_fidelity_by_its_dose(
    perfect: PerfectWorldModel, walks: list[Trajectory], other_walks: list[Trajectory]
) -> None:
    """A control arm that is not wrong, or is wrong in form and so never used."""
    steps = lived(other_walks)
    others = [(step.history, step.action) for step in lived(walks)]
    exact = []
    for epsilon in (0.0, 0.5, 1.0):
        noisy = NoisyWorldModel(perfect, epsilon, others, seed=1)
        scores = summarise(one_step(noisy, steps, Pages()))
        assert scores.valid == 1.0
        exact.append(scores.exact)
    assert exact[0] == 1.0
    assert exact[0] - 0.2 > exact[1] > exact[2] + 0.2
    assert (
        summarise(one_step(NoisyWorldModel(perfect, 1.0, others, seed=1), steps, Pages())).exact
        == exact[2]
    )
    for epsilon, pool in ((1.5, others), (0.5, [])):
        with pytest.raises(BadInput):
            NoisyWorldModel(perfect, epsilon, pool)


def test_noise_is_fixed_by_its_row(perfect: PerfectWorldModel, walks: list[Trajectory]) -> None:
    """Noise that another member of the batch, or the order, decides."""
    steps = lived(walks)[:10]
    noisy = NoisyWorldModel(perfect, 0.5, [(s.history, s.action) for s in lived(walks)])
    histories, actions = [s.history for s in steps], [s.action for s in steps]
    together = noisy.predict(histories, actions, n=2)
    alone = [noisy.predict([h], [a], n=2)[0] for h, a in zip(histories, actions, strict=True)]
    assert together == alone


def test_what_is_said_of_another_state_keeps_the_goal(
    perfect: PerfectWorldModel, walks: list[Trajectory]
) -> None:
    """A page with another goal is not valid: a judge that refused it would only read its form."""
    steps = lived(walks)
    others = [(s.history, s.action) for s in steps if s.task_id == "reach-hall"]
    asked = [s for s in steps if s.task_id == "reach-kitchen"][:8]
    swapped = NoisyWorldModel(perfect, 1.0, others, seed=1, structure=Pages())
    said = swapped.predict([s.history for s in asked], [s.action for s in asked])
    for step, (one,) in zip(asked, said, strict=True):
        assert Pages().problem(one.observation, step.history.observation) == ""
    assert any(
        one.observation != step.outcome.observation
        for step, (one,) in zip(asked, said, strict=True)
    )


def test_a_still_world_earns_nothing_for_change(walks: list[Trajectory]) -> None:
    """A baseline that looks good because pages look alike."""
    scores = summarise(one_step(StillWorldModel(), lived(walks), Pages()))
    assert scores.change_recall == 0.0
    assert scores.f1 > 0.5


def test_the_trusted_depth_ends_at_the_first_fall() -> None:
    """A depth trusted because a deeper one recovers, or one never measured."""

    def at(f1: float, recall: float | None) -> object:
        return replace(summarise([judge(STEP.outcome, STEP, Pages())]), f1=f1, change_recall=recall)

    depths = {1: at(0.9, 0.9), 2: at(0.8, None), 3: at(0.5, 0.1), 4: at(0.9, 0.9)}
    assert trusted_depth(depths, 0.8) == 2  # type: ignore[arg-type]
    assert trusted_depth(depths, 0.4) == 4  # type: ignore[arg-type]
    assert trusted_depth(depths, 0.95) == 0  # type: ignore[arg-type]
    assert trusted_depth(depths, 0.5, "change_recall") == 2  # type: ignore[arg-type]
    assert trusted_depth({}, 0.5) == 0
    with pytest.raises(UnknownName):
        trusted_depth({}, 0.5, "f2")


def test_the_report_is_split_by_kind_and_depth(
    perfect: PerfectWorldModel, walks: list[Trajectory]
) -> None:
    """Figures that lose steps on the way."""
    steps = lived(walks)
    told = report(open_loop(perfect, steps, Pages(), most=2))
    assert set(told["by_kind"]) == {"go", "noop"}
    assert set(told["by_depth"]) == {"1", "2"}
    for part in ("by_kind", "by_depth"):
        assert sum(scores["n"] for scores in told[part].values()) == told["all"]["n"]
    kinds = by_kind(one_step(StillWorldModel(), steps, Pages()))
    assert kinds["noop"].exact == 1.0
    assert kinds["go"].exact < 0.3
    with pytest.raises(BadInput):
        summarise([])
