"""Guards the MiniWoB parity suite: what it does to both pages, and that a difference shows."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentgym_si.envs.miniwob import MiniWoBEnv
from agentgym_si.envs.web.actions import parse

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def suites() -> Iterator[dict[str, Any]]:
    sys.path.insert(0, str(BENCHMARKS))
    names = ("miniwob", "miniwob_events", "miniwob_official", "report")
    yield {name: importlib.import_module(f"parity_suites.{name}") for name in names}
    sys.path.remove(str(BENCHMARKS))


def test_what_is_corrupted_differs_and_can_be_parsed(suites: dict[str, Any]) -> None:
    corrupted = suites["miniwob_events"].corrupted
    assert corrupted(["fill('2', 'Agustina')", "click('3')"]) == [
        "fill('2', 'anitsugAx')",
        "click('3')",
    ]
    assert corrupted(["click('2')", "click('3')"]) == ["click('3')"]
    assert corrupted(["click('2')"]) == ["click('1')"]
    assert corrupted(["click('1')"]) == ["click('2')"]
    chosen = corrupted(["select_option('2', ['Blue', 'Red'])", "click('3')"])
    assert parse(chosen[0]).arguments == (2, ("Blue", "deRx"))


def test_keys_have_the_official_names(suites: dict[str, Any]) -> None:
    official_key = suites["miniwob_official"].official_key
    assert official_key("Control+Shift+ArrowRight") == "C-S-<ArrowRight>"
    assert official_key("Control+a") == "C-a"
    assert official_key("Enter") == "<Enter>"


@pytest.mark.browser
def test_a_stored_row_that_is_not_ours_is_a_difference(
    suites: dict[str, Any], tmp_path: Path
) -> None:
    """A script that finds agreement whatever the rows say."""
    right: dict[str, Any] = {
        "task": "click-test-2",
        "seed": 0,
        "kind": "reference",
        "utterance": "Click button ONE.",
        "n_dom": 5,
        "official": [True, 1],
    }
    wrong: list[dict[str, Any]] = [
        {"utterance": "Click button TWO."},
        {"n_dom": 6},
        {"official": [True, -1]},
    ]
    rows = [right, *({**right, **change} for change in wrong)]
    file = tmp_path / suites["miniwob"].STORED
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report = suites["report"].Report("miniwob")
    with MiniWoBEnv() as env:
        suites["miniwob"]._compare_stored(report, env, file)
    assert report.parts == {"stored, reference": 4}
    assert [difference.official for difference in report.differences] == [
        ["Click button TWO.", 5, [True, 1]],
        ["Click button ONE.", 6, [True, 1]],
        ["Click button ONE.", 5, [True, -1]],
    ]


@pytest.mark.browser
def test_events_point_where_our_actions_point(suites: dict[str, Any]) -> None:
    events_of = suites["miniwob_events"].events_of
    with MiniWoBEnv() as env:
        env.reset(seed=0, options={"task": "login-user"})
        *_, pointed = events_of(env, parse("click('3')"))
        assert pointed.kind == "click" and pointed.spot.across == pointed.spot.down == 0.5
        assert env.evaluate(f"document.body.querySelectorAll('*')[{pointed.spot.part}].id") == (
            "subbtn"
        )
        assert events_of(env, parse("click('99')")) == []
        prepared, typed = events_of(env, parse("fill('1', 'joe')"))
        assert (prepared.kind, typed.kind, typed.text) == ("script", "type", "joe")
        drag = events_of(env, parse("mouse_drag_and_drop(10, 60, 30, 100)"))
        assert [event.kind for event in drag] == ["down", *["move"] * 4, "up"]
        assert (drag[2].spot.x, drag[2].spot.y) == (20, 80)
