"""`Judge`: scores an answer with the answer in one box and the tests in another.

The answer's code and the tests share neither a process nor a box. The tests call the answer through
the host, which passes on typed values (`values`) and nothing else, so a verdict can be forged only
by knowing what the tests expect: patched builtins, evil `__eq__`, exit codes, output, signals,
frames and daemons stay in the answer's box, and expected values never enter it.

What this does not protect against: tests that a wrong program passes, and a fault of the sandbox.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import marshal
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from agentgym_si.envs.coding import values
from agentgym_si.envs.coding.problems import Problem
from agentgym_si.envs.coding.proxies import ADDRESS, MAX_SHOWN
from agentgym_si.errors import EnvFailure, SandboxError
from agentgym_si.sandboxes.base import Limits, Reuse, Sandbox
from agentgym_si.sandboxes.opening import SandboxSource, open_sandbox

PACKAGE = "agentgym_si.envs.coding"

TESTS_SECONDS = 30.0
"""What the tests may take beyond the answer's own time."""
MAX_CALLS = 20_000
"""What the tests may ask of an answer; only an endless iterator asks for more."""
TRIES = 2
"""Boxes that an answer may break before the blame is its own."""


class Judgement(NamedTuple):
    """What came of an answer."""

    passed: bool
    reason: str
    """What to tell of it: empty where it passed; the same in every run, no expected value in it."""


class Judge:
    """Scores answers, each in a pair of boxes that is emptied before it.

    A pair is opened where none is idle and kept for the next answer; threads may share a judge. The
    boxes end with `close`, and with the judge itself. Every method but `close` raises EnvFailure
    where a box failed or the tests cannot run.

    Args:
        open_box: makes a sandbox.
        seconds: wall-clock seconds that an answer may run for in one scoring, all calls together.
    """

    def __init__(self, open_box: Callable[[], Sandbox], seconds: float) -> None:
        self._open = open_box
        self._seconds = seconds
        self._idle: list[_Pair] = []
        weakref.finalize(self, _close_all, self._idle)

    def test(self, problem: Problem, text: str) -> Judgement:
        """Run the hidden tests on an answer."""
        arguments = (problem.prelude, problem.tests, problem.relayed)
        judgement = self._judge(problem, text, f"run_tests(call, *{arguments!r})")
        if judgement.passed or judgement.reason.startswith("your program"):
            return judgement
        return Judgement(False, "a hidden test failed")

    def try_examples(self, problem: Problem, text: str) -> Judgement:
        """Run the public examples on an answer; the reason says which went wrong, and how."""
        examples = [list(example) for example in problem.examples]
        arguments = (problem.prelude, examples, problem.relayed)
        return self._judge(problem, text, f"run_examples(call, *{arguments!r})")

    def close(self) -> None:
        """End the idle boxes; never raises. The next use opens new ones."""
        _close_all(self._idle)

    def _judge(self, problem: Problem, text: str, job: str) -> Judgement:
        with self._borrow() as pair:
            for _ in range(TRIES):
                try:
                    return self._judge_once(pair, problem, text, job)
                except _BoxBroke:
                    continue
            for box in pair:  # twice in a row: the answer's doing, if they work without it
                box.reset()
                if box.exec("print(6 * 7)").stdout != "42\n":
                    raise SandboxError("a box in which only print(6 * 7) ran did not print 42")
            return Judgement(False, "your program broke its sandbox")

    def _judge_once(self, pair: _Pair, problem: Problem, text: str, job: str) -> Judgement:
        _prepare(pair.answering, "answering")
        _prepare(pair.testing, "proxies")
        answer = _Answer(pair.answering, self._seconds)
        loaded = answer.ask("load", problem.given, problem.stub, text, problem.entry_point)
        if loaded is None:
            return Judgement(False, answer.dead)
        kind, told = _read_error(loaded)
        if kind:
            return Judgement(False, f"your program raised {kind}: {told}".rstrip(": "))
        verdict: list[bytes] = []

        def on_call(data: bytes) -> bytes:
            if data[:1] == b"?":
                return answer.ask("serve", data[1:]) or b""
            verdict.append(data[1:])
            return b""

        source = f"from agentgym_host import call\nfrom {PACKAGE}.proxies import *\n{job}"
        seconds = self._seconds + TESTS_SECONDS
        try:
            result = pair.testing.exec(source, seconds=seconds, on_call=on_call)
        except SandboxError as error:
            raise _BoxBroke from error
        if answer.broke:
            raise _BoxBroke
        if answer.dead:
            return Judgement(False, answer.dead)
        if verdict:
            return Judgement(*values.load(verdict[0], values.no_references))
        if answer.calls == 1:  # to load it: the tests ended before they asked anything
            raise EnvFailure("tests", f"{problem.id} cannot be run: {result.stderr[-300:]}")
        return Judgement(False, "your program's values were too much for the tests")

    @contextlib.contextmanager
    def _borrow(self) -> Iterator[_Pair]:
        try:
            pair = self._idle.pop()
        except IndexError:
            pair = _Pair(self._open(), self._open())
        try:
            yield pair
        finally:
            self._idle.append(pair)


