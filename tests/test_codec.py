"""Guards the records' JSON: whatever is stored comes back equal, whatever is wrong is refused."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_si import codec, types
from agentgym_si.errors import BadRecord
from agentgym_si.types import Action, Costs, Group, Preference, Task, Trajectory, Verdict, Weighted

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")

texts = st.text(st.characters(), max_size=20).filter(lambda text: not _PAIR.search(text))
"""Any text, lone surrogates included; two that meet are one character to JSON."""
floats = st.floats(allow_nan=False, allow_infinity=False)
units = st.floats(0, 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
free = st.dictionaries(texts, json_values, max_size=3)
ids = st.lists(st.integers(0, 2**40), max_size=5).map(tuple)
worlds = st.sampled_from(["real", "imagined", "replayed"])
sources = st.sampled_from(["policy", "oracle", "teacher", "hint", "injected"])


def tuples(inner: st.SearchStrategy[Any], size: int | None = None) -> st.SearchStrategy[Any]:
    return st.lists(inner, min_size=size or 0, max_size=3 if size is None else size).map(tuple)


@st.composite
def actions(draw: st.DrawFn) -> Action:
    tokens = draw(ids)
    prompt = (1, *draw(ids)) if tokens else ()
    logprobs = draw(st.just(()) | tuples(floats, len(tokens)))
    return Action(draw(texts), prompt, tokens, logprobs)


@st.composite
def weighted(draw: st.DrawFn) -> Weighted:
    tokens = draw(ids)
    return Weighted(
        context=draw(ids),
        completion=tokens,
        weights=draw(tuples(floats, len(tokens))),
        logprobs=draw(st.just(()) | tuples(floats, len(tokens))),
        origin=draw(texts),
        world=draw(worlds),
        source=draw(sources),
    )


@st.composite
def preferences(draw: st.DrawFn) -> Preference:
    chosen, rejected = draw(ids), draw(ids)
    return Preference(
        context=draw(ids),
        chosen=chosen,
        rejected=rejected,
        chosen_weights=draw(st.just(()) | tuples(floats, len(chosen))),
        rejected_weights=draw(st.just(()) | tuples(floats, len(rejected))),
        smoothing=draw(units),
        origin=draw(texts),
        world=draw(worlds),
    )


@st.composite
def groups(draw: st.DrawFn) -> Group:
    rows = draw(tuples(weighted()))
    return Group(draw(texts), rows, draw(tuples(floats, len(rows))))


tasks = st.builds(Task, texts, texts, free, texts, tuples(texts))
failures = st.builds(types.Failure, texts, texts)
costs = st.builds(Costs, floats, floats, st.integers(), st.integers())
transitions = st.builds(
    types.Transition, texts, actions(), floats, st.booleans(), st.booleans(), sources, free
)
RECORDS: dict[type, st.SearchStrategy[Any]] = {
    Task: tasks,
    Action: actions(),
    types.Transition: transitions,
    types.Failure: failures,
    Costs: costs,
    Trajectory: st.builds(
        Trajectory,
        id=texts,
        env_id=texts,
        task=tasks,
        transitions=tuples(transitions),
        final_observation=texts,
        seed=st.integers(),
        instructions=texts,
        tools=tuples(free),
        world=worlds,
        policy_version=texts,
        world_version=texts,
        failure=st.none() | failures,
        parent=texts,
        labels_used=tuples(texts),
        costs=costs,
    ),
    Verdict: st.builds(Verdict, units, units, tuples(floats), tuples(free), texts),
    Weighted: weighted(),
    Preference: preferences(),
    Group: groups(),
}

MINIMAL = (
    '{"id":"a","env_id":"e","task":{"id":"t"},"transitions":[],"final_observation":"","seed":0}'
)


def test_every_record_has_a_strategy() -> None:
    """A record added to types.py without a round-trip test."""
    records = {value for value in vars(types).values() if dataclasses.is_dataclass(value)}
    assert records == set(RECORDS)


@pytest.mark.parametrize("record_type", RECORDS, ids=lambda record_type: record_type.__name__)
@given(data=st.data())
def test_records_survive_json_and_files(record_type: type, data: st.DataObject) -> None:
    """A field lost, a tuple turned list, text that a UTF-8 file or a line reader cannot hold."""
    record = data.draw(RECORDS[record_type])
    line = codec.dumps(record)
    assert line.encode("utf-8").decode("utf-8").splitlines() == [line]
    assert codec.loads(record_type, line) == record
    assert codec.dumps(codec.loads(record_type, line)) == line


def test_two_surrogates_that_meet_are_the_character_they_stand_for() -> None:
    """The one text that does not come back as it was: not even JSON can tell the two apart."""
    assert codec.loads(Action, codec.dumps(Action("\ud83d\ude00"))).text == "😀"


@given(json_values)
def test_foreign_json_is_refused_with_bad_record_only(value: Any) -> None:
    """A reader that dies of a TypeError in the middle of a run folder."""
    for record_type in RECORDS:
        try:
            record = codec.decode(record_type, value)
        except BadRecord as error:
            assert "$" in str(error)
        else:
            assert codec.loads(record_type, codec.dumps(record)) == record


@given(st.data())
def test_one_wrong_value_is_refused_or_harmless(data: st.DataObject) -> None:
    """A mistyped field deep in a trajectory that slips through as something else."""
    plain = json.loads(codec.dumps(data.draw(RECORDS[Trajectory])))
    node, parent, key = plain, None, None
    while isinstance(node, dict | list) and node and (parent is None or data.draw(st.booleans())):
        keys = sorted(node) if isinstance(node, dict) else range(len(node))
        parent, key = node, data.draw(st.sampled_from(keys))
        node = node[key]
    if parent is None:
        return
    parent[key] = data.draw(json_values)
    try:
        record = codec.decode(Trajectory, plain)
    except BadRecord:
        return
    assert codec.loads(Trajectory, codec.dumps(record)) == record


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda bad: Costs(env_seconds=bad), "$.env_seconds"),
        (lambda bad: Action("a", (1,), (2, 3), (0.0, bad)), "$.logprobs[1]"),
        (lambda bad: Task("t", data={"a": [0, {"b": bad}]}), "$.data.a[1].b"),
        (lambda bad: Verdict(0.5, per_step=(bad,)), "$.per_step[0]"),
    ],
)
def test_what_is_not_finite_is_not_written(make: Any, place: str, bad: float) -> None:
    """NaN in a file that strict JSON readers then reject whole."""
    with pytest.raises(BadRecord, match=re.escape(f"got {bad} at {place}") + "$"):
        codec.dumps(make(bad))


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_not_finite_is_not_read(bad: str) -> None:
    """NaN written by others that then spreads through every mean."""
    with pytest.raises(BadRecord, match="expected a finite number"):
        codec.loads(Costs, f'{{"env_seconds":{bad}}}')


@pytest.mark.parametrize(
    ("record_type", "text", "message"),
    [
        (Task, '{"id":"a","idd":1}', "unknown field 'idd' at $; Task has id, goal"),
        (Task, "{}", "missing field 'id' at $ of Task"),
        (Task, '{"id":1}', "expected str, got int '1' at $.id"),
        (Task, "[]", "expected Task, got list '[]' at $"),
        (Task, '{"id":"a","solution":"b"}', "expected array, got str 'b' at $.solution"),
        (Task, '{"id":"a","solution":["b",2]}', "expected str, got int '2' at $.solution[1]"),
        (Task, '{"id":"a","data":[]}', "expected object, got list '[]' at $.data"),
        (
            Action,
            '{"text":"a","token_ids":[1,true]}',
            "expected int, got bool 'True' at $.token_ids[1]",
        ),
        (
            Action,
            '{"text":"a","token_ids":[1,2.0]}',
            "expected int, got float '2.0' at $.token_ids[1]",
        ),
        (
            Action,
            '{"text":"a","logprobs":[-1.0,1e999]}',
            "expected a finite number, got inf at $.logp",
        ),
        (Costs, '{"tokens":1.0}', "expected int, got float '1.0' at $.tokens"),
        (Costs, '{"tokens":true}', "expected int, got bool 'True' at $.tokens"),
        (Costs, '{"env_seconds":true}', "expected float, got bool 'True' at $.env_seconds"),
        (Costs, '{"env_seconds":null}', "expected float, got NoneType 'None' at $.env_seconds"),
        (Costs, f'{{"env_seconds":1{"0" * 400}}}', "expected a finite number"),
        (Verdict, '{"score":2}', "expected score in [0, 1], got 2.0 at $"),
        (
            Group,
            '{"task_id":"t","rows":[{}],"rewards":[1]}',
            "missing field 'context' at $.rows[0]",
        ),
        (Weighted, '{"context":[],"completion":[],"weights":[],"world":"fake"}', "at $.world"),
        (
            Trajectory,
            MINIMAL[:-1] + ',"failure":{"kind":"x"}}',
            "missing field 'message' at $.fail",
        ),
        (Trajectory, MINIMAL[:-1] + ',"tools":[3]}', "expected object, got int '3' at $.tools[0]"),
        (Task, '{"id":"a"', "expected JSON for Task"),
        (Task, "", "expected JSON for Task"),
        (Task, '{"id":"a"} {}', "expected JSON for Task"),
        (Costs, f'{{"tokens":{"9" * 5000}}}', "expected JSON for Costs"),
        (Task, '{"id":"a","data":{"x":' + "[" * 100_000, "expected JSON for Task"),
    ],
)
def test_bad_json_is_refused_with_its_place(record_type: type, text: str, message: str) -> None:
    """A record that is silently mended, or refused without saying where it is wrong."""
    with pytest.raises(BadRecord, match=re.escape(message)):
        codec.loads(record_type, text)


def test_defaults_fill_what_is_absent() -> None:
    """A file written before a field with a default existed that can no longer be read."""
    assert codec.loads(Trajectory, MINIMAL).costs == Costs()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": (1, 2)}, "expected JSON, got tuple '(1, 2)' at $.data.a"),
        ({"a": {1: 2}}, "expected a string as key, got 1 at $.data.a"),
        ({"a": {"b", "c"}}, "expected JSON, got set"),
        ({"a": Costs()}, "expected JSON, got Costs"),
        ({"a": 10**5000}, "Task does not fit into JSON"),
    ],
)
def test_free_data_that_would_come_back_different_is_refused(data: Any, message: str) -> None:
    """A tuple or an integer key that JSON turns into something else without a word."""
    with pytest.raises(BadRecord, match=re.escape(message)):
        codec.dumps(Task("a", data=data))


def test_depth_without_end_is_refused() -> None:
    """A RecursionError out of the store, from a page that nests a hundred thousand lists."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadRecord, match="Task does not fit into JSON"):
        codec.dumps(Task("a", data={"deep": deep}))


def test_reasonable_depth_survives() -> None:
    """A limit on depth so low that real data does not fit."""
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    assert codec.loads(Task, codec.dumps(Task("a", data={"deep": deep}))).data == {"deep": deep}
