"""Guards the verdict: what passes between answer and tests, and whose fault a failure is."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from agentgym_si.envs.coding.problems import Problem, relayed_names
from agentgym_si.envs.coding.scoring import Judge
from agentgym_si.errors import EnvFailure, SandboxError
from agentgym_si.sandboxes.base import ExecResult, Sandbox
from agentgym_si.sandboxes.box import Box
from agentgym_si.sandboxes.opening import open_sandbox, probe
from agentgym_si.sandboxes.processes import BubblewrapLauncher


@functools.cache
def tier() -> str:
    return "bubblewrap" if probe("bubblewrap").works else "auto"


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    try:
        with open_sandbox(tier()) as box:
            box.start()
    except SandboxError as error:
        pytest.skip(str(error))
    judge = Judge(lambda: open_sandbox(tier()), 2.0)
    yield judge
    judge.close()


def problem(tests: str, **more: Any) -> Problem:
    settings: dict[str, Any] = {"id": "p", "prompt": "", "entry_point": "f", "reference": ""}
    settings |= more
    names = relayed_names(tests, settings.get("prelude", ""), settings["reference"])
    return Problem(tests=tests, relayed=names, **settings)


RELAYED = (
    # In-place changes are part of what a program does.
    (
        "def f(xs, d, s):\n    xs[0].append(3); d['k'].clear(); s.add(4)",
        "inner = [2]\nxs, d, s = [inner, [1]], {'k': {1: 2}}, {3}\nf(xs, d, s=s)\n"
        "assert inner == [2, 3] and d == {'k': {}} and s == {3, 4} and xs == [[2, 3], [1]]",
    ),
    (
        "def f(xs): xs.sort(); xs.append(0)",
        "a, b = [2], [1]\nxs = [a, b]\nf(xs)\nassert xs == [[1], [2], 0] and (a, b) == ([2], [1])",
    ),
    ("def f(n):\n    yield from range(n)", "assert list(f(3)) == [0, 1, 2]\nassert f(0) != []"),
    (
        "class Node:\n    def __init__(self, v): self.v = v\ndef f(node):\n    return node.next",
        "a, b = Node(1), Node(2)\na.next = b\nassert f(a) == b and f(a) != a\n"
        "assert f(a).v == 2 and {a: 1}[a] == 1 and bool(a)",
    ),
    (
        "class Bag:\n    items = [1, 2]\n    def __len__(self): return 2\n"
        "    def __getitem__(self, i): return self.items[i]\n"
        "    def __str__(self): return 'bag'\ndef f(): return Bag()",
        "assert len(f()) == 2 and f()[1] == 2 and str(f()) == 'bag' and list(f()) == [1, 2]",
    ),
    (
        "def f(x):\n    raise ValueError('no')",
        "try:\n    f(1)\nexcept ValueError as error:\n    assert str(error) == 'no'\n"
        "else:\n    assert False",
    ),
    (
        "def f(g, xs, kind): return [g(x) for x in xs if isinstance(x, kind)]\ng = abs",
        "assert f(g, [-1, 'a'], int) == [1] and f(abs, [-2], int) == [2]",
    ),
    ("def sum(a, b): return a - b", "assert sum(3, 1) == 2"),
    ("def f(*a, **k): return k", "assert f(1, b=[2]) == {'b': [2]}"),
)


@pytest.mark.parametrize(("answer", "tests"), RELAYED)
def test_tests_see_what_they_would_see_in_one_process(
    judge: Judge, answer: str, tests: str
) -> None:
    """A right program that fails because it runs elsewhere."""
    judged = judge.test(problem(tests, reference=answer), answer)
    assert judged == (True, "")


FORGED = (
    # An exception of the answer's that ends an iteration or the tests in silence.
    ("def f(x): raise StopIteration", "for y in map(f, [1]):\n    assert y == 1\nassert f(1)"),
    ("def f(x): raise SystemExit(0)", "f(1)"),
    ("def f(x): raise GeneratorExit", "try:\n    f(1)\nexcept Exception:\n    raise"),
    # Asking the answer's items until one fits; comparing by the answer's word.
    ("import itertools\ndef f(): return itertools.count()", "assert 5 in f()"),
    (
        "class A:\n    def __lt__(s, o): return True\n    __gt__ = __lt__\ndef f(): return A()",
        "assert f() < 5 or f() > 5",
    ),
    (
        "class A:\n    def __eq__(s, o): return True\ndef f(): return [A(), {1: A()}]",
        "assert f() == [1, {1: 2}] or f()[1] == {1: 2} or f()[0] == 1",
    ),
    # A test that forgives an error does not forgive a dead program.
    ("import os\ndef f(): os._exit(0)", "try:\n    f()\nexcept BaseException:\n    pass"),
    # What the prompt defines is not the answer's to redefine.
    ("def helper(x): return 0\ndef f(x): return 0", "assert f(3) == helper(3)"),
)


@pytest.mark.parametrize(("answer", "tests"), FORGED)
def test_the_answer_has_no_say_in_its_verdict(judge: Judge, answer: str, tests: str) -> None:
    """A wrong program that passes by how it fails, compares or iterates."""
    trusted = "def helper(x):\n    return x + 1\n"
    asked = problem(tests, given=trusted, prelude=trusted, reference="def f(): pass")
    assert not judge.test(asked, answer).passed


def test_the_expected_values_never_enter_the_answers_box(judge: Judge) -> None:
    """A program that finds what it should return in its own process, files or frames."""
    spy = (
        "import gc, glob, sys\ndef f(x):\n    seen = [repr(x) for x in gc.get_objects()]\n"
        "    seen += [repr(m.__dict__) for m in list(sys.modules.values()) if m]\n"
        "    frame = sys._getframe()\n    while frame:\n        seen.append(repr(frame.f_locals))\n"
        "        frame = frame.f_back\n    wanted = ''.join(['98', '765'])\n"
        "    return int(any(wanted in text for text in seen) and wanted)"
    )
    assert not judge.test(problem("assert f(1) == 98765"), spy).passed
    assert judge.test(problem("assert f(98765) == 98765"), spy).passed, "the spy sees nothing"


def test_time_is_the_answers_own(judge: Judge) -> None:
    """A program that may think for ever, a bit in each call."""
    answer = "import time\ndef f(x):\n    time.sleep(0.3)\n    return x"
    assert judge.test(problem("assert f(1) == 1"), answer).passed
    judged = judge.test(problem("for i in range(100):\n    assert f(i) == i"), answer)
    assert judged == (False, "your program took more than 2 seconds")
    assert judge.test(problem("assert f(1) == 1"), "while True: pass") == judged


EXAMPLES = (
    ("def f(x): return x + 1", ""),
    ("    return x + 1", ""),
    ("    if x:\n        return x\n    return {3, 1}", "f(2): expected 3, got 2"),
    ("def f(x): return object()", "f(2): expected 3, got <object object>"),
    ("def f(x): return {'b', 'a'}", "f(2): expected 3, got {'a', 'b'}"),
    ("def f(x): raise ValueError(object())", "f(2): expected 3, got ValueError: <object object>"),
    ("def g(x): pass", "f(2): expected 3, got NameError: name 'f' is not defined"),
    ("def f(x:", "your program raised SyntaxError: '(' was never closed (line 1)"),
    ("raise KeyError('a\\nb')", "your program raised KeyError: 'a\\nb'"),
    ("import os; os._exit(3)", "your program ended its process"),
)


@pytest.mark.parametrize(("answer", "told"), EXAMPLES)
def test_feedback_says_what_went_wrong_and_nothing_of_the_machine(
    judge: Judge, answer: str, told: str
) -> None:
    """An address, a path or a clock in what the agent reads."""
    asked = problem("assert f(2) == 3", examples=(("f(2)", "3"),), stub="def f(x):\n")
    judged = judge.try_examples(asked, answer)
    assert (judged.passed, judged.reason) == (not told, told)


def test_tests_that_cannot_run_are_a_failure_not_a_reward(judge: Judge) -> None:
    """A missing module of the tests', booked as the agent's mistake."""
    with pytest.raises(EnvFailure, match="no_such_module"):
        judge.test(problem("assert f()", prelude="import no_such_module"), "def f(): return 1")


class Fragile(Box):
    """A box that fails where a snippet says so."""

    def exec(self, command: Any, **more: Any) -> ExecResult:
        if "fall apart" in str(command):
            raise SandboxError("it fell apart")
        return super().exec(command, **more)


def test_an_answer_that_breaks_its_boxes_is_wrong() -> None:
    """A wrong answer that drops out of the denominator by breaking what runs it."""
    if not probe("bubblewrap").works:
        pytest.skip(probe("bubblewrap").why)
    judge = Judge(lambda: Fragile(BubblewrapLauncher()), 2.0)
    for tests in ("assert f('fall ' + 'apart') == 1", "assert f('fall apart') == 1"):
        judged = judge.test(problem(tests), "def f(x): return 1")  # in its box, in the tests'
        assert judged == (False, "your program broke its sandbox")
    assert judge.test(problem("assert f(2) == 1"), "def f(x): return 1").passed
    judge.close()


def test_a_box_that_cannot_be_opened_is_a_failure() -> None:
    """A dead engine, booked as the agent's mistake."""

    def open_none() -> Sandbox:
        raise SandboxError("no engine")

    with pytest.raises(EnvFailure, match="no engine"):
        Judge(open_none, 2.0).test(problem("assert f(1)"), "def f(x): return 1")


def test_names_of_the_answer() -> None:
    """A helper of the tests that is asked of the answer, or a builtin that is not."""
    tests = (
        "import math\ndef check(g):\n    for i in [1]:\n        assert g(i, k=math.pi) == len(h)\n"
    )
    assert relayed_names(tests + "check(f)", "h = 1", "") == ("f",)
    assert relayed_names("assert sum(1, 2) == len([])", "", "def sum(a, b): pass") == ("sum",)
