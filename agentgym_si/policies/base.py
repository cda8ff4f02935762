"""What a policy is: histories in, actions out, batch first; and the plainest ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from agentgym_si.errors import BadInput
from agentgym_si.types import Action, Message, Trajectory

Need = Literal["oracle", "candidates", "noop", "episode", "feedback"]
"""What a policy may ask a rollout to put into `History.given`; ordinary ones ask for nothing.
`feedback` is a function from an action's text to what the environment finds wrong with it before it
counts, "" where that is nothing."""


@dataclass(frozen=True)
class History:
    """What a policy reads before it acts: append-only within an episode.

    `len(observations) == len(actions) + 1`: the last observation waits for an answer.
    """

    observations: tuple[str, ...]
    actions: tuple[Action, ...] = ()
    instructions: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    seed: int = 0
    """Fixes this episode's sampling: the same seed, history and policy give the same action."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """What the policy's `needs` asked for; empty for ordinary policies."""

    @classmethod
    def before(cls, trajectory: Trajectory, place: int) -> History:
        """Return what a stored episode's step number `place`, from 0, answered."""
        steps = trajectory.transitions[: place + 1]
        return cls(
            observations=tuple(step.observation for step in steps),
            actions=tuple(step.action for step in steps[:-1]),
            instructions=trajectory.instructions,
            tools=trajectory.tools,
            seed=trajectory.seed,
        )

    @property
    def observation(self) -> str:
        """The newest observation."""
        return self.observations[-1]

    def messages(self) -> list[Message]:
        """Return the chat so far: instructions, then observations and actions in turn."""
        messages: list[Message] = []
        if self.instructions:
            messages.append({"role": "system", "content": self.instructions})
        for index, observation in enumerate(self.observations):
            messages.append({"role": "user", "content": observation})
            if index < len(self.actions):
                messages.append({"role": "assistant", "content": self.actions[index].text})
        return messages

    def rng(self, *salt: int) -> np.random.Generator:
        """Return a generator fixed by seed, step and `salt`."""
        return np.random.default_rng([self.seed, len(self.actions), *salt])


@runtime_checkable
class Policy(Protocol):
    """What acts. `version` names the weights or code; it goes on every trajectory."""

    version: str

    @property
    def needs(self) -> frozenset[Need]:
        """What of `History.given` the policy reads."""

    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        """Return n actions for each history: the outer list follows `histories`."""


class FunctionPolicy:
    """A policy made of a function from one history to the action's text."""

    needs: frozenset[Need] = frozenset()

    def __init__(self, function: Callable[[History], str], *, version: str = "") -> None:
        """Wrap `function`; `version` defaults to its name."""
        self.function = function
        self.version = version or getattr(function, "__name__", type(function).__name__)

    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        """Call the function n times a history; raises BadInput where it returns no string."""
        return [[Action(self._call(history)) for _ in range(n)] for history in histories]

    def _call(self, history: History) -> str:
        text = self.function(history)
        if not isinstance(text, str):
            raise BadInput(
                f"expected policy {self.version} to return str, got {type(text).__name__}"
            )
        return text


class ChatPolicy(FunctionPolicy):
    """A policy made of an OpenAI-style callable: a list of messages to the answer's text."""

    def __init__(self, function: Callable[[list[Message]], str], *, version: str = "") -> None:
        """Wrap `function`."""
        super().__init__(lambda history: function(history.messages()), version=version)
        self.version = version or getattr(function, "__name__", type(function).__name__)


class OraclePolicy:
    """Plays the environment's own solution."""

    version = "oracle"
    needs: frozenset[Need] = frozenset({"oracle"})

    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        """Return what the environment's oracle says."""
        return [[Action(str(history.given["oracle"]))] * n for history in histories]


class NoopPolicy:
    """Does nothing, to show what doing nothing earns."""

    version = "noop"
    needs: frozenset[Need] = frozenset({"noop"})

    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        """Return the environment's no-op."""
        return [[Action(str(history.given["noop"]))] * n for history in histories]


class RandomPolicy:
    """Draws among the legal actions, fixed by the history's seed."""

    version = "random"
    needs: frozenset[Need] = frozenset({"candidates"})

    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        """Draw n actions a history, each of its own stream."""
        return [[self._draw(history, sample) for sample in range(n)] for history in histories]

    def _draw(self, history: History, sample: int) -> Action:
        candidates = history.given["candidates"]
        return Action(candidates[int(history.rng(sample).integers(len(candidates)))])


class ReplayPolicy:
    """Plays stored actions again, by task, seed and sample.

    Raises BadInput for an episode that was not stored, or that goes on longer than it did.
    """

    needs: frozenset[Need] = frozenset({"episode"})

    def __init__(
        self, actions: Mapping[tuple[str, int, int], Sequence[str]], *, version: str = "replay"
    ) -> None:
        """Keep `actions`: (task id, seed, sample) to the episode's actions."""
        self.actions = actions
        self.version = version

    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        """Return each episode's next stored action, n times."""
        return [[self._next(history)] * n for history in histories]

    def _next(self, history: History) -> Action:
        episode = history.given["episode"]
        key = (episode["task"], episode["seed"], episode["sample"])
        stored = self.actions.get(key)
        if stored is None:
            raise BadInput(f"expected a stored episode of task, seed, sample {key}, found none")
        if len(history.actions) >= len(stored):
            raise BadInput(f"the stored episode {key} ends after {len(stored)} actions")
        return Action(stored[len(history.actions)])


def stable_seed(*parts: object) -> int:
    """Return a 63-bit seed that depends on the parts' text only, on every machine."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
