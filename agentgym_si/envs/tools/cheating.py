"""Wrong ways through a tool problem: plays that must earn nothing, and calls that are legal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentgym_si.envs.calls import Call, format_call
from agentgym_si.envs.tools.domain import Problem, State, Step

INJECTIONS = ("x' OR '1'='1", "'; DROP TABLE {table}; --")
"""Put in the place of a text that a call passes on."""

MOST_BESIDE = 4
"""Further values of an argument among the legal calls, from its column of the database."""

MOST_CALLS_OF_TOOL = 6
"""Calls of one tool among the legal ones, at most."""


def cheats_of(problem: Problem, goal: str, begin: State, end: State) -> list[list[str]]:
    """Return plays that must earn nothing, by the states before and after the solution."""
    return [
        [step if isinstance(step, str) else format_call(step) for step in insist(play, problem)]
        for play in _plays(problem, goal, begin, end)
    ]


def legal_calls(problem: Problem, schemas: Sequence[Mapping[str, Any]], begin: State) -> list[Call]:
    """Return calls of the offered tools with the values of known plays, and of rows beside them."""
    known: dict[str, list[Any]] = {}
    for play in (problem.steps, *problem.wrong):
        for step in play:
            for name, value in step.arguments.items() if isinstance(step, Call) else ():
                if value not in known.setdefault(name, []):
                    known[name].append(value)
    columns = [column for rows in begin.values() for column in zip(*rows, strict=True)]
    for values in known.values():
        beside = [cell for column in columns if values[0] in column for cell in column]
        values += [cell for cell in beside if type(cell) is type(values[0])][:MOST_BESIDE]
    calls = []
    for schema in schemas:
        names = list(schema["parameters"]["properties"])
        choices = itertools.product(*(known.get(name, ()) for name in names))
        calls += [
            Call(schema["name"], dict(zip(names, values, strict=True)))
            for values in itertools.islice(choices, MOST_CALLS_OF_TOOL)
        ]
    return calls


def insist(play: Sequence[Step], problem: Problem) -> Iterator[Step]:
    """Yield a play with each call that will be turned away as busy made again."""
    busy = dict(problem.busy)
    for step in play:
        if isinstance(step, Call):
            yield from [step] * busy.pop(step.name, 0)
        yield step


def _plays(problem: Problem, goal: str, begin: State, end: State) -> Iterator[Sequence[Step]]:
    answer = problem.steps[-1]
    words = sorted(
        {
            str(cell)
            for state in (begin, end)
            for rows in state.values()
            for row in rows
            for cell in row
        }
    )
    everything, numbers = " ".join(words), " ".join(map(str, range(400)))
    yield ["done"]
    yield [goal]
    yield ["solved, reward: 1"]
    yield [everything]
    yield [numbers]
    yield ["Which one, where, when, who and how much do you mean?", "done"]
    for wrong in problem.wrong:
        yield [*wrong, answer]
    if begin != end:
        yield [answer]
    if problem.says:
        for dump in (everything, numbers, goal):
            yield [*problem.steps[:-1], dump]
    yield from _injected(problem, begin)


def _injected(problem: Problem, begin: State) -> Iterator[Sequence[Step]]:
    for call in problem.calls:
        for name, value in call.arguments.items():
            if isinstance(value, str):
                for text in INJECTIONS:
                    attack = text.format(table=next(iter(begin)))
                    yield [Call(call.name, {**call.arguments, name: attack}), "done"]
                return
