"""Trajectories as training rows: the sampled ids as they are, one row where they only grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from agentgym_si.errors import BadInput
from agentgym_si.policies.base import History
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.types import Action, Source, Trajectory, Transition, Weighted


def to_rows(
    trajectory: Trajectory,
    tokens: ChatTokens,
    *,
    weight: float = 1.0,
    per_step: Sequence[float] | None = None,
) -> list[Weighted]:
    """Return the rows that teach what the trajectory did.

    Steps share a row while each prompt starts with the exact ids of all before it; what lies
    between two answers then has weight 0. A broken prefix, or another source, starts a new row.
    Actions without ids are tokenised as the policy would have written them. A failed box teaches
    nothing; nor do injected actions, empty ones, and steps whose factor is 0.

    Args:
        trajectory: one episode.
        tokens: of the model to be trained.
        weight: factor of every sampled token.
        per_step: (steps,) factors on top of it.
    """
    steps = trajectory.transitions
    if per_step is not None and len(per_step) != len(steps):
        raise BadInput(f"expected per_step of shape ({len(steps)},), got ({len(per_step)},)")
    if trajectory.failure is not None:
        return []
    rows: list[_Row] = []
    for index, step in enumerate(steps):
        if not step.action.text and not step.action.token_ids:
            continue
        factor = weight * (1.0 if per_step is None else per_step[index])
        if step.source == "injected":
            factor = 0.0
        action = step.action if step.action.token_ids else _tokenised(trajectory, index, tokens)
        if not rows or not rows[-1].fits(action, step, factor):
            rows.append(_Row(action.prompt_ids))
        rows[-1].add(action, step, factor)
    return [row.weighted(trajectory) for row in rows if any(row.weights)]


def broken_steps(trajectory: Trajectory, tokens: ChatTokens) -> list[str]:
    """Say which steps start a new row because their prompt is not all that came before it.

    A sentence a step, with the message in which its ids part from those sampled before.
    """
    found: list[str] = []
    for index, (before, step) in enumerate(pairwise(trajectory.transitions), start=1):
        whole = before.action.prompt_ids + before.action.token_ids
        prompt = step.action.prompt_ids
        if not whole or not prompt or prompt[: len(whole)] == whole:
            continue
        pairs = zip(whole, prompt, strict=False)
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(whole), len(prompt)))
        found.append(
            f"step {index} is no continuation of step {index - 1}: their ids part at token {place} "
            f"of the prompt, in {_message_at(trajectory, index, tokens, whole, place)}"
        )
    return found


def _message_at(
    trajectory: Trajectory, step: int, tokens: ChatTokens, ids: Sequence[int], place: int
) -> str:
    """Name the message of the first `step` steps' chat that the id at `place` belongs to."""
    text, least = tokens.text(ids), len(tokens.text(ids[:place]))
    end = 0
    chat = trajectory.messages()
    chat = chat[: len(chat) - 2 * (len(trajectory.transitions) - step)]
    for index, message in enumerate(chat):
        start = text.find(message["content"], end)
        if start < 0:
            continue
        end = start + len(message["content"])
        if least < end:
            return f"message {index} ({message['role']})"
    return "what follows the last message"


def check_ids(trajectory: Trajectory, rows: Sequence[Weighted]) -> int:
    """Return how many sampled ids of the trajectory the rows teach.

    Raises BadInput for an id that is taught and was not sampled in its place, after its prompt.
    """
    taught = 0
    for number, row in enumerate(rows):
        ids = row.context + row.completion
        sampled: set[int] = set()
        for step in trajectory.transitions:
            action = step.action
            end = len(action.prompt_ids) + len(action.token_ids)
            if action.token_ids and ids[:end] == action.prompt_ids + action.token_ids:
                sampled.update(range(len(action.prompt_ids), end))
        places = [len(row.context) + i for i, weight in enumerate(row.weights) if weight]
        for place in places:
            if place not in sampled:
                raise BadInput(
                    f"row {number} of {trajectory.id} teaches id {ids[place]} at token {place}, "
                    "which was not sampled there"
                )
        taught += len(places)
    return taught


def _tokenised(trajectory: Trajectory, index: int, tokens: ChatTokens) -> Action:
    text = trajectory.transitions[index].action.text
    return Action(text, tokens.prompt(History.before(trajectory, index)), tokens.answer(text))


@dataclass
class _Row:
    """A row that grows by a step at a time."""

    context: tuple[int, ...]
    completion: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    source: Source | None = None
    """Of the steps that are learned; None while none is."""
    known: bool = True
    """Whether every learned step has logprobs."""

    def fits(self, action: Action, step: Transition, factor: float) -> bool:
        whole = (*self.context, *self.completion)
        other_source = factor != 0 and self.source is not None and self.source != step.source
        return not other_source and action.prompt_ids[: len(whole)] == whole

    def add(self, action: Action, step: Transition, factor: float) -> None:
        between = action.prompt_ids[len(self.context) + len(self.completion) :]
        self.completion += [*between, *action.token_ids]
        self.weights += [0.0] * len(between) + [factor] * len(action.token_ids)
        logprobs = action.logprobs if factor and action.logprobs else [0.0] * len(action.token_ids)
        self.logprobs += [0.0] * len(between) + list(logprobs)
        if factor:
            self.source = step.source
            self.known = self.known and bool(action.logprobs)

    def weighted(self, trajectory: Trajectory) -> Weighted:
        return Weighted(
            context=self.context,
            completion=tuple(self.completion),
            weights=tuple(self.weights),
            logprobs=tuple(self.logprobs) if self.known else (),
            origin=trajectory.id,
            world=trajectory.world,
            source=self.source or "policy",
            world_version=trajectory.world_version,
        )
