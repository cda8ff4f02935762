"""`check_sandbox`: what every sandbox has to do and to withstand, run against a real one.

What it does not cover: faults of the kernel, timing channels, and a box's limit of processors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping

from agentgym_si.errors import BadInput, SandboxError, SandboxFileError, UnknownName
from agentgym_si.sandboxes.base import Limits, Sandbox
from agentgym_si.testing.abuses import ABUSES

MakeSandbox = Callable[[Limits], Sandbox]
Check = Callable[[Sandbox], None]

LIMITS = Limits(seconds=10.0, memory_mib=256, processes=48, output_bytes=1 << 16, disk_mib=16)
"""What the checks are made for."""


def check_sandbox(make: MakeSandbox, *, skip: Collection[str] = ()) -> list[str]:
    """Run every check of `CHECKS` against sandboxes of one kind; return the names of those run.

    After each the sandbox has to be reset and to work, as after any episode.

    Args:
        make: makes a sandbox with the given limits.
        skip: names of checks that the kind is known not to pass.

    Raises AssertionError, the check's name first, and UnknownName.
    """
    for name in skip:
        if name not in CHECKS:
            raise UnknownName("check", name, CHECKS)
    ran: list[str] = []
    with make(LIMITS) as sandbox:
        for name in CHECKS:
            if name not in skip:
                run_check(name, sandbox)
                ran.append(name)
    return ran


def run_check(name: str, sandbox: Sandbox) -> None:
    """Run one check in an episode of its own, and then see that the sandbox still works."""
    sandbox.reset()
    try:
        CHECKS[name](sandbox)
        sandbox.reset()
        result = sandbox.exec("print(6 * 7)")
        assert (result.exit_code, result.stdout) == (0, "42\n"), f"afterwards: {result}"
    except AssertionError as error:
        purpose = inspect.getdoc(CHECKS[name])
        raise AssertionError(f"{name} ({purpose}) {error}") from error


def _state_is_kept(sandbox: Sandbox) -> None:
    """A snippet sees the variables, functions and imports of the snippets before it."""
    sandbox.exec("import math\nx = 20\ndef f(y):\n    return x + y")
    result = sandbox.exec("x += 1\nprint(f(math.floor(1.5)))")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "22\n", ""), result


def _failures_are_results(sandbox: Sandbox) -> None:
    """An exception, an exit code and a syntax error are results; their text is on stderr."""
    result = sandbox.exec("print('before')\n1 / 0")
    assert result.exit_code == 1 and result.stdout == "before\n", result
    assert "line 2" in result.stderr and "ZeroDivisionError" in result.stderr, result
    assert sandbox.exec("import sys; sys.exit(7)").exit_code == 7
    assert sandbox.exec("import sys; sys.exit()").exit_code == 0
    assert "SyntaxError" in sandbox.exec("def").stderr
    assert not sandbox.exec("x = 1").state_lost


def _programs_run(sandbox: Sandbox) -> None:
    """A program gets its arguments as they are and its input, and runs in the work folder."""
    result = sandbox.exec(["cat", "-"], stdin=b"two\nlines")
    assert (result.exit_code, result.stdout) == (0, "two\nlines"), result
    result = sandbox.exec(["printf", "%s|", "a b", "$HOME", "*"])
    assert result.stdout == "a b|$HOME|*|", result
    sandbox.exec("open('made', 'w').close()")
    assert sandbox.exec(["ls"]).stdout == "made\n"
    assert sandbox.exec(["bash", "-c", "echo bad >&2; exit 3"]).exit_code == 3
    missing = sandbox.exec(["no-such-program"])
    assert missing.exit_code == 127 and "no-such-program" in missing.stderr, missing
    killed = sandbox.exec(["bash", "-c", "kill -TERM $$"])
    assert killed.exit_code == -15, killed


def _files_go_both_ways(sandbox: Sandbox) -> None:
    """Bytes written are the bytes read, here and there, folders made on the way."""
    data = bytes(range(256)) * 4096
    sandbox.write("deep/er/data.bin", data)
    assert sandbox.read("deep/er/data.bin") == data
    sandbox.write("deep/er/data.bin", b"short")
    result = sandbox.exec("print(open('deep/er/data.bin', 'rb').read())")
    assert result.stdout == "b'short'\n", result
    for path in ("missing", "deep", "deep/none/x"):
        try:
            sandbox.read(path)
        except SandboxFileError:
            continue
        raise AssertionError(f"reading {path!r} raised nothing")


def _reset_forgets(sandbox: Sandbox) -> None:
    """An episode begins without the files, variables and changes of the one before."""
    sandbox.exec("import json, os\nx = 1\njson.dumps = None\nos.environ['LEFT'] = '1'")
    sandbox.exec("open('left', 'w').close(); os.mkdir('d'); os.chmod('d', 0); os.chdir('/')")
    sandbox.reset()
    result = sandbox.exec(
        "import json, os\nprint('x' in dir(), json.dumps(1), os.listdir(), 'LEFT' in os.environ)"
    )
    assert result.stdout == "False 1 [] False\n", result


def _seeds_decide(sandbox: Sandbox) -> None:
    """The same seed is the same chance and the same order of sets."""
    draws = []
    for seed in (1, 1, 2):
        sandbox.reset(seed=seed)
        draws.append(sandbox.exec("import random; print(random.random(), {'a', 'b', 'c'})").stdout)
    assert draws[0] == draws[1] != draws[2], draws


def _snapshots_return(sandbox: Sandbox) -> None:
    """A snapshot brings back memory and files, more than once, until the episode ends."""
    sandbox.exec("x = [1]\nopen('f', 'w').write('first')")
    first = sandbox.snapshot()
    sandbox.exec("x.append(2)\nopen('f', 'w').write('second')\nopen('g', 'w').close()")
    second = sandbox.snapshot()
    for state, expected in ((first, "[1] first ['f']\n"), (second, "[1, 2] second ['f', 'g']\n")):
        for _ in range(2):
            sandbox.reset(state)
            result = sandbox.exec(
                "import os; print(x, open('f').read(), sorted(os.listdir())); x.append(3)"
            )
            assert result.stdout == expected, result
    for source in (
        "for name in 'abc': open(name, 'wb').truncate(12 << 20)",
        "import os; os.chmod('f', 0)",
    ):
        sandbox.reset()
        sandbox.exec(f"open('f', 'w').close()\n{source}")
        try:
            sandbox.snapshot()
        except SandboxFileError:
            continue
        raise AssertionError(f"a snapshot was taken after {source!r}")
    try:
        sandbox.reset(first)
    except SandboxError:
        return
    raise AssertionError("a snapshot of an episode that had ended was gone back to")


def _the_host_answers_calls(sandbox: Sandbox) -> None:
    """`agentgym_host.call` reaches `on_call`, bytes to bytes, and fails where there is none."""
    source = "import agentgym_host\nprint(agentgym_host.call(b'\\x00\\xff' * 2))"
    assert (
        sandbox.exec(source, on_call=lambda data: data[::-1]).stdout
        == repr(b"\xff\x00\xff\x00") + "\n"
    )
    assert "RuntimeError" in sandbox.exec(source).stderr


def _bad_input_is_named(sandbox: Sandbox) -> None:
    """A command of no use, or far too long, is refused before it is sent."""
    calls: Mapping[str, Callable[[], object]] = {
        "100 MB": lambda: sandbox.exec("#" + "x" * 100_000_000),
        "no words": lambda: sandbox.exec([]),
        "NUL": lambda: sandbox.exec(["a\0b"]),
        "surrogate": lambda: sandbox.exec("'\ud800'"),
        "no time": lambda: sandbox.exec("1", seconds=0),
    }
    for name, call in calls.items():
        try:
            call()
        except BadInput as error:
            assert "expected" in str(error), f"{name}: {error}"
            continue
        raise AssertionError(f"{name}: nothing was raised")
    assert sandbox.exec("print(1)").stdout == "1\n"


CHECKS: Mapping[str, Check] = {
    check.__name__.strip("_"): check
    for check in (
        _state_is_kept,
        _failures_are_results,
        _programs_run,
        _files_go_both_ways,
        _reset_forgets,
        _seeds_decide,
        _snapshots_return,
        _the_host_answers_calls,
        _bad_input_is_named,
    )
} | dict(ABUSES)
"""Every check by name, those of `abuses` among them."""
