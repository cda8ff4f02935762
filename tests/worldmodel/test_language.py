"""Guards the world model that is a language model: it learns, and answers row by row."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentgym_si.envs.base import TextEnv
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.policies.base import FunctionPolicy, RandomPolicy
from agentgym_si.rollouts import Episode
from agentgym_si.types import Trajectory
from agentgym_si.worldmodel.base import Opening, Prediction, Scoring, WorldModel
from agentgym_si.worldmodel.fidelity import one_step, summarise
from agentgym_si.worldmodel.imagined import imagine
from agentgym_si.worldmodel.language import EnsembleWorldModel, LanguageWorldModel, disagreement
from agentgym_si.worldmodel.lived import lived
from agentgym_si.worldmodel.structure import Pages
from agentgym_si.worldmodel.wording import Wording

pytestmark = pytest.mark.train


def test_it_learns_the_house(model: LanguageWorldModel, other_walks: list[Trajectory]) -> None:
    """Rows that teach another answer than is read, or a question that hides what matters."""
    steps = lived(other_walks)
    scores = summarise(one_step(model, steps, Pages()))
    assert scores.valid > 0.95
    assert scores.exact > 0.75
    assert scores.change_recall is not None
    assert scores.change_recall > 0.8


def test_a_prediction_does_not_depend_on_its_batch(
    model: LanguageWorldModel, walks: list[Trajectory]
) -> None:
    """Rows that share a random stream, or padding that is read."""
    steps = lived(walks)[:6]
    histories, actions = [s.history for s in steps], [s.action for s in steps]
    drawn = model.predict(histories, actions, n=2, temperature=1.5, seed=3)
    alone = [
        model.predict([history], [action], n=2, temperature=1.5, seed=3)[0]
        for history, action in zip(histories, actions, strict=True)
    ]
    turned = model.predict(histories[::-1], actions[::-1], n=2, temperature=1.5, seed=3)[::-1]
    texts = [[one.said.text for one in group] for group in drawn]
    assert texts == [[one.said.text for one in group] for group in alone]
    assert texts == [[one.said.text for one in group] for group in turned]
    other = model.predict(histories, actions, n=2, temperature=1.5, seed=4)
    assert texts != [[one.said.text for one in group] for group in other]


def test_without_chance_the_like_is_asked_once(
    model: LanguageWorldModel, walks: list[Trajectory]
) -> None:
    """Hundreds of episodes that take the same step would each be answered anew."""
    step, other = lived(walks)[:2]
    histories = [step.history, other.history, replace(step.history, seed=9)]
    actions = [step.action, other.action, step.action]
    asked: list[int] = []
    policy = copy.copy(model.model)

    def sample(requests: Sequence[Any], sampling: Any) -> Sequence[Any]:
        asked.append(len(requests))
        return model.model._sample(requests, sampling)

    policy._sample = sample  # type: ignore[method-assign]
    heard = LanguageWorldModel(policy, model.structure, model.wording)
    said = heard.predict(histories, actions)
    assert asked == [2] and said[0] == said[2] != said[1]
    assert said == model.predict(histories, actions)
    heard.predict(histories, actions, temperature=1.0)
    assert asked == [2, 3]


def test_what_it_says_is_on_record(model: LanguageWorldModel, walks: list[Trajectory]) -> None:
    """A prediction without the tokens it was read from, or a logprob that is not theirs."""
    step = lived(walks)[0]
    ((found,),) = model.predict([step.history], [step.action])
    assert found.version == model.version
    assert found.tokens == len(found.said.token_ids) > 0
    assert model.model.tokens is not None
    assert model.model.tokens.text(found.said.token_ids) == found.said.text
    ((*scored,),) = model.logprobs([step.history], [step.action], [found])
    assert sum(scored) == pytest.approx(found.logprob, abs=1e-3)
    assert isinstance(model, WorldModel)
    assert isinstance(model, Scoring)
    assert not isinstance(model, Opening)


def test_no_room_and_no_end_are_not_valid(
    model: LanguageWorldModel, walks: list[Trajectory]
) -> None:
    """An answer cut in the middle and taken for a page."""
    step = lived(walks)[0]
    short = LanguageWorldModel(model.model.with_sampling(max_new_tokens=12), Pages())
    ((cut,),) = short.predict([step.history], [step.action])
    assert not cut.valid
    assert cut.problem == "length: no end within 12 tokens"
    ((long,),) = model.predict([step.history], ["go " * 300])
    assert (long.valid, long.problem.partition(":")[0]) == (False, "overlong")


def test_it_can_be_lived_in(model: LanguageWorldModel, make_house: Callable[[], TextEnv]) -> None:
    """Imagined episodes that depend on what is in flight, or do not follow the actions."""
    todo = [Episode(f"e{i}", 900 + i, "reach-kitchen") for i in range(8)]
    right = FunctionPolicy(
        lambda history: "noop()" if len(history.actions) < 2 else "go('kitchen')"
    )
    played = {count: imagine(make_house(), model, right, todo, in_flight=count) for count in (1, 8)}
    shown = {
        count: [(t.actions, t.final_observation, t.episode_return, t.failure) for t in found]
        for count, found in played.items()
    }
    assert shown[1] == shown[8]
    assert sum(t.solved for t in played[8]) >= 6
    assert {t.world_version for t in played[8]} == {model.version}
    assert all(step.info["world_tokens"] > 0 for t in played[8] for step in t.transitions)
    random = imagine(make_house(), model, RandomPolicy(), todo)
    assert len({t.actions for t in random}) > 1


def test_an_ensemble_takes_turns(model: LanguageWorldModel, walks: list[Trajectory]) -> None:
    """A member that is never asked, or samples in the wrong order."""
    step = lived(walks)[0]
    other = LanguageWorldModel(model.model.with_sampling(max_new_tokens=12), Pages())
    other.version = "other"
    found = EnsembleWorldModel([model, other]).predict([step.history], [step.action], n=5)[0]
    names = [prediction.version for prediction in found]
    assert names == [model.version, "other"] * 2 + [model.version]
    assert [p.valid for p in found] == [True, False, True, False, True]
    (alone,) = EnsembleWorldModel([model, other]).predict([step.history], [step.action])
    assert [p.version for p in alone] == [model.version]
    with pytest.raises(BadInput, match="expected at least one member"):
        EnsembleWorldModel([])


def test_disagreement_by_hand() -> None:
    """Samples that differ in the reward and count as the same; one invalid beside another."""
    page = 'Goal: G\n[1] link "a"\n[2] link "b"'
    one, half = Prediction(page), Prediction('Goal: G\n[1] link "a"\n[2] link "c"')
    bad = Prediction("", valid=False)
    assert disagreement([one, one], Pages()) == 0.0
    assert disagreement([one], Pages()) == 0.0
    assert disagreement([one, half], Pages()) == pytest.approx(0.5)
    assert disagreement([one, Prediction(page, 1.0)], Pages()) == 1.0
    assert disagreement([bad, bad], Pages()) == 1.0
    assert disagreement([one, one, half], Pages()) == pytest.approx(1 - (1 + 0.5 + 0.5) / 3)


def test_a_folder_says_how_it_is_asked(learned: Path, tmp_path: Path) -> None:
    """A checkpoint asked in another wording than it was trained in."""
    from agentgym_si.worldmodel.teaching import FILE, load_world_model

    loaded = load_world_model(learned, temperature=0.5)
    assert loaded.wording == Wording()
    assert isinstance(loaded.structure, Pages)
    assert loaded.temperature == 0.5
    with pytest.raises(BadInput, match=FILE):
        load_world_model(tmp_path)


def test_rows_of_another_world_are_refused(
    learned: Path, tmp_path: Path, walks: list[Trajectory]
) -> None:
    """A world model trained on imagined rows, or asked for an unknown structure."""
    from dataclasses import replace

    from agentgym_si.policies.tokens import ChatTokens
    from agentgym_si.training.sft import SFTSettings
    from agentgym_si.worldmodel.teaching import train_world_model, world_rows

    steps = lived(walks)[:2]
    rows = world_rows(steps, ChatTokens.load(learned), Pages())
    dreamt = [replace(row, world="imagined") for row in rows]
    settings = SFTSettings(steps=1)
    with pytest.raises(BadInput, match="one that was imagined"):
        train_world_model(learned, dreamt, tmp_path / "a", settings, structure="pages")
    with pytest.raises(UnknownName, match="structure"):
        train_world_model(learned, rows, tmp_path / "a", settings, structure="page")
    with pytest.raises(BadInput, match="got one of 'test'"):
        world_rows([replace(steps[0], split="test")], ChatTokens.load(learned), Pages())


def test_tokens_weigh_what_their_lines_do(learned: Path, walks: list[Trajectory]) -> None:
    """Changed lines that weigh as copied ones, or weights that are a token off."""
    from agentgym_si.policies.tokens import ChatTokens
    from agentgym_si.worldmodel.teaching import TokenWeights, world_rows

    tokens = ChatTokens.load(learned)
    step = next(s for s in lived(walks) if s.changed and not s.outcome.terminated)
    weights = TokenWeights(outcome=5.0, changed=2.0, same=0.25)
    (row,) = world_rows([step], tokens, Pages(), weights=weights)
    (plain,) = world_rows([step], tokens, Pages())
    assert row.completion == plain.completion
    assert set(plain.weights) == {1.0}
    said: dict[float, str] = {5.0: "", 2.0: "", 0.25: ""}
    for token, weight in zip(row.completion, row.weights, strict=True):
        said[weight] += tokens.text([token, tokens.end[-1]])
    changed = step.outcome.observation.split("\n")[1]
    assert said[5.0].startswith("reward=0 end=no")
    assert changed.partition(" ")[2] in said[2.0]
    assert "button" in said[0.25]
    assert "button" not in said[2.0]
