"""Guards histories and the plain policies."""

from __future__ import annotations

from typing import Any

import pytest

from agentgym_si.errors import BadInput
from agentgym_si.policies.base import (
    ChatPolicy,
    FunctionPolicy,
    History,
    NoopPolicy,
    OraclePolicy,
    Policy,
    RandomPolicy,
    ReplayPolicy,
    stable_seed,
)
from agentgym_si.testing import check_policy
from agentgym_si.types import Action, Task, Trajectory, Transition


def history(*actions: str, seed: int = 0, **given: Any) -> History:
    pages = tuple(f"page {index}" for index in range(len(actions) + 1))
    return History(pages, tuple(map(Action, actions)), "Do it.", seed=seed, given=given)


def last_page(history: History) -> str:
    return f"seen {history.observation}"


@pytest.mark.parametrize(
    "policy",
    [
        OraclePolicy(),
        NoopPolicy(),
        RandomPolicy(),
        FunctionPolicy(last_page),
        ChatPolicy(lambda messages: messages[-1]["content"], version="parrot"),
        ReplayPolicy({("press", 0, 0): ("a", "b", "c")}),
    ],
    ids=lambda policy: type(policy).__name__,
)
def test_the_plain_policies_keep_the_contract(policy: Policy) -> None:
    """A policy of our own that would not pass what we ask of a user's."""
    check_policy(policy)


def test_messages_end_with_the_observation_that_waits() -> None:
    """A prompt that ends with the agent's own last words."""
    assert history("act 0").messages() == [
        {"role": "system", "content": "Do it."},
        {"role": "user", "content": "page 0"},
        {"role": "assistant", "content": "act 0"},
        {"role": "user", "content": "page 1"},
    ]
    assert History(("page",)).messages() == [{"role": "user", "content": "page"}]


def test_a_stored_episodes_step_reads_what_came_before_it() -> None:
    """A step that reads its own answer, or what the world said to it."""
    steps = tuple(
        Transition(f"page {place}", Action(f"act {place}"), 0.0, place == 2, False)
        for place in range(3)
    )
    stored = Trajectory("one", "env", Task("t"), steps, "over", seed=5, instructions="Do it.")
    assert History.before(stored, 0) == history(seed=5)
    assert History.before(stored, 2) == history("act 0", "act 1", seed=5)


def test_a_historys_generator_follows_seed_step_and_salt() -> None:
    """The same noise at every step, or other noise when an episode is played again."""
    draws = {
        name: float(generator.random())
        for name, generator in {
            "plain": history("a").rng(),
            "seed": history("a", seed=1).rng(),
            "step": history("a", "b").rng(),
            "salt": history("a").rng(1),
        }.items()
    }
    assert draws["plain"] == float(history("other").rng().random())
    assert len(set(draws.values())) == 4


def test_a_function_sees_each_history_and_is_named() -> None:
    """Answers shared among the histories of a batch."""
    policy = FunctionPolicy(last_page)
    assert policy.version == "last_page"
    assert FunctionPolicy(last_page, version="mine").version == "mine"
    answers = policy.act([history(), history("a")], n=2)
    assert [[action.text for action in row] for row in answers] == [
        ["seen page 0", "seen page 0"],
        ["seen page 1", "seen page 1"],
    ]


def test_a_function_that_returns_no_text_is_refused_by_name() -> None:
    """A forgotten return that becomes the action None."""
    with pytest.raises(BadInput, match="expected policy forgetful to return str, got NoneType"):
        FunctionPolicy(lambda history: None, version="forgetful").act([history()])  # type: ignore


def test_a_chat_callable_gets_the_messages() -> None:
    """A callable of the common form that cannot be used as it is."""
    policy = ChatPolicy(lambda messages: " | ".join(message["role"] for message in messages))
    assert policy.act([history("a")])[0][0].text == "system | user | assistant | user"


def test_random_draws_follow_the_seed_and_reach_every_candidate() -> None:
    """A random baseline that always presses the first button, or cannot be repeated."""
    candidates = ["a", "b", "c", "d"]
    asked = [history(seed=seed, candidates=candidates) for seed in range(50)]
    texts = [row[0].text for row in RandomPolicy().act(asked)]
    assert set(texts) == set(candidates)
    assert texts == [row[0].text for row in RandomPolicy().act(asked)]
    assert len({action.text for action in RandomPolicy().act(asked[:1], n=50)[0]}) == 4


def test_oracle_and_noop_say_what_they_are_given() -> None:
    """A baseline that plays the other one's action."""
    given = history(oracle="right", noop="nothing")
    assert OraclePolicy().act([given], n=2) == [[Action("right"), Action("right")]]
    assert NoopPolicy().act([given]) == [[Action("nothing")]]


def test_replay_finds_its_episode_and_says_where_it_ends() -> None:
    """Stored actions of another episode played without a word."""
    policy = ReplayPolicy({("t", 3, 0): ("a", "b")})
    episode = {"task": "t", "seed": 3, "sample": 0}
    assert policy.act([history("a", episode=episode)])[0][0].text == "b"
    with pytest.raises(BadInput, match="ends after 2 actions"):
        policy.act([history("a", "b", episode=episode)])
    with pytest.raises(BadInput, match="expected a stored episode of task, seed, sample"):
        policy.act([history(episode={**episode, "seed": 4})])


def test_stable_seeds_are_the_same_everywhere() -> None:
    """Seeds from `hash()`, which differ from process to process."""
    assert stable_seed("task", 1) == 7504700089033754888
    assert stable_seed("task", 1) != stable_seed("task1")
    assert 0 <= stable_seed() < 2**63