def shared_judge(sandbox: SandboxSource, limits: Limits, reuse: Reuse, image: str | None) -> Judge:
    """Return the process's judge for these settings (see `open_sandbox`), which callers keep."""
    key = (sandbox, limits, reuse, image)
    with _sharing:
        judge = _judges.get(key)
        if judge is None:
            open_box = functools.partial(open_sandbox, sandbox, limits, reuse=reuse, image=image)
            judge = _judges[key] = Judge(open_box, limits.seconds)
        return judge


_sharing = threading.Lock()
_judges: weakref.WeakValueDictionary[object, Judge] = weakref.WeakValueDictionary()
"""Judges in use; one that no environment keeps is gone, and its boxes with it."""


class _Pair(NamedTuple):
    answering: Sandbox
    testing: Sandbox


def _close_all(pairs: list[_Pair]) -> None:
    while pairs:
        pair = pairs.pop()
        pair.answering.close()
        pair.testing.close()


class _BoxBroke(Exception):
    """A box failed while the answer ran."""


class _Answer:
    """The answer's box, while it is asked."""

    def __init__(self, box: Sandbox, seconds: float) -> None:
        self._box = box
        self._seconds = seconds
        self._left = seconds
        self.calls = 0
        self.dead = ""
        """Why it is asked no more; empty while it is."""
        self.broke = False

    def ask(self, function: str, *arguments: object) -> bytes | None:
        """Return the bytes that a function of the answer's side gave, or None once it is dead."""
        if self.dead:
            return None
        self.calls += 1
        replies: list[bytes] = []

        def on_call(data: bytes) -> bytes:
            replies.append(data)
            return b""

        source = f"agentgym_call(agentgym_answer.{function}(*{arguments!r}))"
        try:
            result = self._box.exec(source, seconds=self._left, on_call=on_call)
        except SandboxError as error:
            self.dead, self.broke = "your program broke its sandbox", True
            if function == "load":
                raise _BoxBroke from error
            return None
        self._left -= result.seconds
        if result.timed_out or self._left <= 0:
            self.dead = f"your program took more than {self._seconds:g} seconds"
        elif result.state_lost:
            self.dead = "your program ended its process"
        elif not replies or len(replies[0]) > values.MAX_BYTES or self.calls > MAX_CALLS:
            self.dead = "your program gave no value that can be read"
        return None if self.dead else replies[0]


def _read_error(reply: bytes) -> tuple[str, str]:
    """Return the type and text of the error that loading an answer ended with; "" for none."""
    try:
        kind, told = values.load(reply, values.no_references)
    except (TypeError, ValueError):
        return "an error", "unreadable"
    if type(kind) is not str or type(told) is not str:
        return "an error", "unreadable"
    return kind[:MAX_SHOWN], " ".join(ADDRESS.sub("", told).split())[:MAX_SHOWN]


def _prepare(box: Sandbox, module: str) -> None:
    """Empty a box, then load this package's `values` and `module` into its interpreter."""
    box.reset()
    result = box.exec(_shipped(module))
    if result.exit_code != 0:
        raise SandboxError(f"the box could not load {module}: {result.stderr[-300:]}")


@functools.cache
def _shipped(module: str) -> str:
    """Return the snippet that loads them, from bytecode where the box has this Python."""
    sources = []
    for name in ("values", module):
        spec = importlib.util.find_spec(f"{PACKAGE}.{name}")
        assert spec is not None and spec.origin is not None
        source = Path(spec.origin).read_text(encoding="utf-8")
        code = marshal.dumps(compile(source, spec.name, "exec", dont_inherit=True))
        sources.append((spec.name, source, code))
    parts = PACKAGE.split(".")
    packages = [".".join(parts[: end + 1]) for end in range(len(parts))]
    start = (
        f"import agentgym_host\nfrom {PACKAGE}.answering import Answer\n"
        "agentgym_call, agentgym_answer = agentgym_host.call, Answer()\n"
    )
    return (
        "import marshal, sys, types, _frozen_importlib_external as e\n"
        f"same = e.MAGIC_NUMBER == {importlib.util.MAGIC_NUMBER!r}\n"
        f"for n in {packages!r}:\n"
        " m = sys.modules.setdefault(n, types.ModuleType(n)); m.__path__ = []\n"
        f"for n, s, c in {sources!r}:\n"
        " m = types.ModuleType(n); sys.modules[n] = m\n"
        " exec(marshal.loads(c) if same else compile(s, n, 'exec'), m.__dict__)\n"
        + (start if module == "answering" else "")
    )
