"""WebArena's rules for answers and addresses, and beside each a strict one.

The official rules accept what merely contains the right thing: an answer of 120 where 12 is right,
any page below the right one. The strict score asks for the thing itself. Pages that are judged by
their content (`program_html`) are not scored here.

    "WebArena: A Realistic Web Environment for Building Autonomous Agents" (Zhou et al., 2024),
    evaluation_harness/evaluators.py
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from agentgym_si.errors import BadInput, MissingCapability, UnknownName

Judge = Callable[[str, str], float]
"""Says how far an answer means what the reference says: (reference, answer) to [0, 1]. Officially a
language model that is told the task's intent as well."""

RULES = ("exact_match", "must_include", "fuzzy_match")
ALTERNATIVES = " |OR| "
UNACHIEVABLE = "N/A"

_WORD = re.compile(r"\w+(?:[.,:/'-]\w+)*|[^\w\s]")


class Scores(NamedTuple):
    """What the two rules give, each in [0, 1]."""

    official: float
    strict: float


def score_answer(
    answer: str, references: Mapping[str, Any], *, reason: str = "", judge: Judge | None = None
) -> Scores:
    """Score the answer to a task: the product over its `reference_answers`.

    `reason` is the task's `string_note`: why it cannot be done, for tasks whose answer is N/A.
    Raises BadInput for references of another form, MissingCapability where a judge is needed.
    """
    if not references:
        raise BadInput("expected at least one reference answer, got none")
    official = strict = 1.0
    for rule, wanted in references.items():
        parts = _score_rule(rule, wanted, answer, reason, judge)
        official, strict = official * parts.official, strict * parts.strict
    return Scores(official, strict)


def score_url(url: str, reference: str) -> Scores:
    """Score the page that the episode ends on; `reference` may list several with ` |OR| `.

    Officially the page's host and path need only contain a reference's, and of the query what the
    references have, each value from any of them; strictly they are one reference's, no more.
    """
    page = _address(url)
    references = [_address(one) for one in reference.split(ALTERNATIVES)]
    named: dict[str, set[str]] = {}
    for _, query in references:
        for key, values in query.items():
            named.setdefault(key, set()).update(values)
    inside = any(place in page.place for place, _ in references)
    asked = all(values & set(page.query.get(key, ())) for key, values in named.items())
    return Scores(float(inside and asked), float(page in references))


def clean(text: str) -> str:
    """Return a text without spaces and one pair of quotes around it, in lower case."""
    text = text.strip()
    for quote in "'\"":
        if text.startswith(quote) and text.endswith(quote):
            text = text[1:-1]
            break
    return text.lower()


class _Address(NamedTuple):
    place: str
    """Host and path."""
    query: dict[str, list[str]]


def _address(url: str) -> _Address:
    parts = urlsplit(url.rstrip("/"))
    return _Address(parts.netloc + parts.path, parse_qs(parts.query))


def _score_rule(rule: str, wanted: Any, answer: str, reason: str, judge: Judge | None) -> Scores:
    if rule not in RULES:
        raise UnknownName("rule of reference_answers", rule, RULES)
    if rule == "exact_match" and isinstance(wanted, str):
        return _both(float(_bare(answer) == clean(wanted)))
    if rule == "fuzzy_match" and wanted == UNACHIEVABLE:
        said_so = _bare(answer) == clean(wanted)
        return _both(1.0 if said_so else _ask(judge, reason, answer))
    if rule == "exact_match" or not isinstance(wanted, Sequence) or isinstance(wanted, str):
        expected = "a text" if rule == "exact_match" else "a list of texts"
        raise BadInput(f"expected {expected} for {rule}, got {wanted!r}")
    official = strict = 1.0
    for one in wanted:
        if rule == "fuzzy_match":
            parts = _both(_ask(judge, one, answer))
        else:
            within = _contains(answer, one, alone=len(wanted) == 1)
            parts = Scores(float(within), float(_says(answer, one)))
        official, strict = official * parts.official, strict * parts.strict
    return Scores(official, strict)


def _ask(judge: Judge | None, reference: str, answer: str) -> float:
    if judge is None:
        raise MissingCapability(
            f"fuzzy_match needs a judge: pass judge=, which says whether {answer[:40]!r} means "
            f"{reference[:40]!r}"
        )
    return judge(reference, answer)


def _both(score: float) -> Scores:
    return Scores(score, score)


def _bare(answer: str) -> str:
    """Return an answer cleaned as often as the official evaluator does."""
    return clean(clean(answer))


def _contains(answer: str, wanted: str, alone: bool) -> bool:
    """Say whether an answer contains a text; one character that stands alone is to be a word."""
    text, part = _bare(answer), clean(wanted)
    if alone and len(part) == 1:
        return part in _WORD.findall(text)
    return part in text


def _says(answer: str, wanted: str) -> bool:
    """Say whether an answer contains a text as whole words and whole numbers."""
    part = re.escape(clean(wanted))
    return re.search(rf"(?<![\w-])(?<!\w[.,]){part}(?![\w-])(?![.,]\w)", _bare(answer)) is not None
