"""Guards the reading of a folder in BFCL's layout: every fault of a file is said with its place."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from agentgym_si.envs.bfcl_answers import solve, solve_turns
from agentgym_si.envs.bfcl_data import categories_in, find_data, load_tasks, tool_of
from agentgym_si.errors import BadInput, MissingDependency, UnknownName

OWN = Path(__file__).parents[1] / "data" / "bfcl"


def test_the_folder_has_to_hold_the_data(tmp_path: Path) -> None:
    """A path that is one folder off, found out at the first step."""
    with pytest.raises(BadInput, match=r"expected a folder of BFCL's data, got .*none-there"):
        find_data(tmp_path / "none-there")
    with pytest.raises(BadInput, match=r"expected BFCL_v4_CATEGORY\.json in the folder .* none"):
        find_data(tmp_path)
    if importlib.util.find_spec("bfcl_eval") is None:
        with pytest.raises(MissingDependency, match="pip install --no-deps bfcl-eval"):
            find_data(None)
    else:
        assert "simple_java" in categories_in(find_data(None))


def test_categories_are_chosen_by_name_or_glob() -> None:
    """A glob that also takes what only ends alike; a category without a world to play in."""
    assert list(categories_in(OWN, "multi*")) == [
        "multi_turn_base",
        "multi_turn_miss_func",
        "multiple",
    ]
    assert list(categories_in(OWN, "parallel")) == ["parallel"]
    with pytest.raises(UnknownName, match=r"unknown suite 'simple_pyton'.*simple_python"):
        categories_in(OWN, "simple_pyton")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "x", "question"', "line 2: expected JSON, got "),
        ('{"question": []}', "line 2: expected an object with id, question"),
        ('{"id": "multiple_9", "question": []}', "expected an answer to multiple_9, found none"),
        ('{"id": "multiple_0", "question": []}', "multiple_0 is no task of BFCL: KeyError"),
    ],
)
def test_a_fault_in_a_file_is_said_with_its_place(tmp_path: Path, line: str, message: str) -> None:
    """A KeyError somewhere in a file of a thousand lines."""
    shutil.copytree(OWN / "possible_answer", tmp_path / "possible_answer")
    file = tmp_path / "BFCL_v4_multiple.json"
    file.write_text(f"\n{line}\n")
    with pytest.raises(BadInput) as caught:
        load_tasks(file, "multiple")
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    """An edited file of which the old tasks are played."""
    file = tmp_path / "BFCL_v4_irrelevance.json"
    for count in (1, 2):
        rows = [{"id": f"irrelevance_{n}", "question": [[]], "function": []} for n in range(count)]
        file.write_text("\n".join(map(json.dumps, rows)))
        assert len(load_tasks(file, "irrelevance")) == count


def test_types_become_json_schemas() -> None:
    """A schema with `dict` or `any` in it, which no server of a model takes."""
    function = load_tasks(OWN / "BFCL_v4_simple_python.json", "simple_python")[1].data["functions"]
    properties = tool_of(function[0])["parameters"]["properties"]
    assert properties["at"] == {
        "description": "Coordinates.",
        "type": "array",
        "items": {"type": "number"},
    }
    assert properties["options"]["type"] == "object"
    assert properties["options"]["properties"]["fast"]["type"] == "boolean"
    assert properties["note"] == {"description": "Anything else."}


def test_java_parameters_are_texts_that_say_what_they_hold() -> None:
    """A model that is told to send a list where the benchmark wants Java's source."""
    function = load_tasks(OWN / "BFCL_v4_simple_java.json", "simple_java")[0].data["functions"]
    tool = tool_of(function[0], "java")
    assert tool["description"].endswith("in Java 8 SDK syntax.")
    ids = tool["parameters"]["properties"]["ids"]
    assert ids["type"] == "string"
    assert "This is a Java ArrayList, written as source text." in ids["description"]
    assert "Its elements are of type integer." in ids["description"]


def test_functions_held_out_come_with_their_turn() -> None:
    """A function that is there before the user has it."""
    (task,) = load_tasks(OWN / "BFCL_v4_multi_turn_miss_func.json", "multi_turn_miss_func")
    assert "cat" not in [function["name"] for function in task.data["functions"]]
    assert [function["name"] for function in task.data["held_out"]["1"]] == ["cat"]


def test_a_label_that_nothing_meets_has_no_solution() -> None:
    """An oracle that plays what is judged wrong."""
    tasks = load_tasks(OWN / "BFCL_v4_simple_python.json", "simple_python")
    assert [bool(task.solution) for task in tasks] == [True, True, True, False]
    function = {"name": "f", "parameters": {"type": "dict", "properties": {}, "required": []}}
    assert solve("multiple", [function], [{"f": {"x": [1]}}]) == ()
    assert solve_turns([function], {"1": [{**function, "name": "g"}]}, [["g(1)"], []]) == ()
