"""Tasks for the bundled notes server: a dozen, each with its solution; the notes come of the seed.

A task's number fixes what is asked for, the seed the other notes, which must stay as they are.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentgym_si.envs import mcp_notes
from agentgym_si.envs.calls import Call, format_call
from agentgym_si.envs.mcp_session import McpSession
from agentgym_si.errors import EnvFailure
from agentgym_si.types import Task

COMMAND = (sys.executable, "-I", "-S", str(Path(mcp_notes.__file__)))
"""How the bundled server is started; alone, without this package, in a fraction of the time."""

DONE = "I am done."

Notes = dict[str, dict[str, str]]
Drawn = tuple[str, Notes, Sequence[Call], str]
"""Goal, notes that the task needs, the calls that solve it, and the number that is asked for."""

_THINGS, _PLACES, _PEOPLE, _TOWNS = (
    line.split()
    for line in (
        "boiler piano tent kayak oven ladder lamp printer bicycle drum clock radio",
        "attic garage office kitchen cellar garden studio hall",
        "Ada Ben Cleo Dora Emil Fay Gus Hana",
        "Oslo Lima Graz Kyoto Porto Essen Dakar Turin",
    )
)
_OTHERS = 4


def _write(thing: str, place: str, number: int) -> Drawn:
    title, text = f"{thing} in the {place}", f"Repaired for {number} euros."
    goal = f"Make a note with the title '{title}' and the text '{text}', without a tag."
    return goal, {}, [Call("write_note", {"title": title, "text": text})], ""


def _append(thing: str, place: str, number: int) -> Drawn:
    title, line = f"{place} list", f"{number} screws for the {thing}"
    goal = f"Add the line '{line}' to the note with the title '{title}'."
    call = Call("append_to_note", {"title": title, "line": line})
    return goal, {title: _note("paint", "work")}, [call], ""


def _delete(thing: str, place: str, number: int) -> Drawn:
    title = f"{place} plan {number}"
    goal = f"Delete the note that mentions the {thing}; I forgot its title."
    calls = [Call("search_notes", {"text": thing}), Call("delete_note", {"title": title})]
    return goal, {title: _note(f"Sell the {thing}.", "work")}, calls, ""


def _rename(thing: str, place: str, number: int) -> Drawn:
    title, new = f"{thing} {number}", f"{thing} {number} ({place})"
    goal = f"Give the note with the title '{title}' the title '{new}'."
    call = Call("rename_note", {"title": title, "new_title": new})
    return goal, {title: _note("It squeaks.", "work")}, [call], ""


def _look_up(thing: str, place: str, number: int) -> Drawn:
    title = f"{thing} for the {place}"
    goal = f"What did the {thing} for the {place} cost? Answer with the number alone."
    note = _note(f"Bought it for {number} euros.", "money")
    return goal, {title: note}, [Call("read_note", {"title": title})], str(number)


def _move(thing: str, place: str, number: int) -> Drawn:
    title, new = f"{thing} stock", f"{place} stock"
    goal = (
        f"Make a note '{new}' with the text of the note '{title}', no tag, and delete the old one."
    )
    text = f"{number} pieces"
    calls = [
        Call("read_note", {"title": title}),
        Call("write_note", {"title": new, "text": text}),
        Call("delete_note", {"title": title}),
    ]
    return goal, {title: _note(text, "")}, calls, ""


_KINDS: Mapping[str, Callable[[str, str, int], Drawn]] = {
    "write": _write,
    "append": _append,
    "delete": _delete,
    "rename": _rename,
    "look-up": _look_up,
    "move": _move,
}


def _note(text: str, tag: str) -> dict[str, str]:
    return {"text": text, "tag": tag}


def _task(kind: str, number: int) -> Task:
    rng = np.random.default_rng([number, *kind.encode()])
    thing, place = _THINGS[rng.integers(len(_THINGS))], _PLACES[rng.integers(len(_PLACES))]
    goal, notes, calls, asked = _KINDS[kind](thing, place, int(rng.integers(100, 1000)))
    return Task(
        id=f"{kind}-{number}",
        goal=goal,
        data={
            "notes": notes,
            "asked": asked,
            "calls": [{"name": call.name, "arguments": call.arguments} for call in calls],
        },
        split="test" if number % 2 else "train",
        solution=(*map(format_call, calls), asked or DONE),
    )


NOTES_TASKS = tuple(_task(kind, number) for kind in _KINDS for number in range(2))
"""Two of each kind: number 0 to train on, number 1 to test on."""


def fill_notes(task: Task, session: McpSession, rng: np.random.Generator) -> Task:
    """Write the task's notes and some others that the generator draws; see `Setup`."""
    notes: Notes = dict(task.data["notes"])
    for person in rng.permutation(_PEOPLE)[:_OTHERS]:
        town = _TOWNS[rng.integers(len(_TOWNS))]
        notes[f"{person} in {town}"] = _note(f"Phone {rng.integers(1000, 10_000)}.", "people")
    for title, note in sorted(notes.items()):
        session.call("write_note", {"title": title, **note})
    return dataclasses.replace(task, data={**task.data, "begin": notes})


def check_notes(task: Task, calls: Sequence[Any], answer: str, session: McpSession) -> float:
    """Return 1 where the notes are as they should be and the answer has the number; see `Checker`.

    The notes must equal those that the solution leaves; a number that was asked for must be the
    only one in the answer.
    """
    try:
        found = json.loads(session.call("export_notes").text)
    except ValueError as error:
        raise EnvFailure("protocol", f"the notes server exported no JSON: {error}") from error
    expected = mcp_notes.Notes()
    expected.notes = {title: dict(note) for title, note in task.data["begin"].items()}
    for call in task.data["calls"]:
        getattr(expected, call["name"])(**call["arguments"])
    told = not task.data["asked"] or re.findall(r"\d+", answer) == [task.data["asked"]]
    return float(found == expected.notes and told)
