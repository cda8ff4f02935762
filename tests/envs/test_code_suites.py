"""Guards the readers of HumanEval, MBPP and QuixBugs, and what their real problems score."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentgym_si.envs.coding.cheating import PROGRAMS, cheating_programs
from agentgym_si.envs.coding.scoring import Judge
from agentgym_si.envs.coding.suites import FILES, read_suite
from agentgym_si.errors import BadInput, SandboxError
from agentgym_si.sandboxes.opening import open_sandbox, probe

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "code"

HUMANEVAL = {
    "task_id": "Own/0",
    "prompt": "from typing import List\n\ndef twice(x):\n    return x * 2\n\n"
    'def total(xs: List[int]) -> int:\n    """Sum.\n    >>> total([1, 2])\n    3\n    """\n',
    "entry_point": "total",
    "canonical_solution": "    return sum(xs)\n",
    "test": "def check(candidate):\n    assert candidate([]) == 0\n"
    "    assert candidate([twice(4), 1]) == 9\n",
}
MBPP = {
    "task_id": 700,
    "text": "Write a function to join.",
    "code": "import math\r\ndef join(a, b):\r\n    return (a, b)",
    "test_setup_code": "",
    "test_list": ["assert join(1, math.pi) == (1, math.pi)", "assert join('a', []) == ('a', [])"],
}
QUIXBUGS: dict[str, Any] = {
    "name": "gcd",
    "buggy": 'def gcd(a, b):\n    return b\n\n"""\n>>> gcd(4, 6)\n2\n"""\n',
    "correct": "def gcd(a, b):\n    return a if b == 0 else gcd(b, a % b)\n",
    "json_testcases": [[[4, 6], 2], [[9, 6], 3], [[7, 5], 1]],
    "pytest": "import pytest\nfrom load_testdata import load_json_testcases\n"
    "if pytest.use_correct:\n    from correct_python_programs.gcd import gcd\n"
    "testdata = load_json_testcases(gcd.__name__)\n"
    "@pytest.mark.parametrize('input_data,expected', testdata)\n"
    "def test_gcd(input_data, expected):\n    if input_data == [7, 5]:\n"
    "        pytest.skip('slow')\n    assert gcd(*input_data) == expected\n",
}
ROWS: dict[str, Any] = {"humaneval": HUMANEVAL, "mbpp": MBPP, "quixbugs": QUIXBUGS}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    tier = "bubblewrap" if probe("bubblewrap").works else "auto"
    try:
        with open_sandbox(tier) as box:
            box.start()
    except SandboxError as error:
        pytest.skip(str(error))
    judge = Judge(lambda: open_sandbox(tier), 3.0)
    yield judge
    judge.close()


@pytest.fixture(params=ROWS)
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def own(suite: str, tmp_path: Path) -> Path:
    path = tmp_path / next(name for name in FILES[suite] if name.endswith(".jsonl"))
    path.write_text(json.dumps(ROWS[suite]))
    return path


@pytest.fixture
def real(suite: str) -> Path:
    if not (DATA / suite).is_dir():
        pytest.skip(f"no data in {DATA / suite}")
    return DATA / suite


WRONG: dict[str, tuple[str, ...]] = {
    "humaneval": ("    return 0\n", "def total(xs): return 9", "return sum(xs)\n"),
    "mbpp": ("def join(a, b): return [a, b]", "def joined(a, b): return (a, b)"),
    "quixbugs": (QUIXBUGS["buggy"], "def gcd(a, b): return 2"),
}
RIGHT = {
    "humaneval": ("    return sum(xs)\n", "def total(xs: List[int]): return sum(xs)"),
    "mbpp": ("join = lambda a, b: (a, b)",),
    "quixbugs": ("from math import gcd",),
}


def test_rows_of_each_form(suite: str, judge: Judge, own: Path) -> None:
    """A completion, a whole function, a helper of the prompt's or pytest read wrongly."""
    (problem,) = read_suite(suite, own)
    assert len(problem.examples) == 1
    assert problem.relayed == (problem.entry_point,)
    for answer in (problem.reference, *RIGHT[suite]):
        assert judge.test(problem, answer).passed
        assert judge.try_examples(problem, answer).passed
    for answer in WRONG[suite]:
        assert not judge.test(problem, answer).passed


def test_a_cheat_is_a_wrong_answer(suite: str, judge: Judge, own: Path) -> None:
    """A program that earns the reward without solving the problem."""
    assert len(PROGRAMS) >= 15
    problem = next(iter(read_suite(suite, DATA / suite if DATA.is_dir() else own)))
    passed = [
        program
        for program in cheating_programs(problem.entry_point)
        if judge.test(problem, program).passed
    ]
    assert passed == []


def test_real_references_pass(suite: str, real: Path, judge: Judge) -> None:
    """A right program that our scorer fails."""
    problems = read_suite(suite, real)
    step = {"humaneval": 16, "mbpp": 60, "quixbugs": 3}[suite]
    odd = [problem for problem in problems if problem.id in ("MBPP/533", "MBPP/601", "MBPP/927")]
    failed = [
        problem.id
        for problem in (*problems[::step], *odd)
        if not judge.test(problem, problem.reference).passed
    ]
    assert failed == []


def test_the_official_hole_is_closed(judge: Judge) -> None:
    """An object that equals everything, which the official scorer of HumanEval passes."""
    if not DATA.is_dir():
        pytest.skip(f"no data in {DATA}")
    problems = {problem.id: problem for problem in read_suite("humaneval", DATA / "humaneval")}
    with gzip.open(DATA / "humaneval" / "official_verdicts.jsonl.gz", "rt") as lines:
        rows = [row for row in map(json.loads, lines) if row["kind"] == "SP_always_equal"]
    assert len(rows) == 6 and all(row["passed"] for row in rows)
    assert not any(judge.test(problems[row["id"]], row["completion"]).passed for row in rows)


def test_what_cannot_be_read_is_said(suite: str, own: Path, tmp_path: Path) -> None:
    """A path or a row that is wrong, reported as something else."""
    with pytest.raises(BadInput, match="data="):
        read_suite(suite, None)
    for text, reason in (
        ('{"task_id": 1}', "row 1: expected a row"),
        ("{", "JSON lines"),
        ("", "got none"),
        (json.dumps(ROWS[suite]).replace("return", "retrun("), "row 1"),
    ):
        own.write_text(text)
        with pytest.raises(BadInput, match=reason):
            read_suite(suite, tmp_path)
    own.unlink()
    with pytest.raises(BadInput, match=FILES[suite][0].replace(".", r"\.")):
        read_suite(suite, tmp_path)
