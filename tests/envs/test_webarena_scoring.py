"""WebArena's scores: the official rule as it is, the strict one without its holes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from agentgym_si.envs.web.webarena_scoring import Scores, score_answer, score_url
from agentgym_si.errors import BadInput, MissingCapability, UnknownName

VERDICTS = Path(__file__).parents[2].parent / "shared/data/web/webarena/official_verdicts.jsonl.gz"
TODOS = "http://h:8023/dashboard/todos"


@pytest.mark.parametrize(
    ("answer", "references", "scores"),
    [
        ("Yoga ball", {"exact_match": "Yoga ball"}, (1, 1)),
        ("  'YOGA BALL' ", {"exact_match": "Yoga ball"}, (1, 1)),
        ("A Yoga ball", {"exact_match": "Yoga ball"}, (0, 0)),
        ("It is 12.", {"must_include": ["12"]}, (1, 1)),
        ("It is 120.", {"must_include": ["12"]}, (1, 0)),
        ("It is 12.5", {"must_include": ["12"]}, (1, 0)),
        ("It is 3.12", {"must_include": ["12"]}, (1, 0)),
        ("It is -12", {"must_include": ["12"]}, (1, 0)),
        ("$12, or so", {"must_include": ["12"]}, (1, 1)),
        ("10 reviews", {"must_include": ["0"]}, (0, 0)),  # a single character is to be a word
        ("0 reviews", {"must_include": ["0"]}, (1, 1)),
        ("10 of 5", {"must_include": ["0", "5"]}, (1, 0)),  # but not where there are two
        ("b and a", {"must_include": ["a", "b"]}, (1, 1)),
        ("a alone", {"must_include": ["a", "b"]}, (0, 0)),
        ("N/A", {"fuzzy_match": "N/A"}, (1, 1)),
    ],
)
def test_answers(answer: str, references: dict[str, Any], scores: tuple[int, int]) -> None:
    assert score_answer(answer, references) == scores


def test_what_is_fuzzy_is_left_to_the_judge() -> None:
    def judge(reference: str, answer: str) -> float:
        return {"half": 0.5, "all of it": 1.0, "no such shop": 0.25}[reference]

    both = {"fuzzy_match": ["half", "all of it"], "must_include": ["word"]}
    assert score_answer("a word", both, judge=judge) == Scores(0.5, 0.5)
    assert score_answer("wordy", both, judge=judge) == Scores(0.5, 0.0)
    reason = "no such shop"
    unachievable = {"fuzzy_match": "N/A"}
    assert score_answer("cannot", unachievable, reason=reason, judge=judge) == (0.25, 0.25)
    with pytest.raises(MissingCapability, match="fuzzy_match needs a judge"):
        score_answer("cannot", unachievable)


def test_references_of_another_form_are_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean exact_match"):
        score_answer("x", {"exact_matches": "x"})
    with pytest.raises(BadInput, match="expected a list of texts for must_include, got 'x'"):
        score_answer("x", {"must_include": "x"})
    with pytest.raises(BadInput, match="at least one reference"):
        score_answer("x", {})


@pytest.mark.parametrize(
    ("url", "reference", "scores"),
    [
        (TODOS, TODOS, (1, 1)),
        (f"{TODOS}/", TODOS, (1, 1)),
        (f"{TODOS}/extra", TODOS, (1, 0)),
        (f"{TODOS}?zz=1", TODOS, (1, 0)),
        ("http://evil:8023/dashboard/todos", TODOS, (0, 0)),
        ("http://h:8023/", TODOS, (0, 0)),
        (f"{TODOS}?a=1&b=2", f"{TODOS}?b=2&a=1", (1, 1)),
        (f"{TODOS}?a=1", f"{TODOS}?b=2&a=1", (0, 0)),
        ("http://h/b", "http://h/a |OR| http://h/b", (1, 1)),
        # officially one reference's path goes with another's query
        ("http://h/a?q=2", "http://h/a?q=1 |OR| http://h/b?q=2", (1, 0)),
    ],
)
def test_urls(url: str, reference: str, scores: tuple[int, int]) -> None:
    assert score_url(url, reference) == scores


@pytest.mark.skipif(not VERDICTS.is_file(), reason=f"no official verdicts in {VERDICTS}")
def test_every_official_verdict_is_repeated_and_the_strict_rule_is_never_milder() -> None:
    with gzip.open(VERDICTS, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    assert len(rows) == 1600
    for row in rows:
        if row["evaluator"] == "url_match":
            scores = score_url(row["url"], row["reference_url"])
        else:
            scores = score_answer(row["answer"], row["reference_answers"])
        assert scores.official == row["score"], row
        assert scores.strict <= scores.official
        if row["kind"] in ("reference", "upper_quoted", "padded", "trailing_slash"):
            assert scores.strict == 1.0, row
        if row["kind"] in ("digit_superset", "deeper_path", "extra_query"):
            assert scores.strict == 0.0, row
