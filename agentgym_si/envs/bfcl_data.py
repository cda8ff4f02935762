"""A folder in BFCL's layout, read as tasks: questions, functions and acceptable answers.

`BFCL_v4_CATEGORY.json` holds a category's questions (a JSON object a line), `possible_answer/` its
answers under the same names, `multi_turn_func_doc/` the documentation of the stateful classes.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentgym_si.envs.bfcl_answers import solve, solve_turns
from agentgym_si.envs.bfcl_scoring import Function, wants_any_call, wants_no_call
from agentgym_si.envs.bfcl_worlds import CLASSES
from agentgym_si.errors import BadInput, MissingDependency, UnknownName
from agentgym_si.types import Task

NOT_PLAYED = ("memory", "web_search", "format_sensitivity")
"""Categories that need a model's memory, the internet or many prompts, not an environment."""

_FILE = re.compile(r"BFCL_v\d+_(\w+)\.json")
_JSON_TYPES = {
    "dict": "object",
    "float": "number",
    "tuple": "array",
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
}
_LANGUAGE_NAMES = {"python": "Python 3", "java": "Java 8 SDK", "javascript": "JavaScript"}


def find_data(folder: str | Path | None) -> Path:
    """Return the folder of the data; None means the one inside the benchmark's own package.

    Raises BadInput where the folder holds no BFCL file, MissingDependency where no folder is given
    and the package is not installed.
    """
    if folder is None:
        found = importlib.util.find_spec("bfcl_eval")
        places = None if found is None else found.submodule_search_locations
        if not places:
            raise MissingDependency(
                "FunctionCalling needs BFCL's data: give data=FOLDER, or "
                "pip install --no-deps bfcl-eval, which brings it"
            )
        folder = Path(next(iter(places))) / "data"
    path = Path(folder)
    if not path.is_dir():
        raise BadInput(f"expected a folder of BFCL's data, got {folder}, which is none")
    if not any(_FILE.fullmatch(file.name) for file in path.iterdir()):
        raise BadInput(f"expected BFCL_v4_CATEGORY.json in the folder {folder}, found none")
    return path


def categories_in(folder: Path, suite: str | None = None) -> dict[str, Path]:
    """Return the file of each category in a folder that can be played, by name.

    Args:
        folder: see `find_data`.
        suite: a category, a glob (`live_*`), or None for all.

    Raises:
        UnknownName: nothing of that name is there.
    """
    found = {
        match[1]: file
        for file in sorted(folder.iterdir())
        if (match := _FILE.fullmatch(file.name)) and not match[1].startswith(NOT_PLAYED)
    }
    chosen = {name: found[name] for name in found if fnmatch.fnmatchcase(name, suite or "*")}
    if not chosen:
        raise UnknownName("suite", str(suite), found, where=str(folder))
    return chosen


def load_tasks(file: Path, category: str) -> tuple[Task, ...]:
    """Return the tasks of a category's file; raises BadInput with file and line.

    They are read once in a process, and again where the file or that of its answers changed.
    """
    paths = [path for path in (file, _answers_of(file)) if path.is_file()]
    return _load_tasks(file, category, tuple(path.stat().st_mtime_ns for path in paths))


@functools.lru_cache(maxsize=32)
def _load_tasks(file: Path, category: str, changed: tuple[int, ...]) -> tuple[Task, ...]:
    del changed  # of the cache's key only
    several_turns = category.startswith("multi_turn")
    answers: dict[str, Any] = {}
    if not (wants_no_call(category) or wants_any_call(category)):
        answers = {row["id"]: row["ground_truth"] for row in _rows(_answers_of(file))}
    tasks = []
    for row in _rows(file, ("id", "question")):
        answer = answers.get(row["id"])
        if answers and answer is None:
            raise BadInput(f"{_answers_of(file)}: expected an answer to {row['id']}, found none")
        read = _read_turns if several_turns else _read_turn
        try:
            tasks.append(read(row, category, answer or [], file.parent))
        except (KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{file}: {row['id']} is no task of BFCL: {error!r}") from error
    return tuple(tasks)


def tool_of(function: Function, language: str = "python") -> dict[str, Any]:
    """Return a function's documentation as a tool with JSON schemas.

    BFCL's types `dict float tuple any` become JSON Schema's; parameters of Java and JavaScript
    functions become texts that hold source, which their descriptions say.
    """
    parameters = function["parameters"]
    properties = parameters.get("properties", {})
    written = _json_schema if language == "python" else _source_schema
    return {
        "name": function["name"],
        "description": f"{function.get('description', '')} Note that the provided function is in "
        f"{_LANGUAGE_NAMES[language]} syntax.",
        "parameters": {
            "type": "object",
            "properties": {name: written(entry, language) for name, entry in properties.items()},
            "required": list(parameters.get("required", ())),
        },
    }


def _json_schema(entry: Mapping[str, Any], language: str) -> dict[str, Any]:
    kept = ("description", "default", "enum", "minimum", "maximum", "format")
    schema = {key: entry[key] for key in kept if key in entry}
    if entry.get("type") in _JSON_TYPES:  # `any` is no type of JSON Schema: it is left out
        schema["type"] = _JSON_TYPES[entry["type"]]
    if "items" in entry:
        schema["items"] = _json_schema(entry["items"], language)
    if isinstance(entry.get("properties"), Mapping):
        inner = entry["properties"].items()
        schema["properties"] = {name: _json_schema(inside, language) for name, inside in inner}
    if isinstance(entry.get("required"), list):
        schema["required"] = entry["required"]
    return schema


def _source_schema(entry: Mapping[str, Any], language: str) -> dict[str, Any]:
    name = {"java": "Java", "javascript": "JavaScript"}[language]
    told = [str(entry.get("description", ""))]
    if entry["type"] == "any":
        told.append(f"This parameter can be any {name} object, written as source text.")
    else:
        told.append(f"This is a {name} {entry['type']}, written as source text.")
    if "items" in entry:
        told.append(f"Its elements are of type {entry['items']['type']}.")
    if "properties" in entry:
        told.append(f"Its entries are {json.dumps(entry['properties'])}.")
    return {"type": "string", "description": " ".join(told)}


# Tasks ------------------------------------------------------------------------------------


def _read_turn(row: Mapping[str, Any], category: str, answers: Any, folder: Path) -> Task:
    del folder
    data = {
        "category": category,
        "turns": row["question"],
        "functions": row["function"],
        "answers": answers,
    }
    solution = solve(category, row["function"], answers)
    return Task(row["id"], _last_user_text(row["question"]), data, "test", solution)


def _read_turns(row: Mapping[str, Any], category: str, answers: Any, folder: Path) -> Task:
    functions = [dict(doc) for name in row["involved_classes"] for doc in _documents(folder, name)]
    missing: Mapping[str, Sequence[str]] = row.get("missed_function", {})
    held_out = {
        turn: [doc for doc in functions if doc["name"] in names] for turn, names in missing.items()
    }
    hidden = {name for names in missing.values() for name in names}
    offered = [doc for doc in functions if doc["name"] not in hidden]
    data = {
        "category": category,
        "turns": row["question"],
        "functions": offered,
        "held_out": held_out,
        "classes": row["involved_classes"],
        "config": row["initial_config"],
        "answers": answers,
    }
    goal = _last_user_text(row["question"][:1])
    return Task(row["id"], goal, data, "test", solve_turns(offered, held_out, answers))


def _last_user_text(turns: Sequence[Sequence[Mapping[str, str]]]) -> str:
    texts = [message["content"] for messages in turns for message in messages]
    return texts[-1] if texts else ""


def _documents(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    if name not in CLASSES:
        raise UnknownName("class of BFCL", name, CLASSES)
    return _rows(folder / "multi_turn_func_doc" / f"{CLASSES[name]}.json", ("name", "parameters"))


def _answers_of(file: Path) -> Path:
    return file.parent / "possible_answer" / file.name


def _rows(file: Path, keys: Sequence[str] = ("id", "ground_truth")) -> Iterator[dict[str, Any]]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise BadInput(f"expected BFCL's file {file}, got {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadInput(f"{file}, line {number}: expected JSON, got {error}") from error
        if not isinstance(row, dict) or any(key not in row for key in keys):
            raise BadInput(f"{file}, line {number}: expected an object with {', '.join(keys)}")
        yield row
