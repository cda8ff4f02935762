"""The public code suites, read from files that the user names: HumanEval, MBPP and QuixBugs.

"Evaluating Large Language Models Trained on Code" (Chen et al., 2021)
"Program Synthesis with Large Language Models" (Austin et al., 2021)
"QuixBugs: A Multi-Lingual Program Repair Benchmark Set" (Lin et al., 2017)
"""

from __future__ import annotations

import ast
import doctest
import gzip
import json
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentgym_si.envs.coding.problems import (
    BUILTINS,
    Problem,
    imports_of,
    relayed_names,
    without_definition,
)
from agentgym_si.errors import BadInput

Row = Mapping[str, Any]

FILES = {
    "humaneval": ("HumanEval.jsonl.gz", "HumanEval.jsonl"),
    "mbpp": ("mbpp.jsonl", "mbpp.jsonl.gz", "sanitized-mbpp.json"),
    "quixbugs": ("quixbugs.jsonl", "quixbugs.jsonl.gz"),
}
"""What each suite's file may be called, in the folder or as the file that is named."""

NODE = """
class Node:
    def __init__(self, value=None, successor=None, successors=[], predecessors=[],
                 incoming_nodes=[], outgoing_nodes=[]):
        self.value = value
        self.successor = successor
        self.successors = successors
        self.predecessors = predecessors
        self.incoming_nodes = incoming_nodes
        self.outgoing_nodes = outgoing_nodes
"""
"""QuixBugs' node of a graph, which its programs are handed."""

PYTEST = """
import types

class Skipped(BaseException):
    pass

def skip(reason):
    raise Skipped(reason)

def parametrize(names, cases):
    def keep(test):
        test.cases = [dict(zip(names.split(","), case)) for case in cases]
        return test
    return keep

def run_all(tests):
    for name, test in list(tests.items()):
        if name.startswith("test") and isinstance(test, types.FunctionType):
            for case in getattr(test, "cases", [{}]):
                try:
                    test(**case)
                except Skipped:
                    continue

pytest = types.SimpleNamespace(skip=skip, mark=types.SimpleNamespace(parametrize=parametrize))
"""
"""As much of pytest as QuixBugs' tests use."""


def read_suite(suite: str, data: str | Path | None) -> list[Problem]:
    """Return a suite's problems.

    Args:
        suite: a key of `FILES`.
        data: the folder that holds its file, or the file.

    Raises BadInput where the file is absent or not of the suite's form.
    """
    path = _find(suite, data)
    problems = []
    for number, row in enumerate(_rows(path), 1):
        try:
            with warnings.catch_warnings():  # of old programs' backslashes
                warnings.simplefilter("ignore")
                problems.append(READERS[suite](row))
        except (KeyError, TypeError, ValueError, SyntaxError, StopIteration) as error:
            raise BadInput(
                f"{path.name}, row {number}: expected a row of {suite}, got "
                f"{type(error).__name__}: {error}"
            ) from error
    if not problems:
        raise BadInput(f"expected rows of {suite} in {path.name}, got none")
    return problems


def _find(suite: str, data: str | Path | None) -> Path:
    names = FILES[suite]
    if data is None:
        raise BadInput(f"expected data= (the folder that holds {' or '.join(names)}), got None")
    given = Path(data)
    if given.is_file():
        return given
    for name in names:
        if (given / name).is_file():
            return given / name
    raise BadInput(f"expected {' or '.join(names)} in {str(given)!r}, found none of them")


def _rows(path: Path) -> list[Row]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
        if text.lstrip().startswith("["):
            return list(json.loads(text))
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise BadInput(f"expected JSON lines in {path.name}, got {error}") from error


def read_humaneval(row: Row) -> Problem:
    """Return a problem of HumanEval or HumanEval+."""
    prompt, entry = row["prompt"], row["entry_point"]
    whole = prompt + row["canonical_solution"]
    helpers = without_definition(whole, entry)
    tests = f"{row['test']}\ncheck({entry})\n"
    return Problem(
        id=row["task_id"],
        prompt=prompt,
        entry_point=entry,
        reference=whole,
        tests=tests,
        relayed=relayed_names(tests, helpers, whole),
        examples=_examples(whole, entry),
        stub=prompt,
        given=helpers,
        prelude=helpers,
    )


def read_mbpp(row: Row) -> Problem:
    """Return a problem of MBPP, its sanitised form or MBPP+; the first test is public."""
    tests = list(row["test_list"])
    number = int(str(row["task_id"]).rpartition("/")[2])
    code = row["code"].replace("\r\n", "\n")
    imports = "\n".join([*row.get("test_imports", ()), imports_of(code)])
    hidden = row.get("test") or "\n".join([row.get("test_setup_code", ""), *tests])
    hidden = hidden.replace("\r\n", "\n")
    question = row.get("text") or row["prompt"]
    return Problem(
        id=f"MBPP/{number}",
        prompt=f"{question}\nYour program has to pass:\n{tests[0]}\n",
        entry_point=_called(tests[0], code),
        reference=code,
        tests=hidden,
        relayed=relayed_names(hidden, imports, code),
        examples=(_as_example(tests[0]),) if not row.get("test_setup_code") else (),
        prelude=imports,
        split=_mbpp_split(number),
    )


def read_quixbugs(row: Row) -> Problem:
    """Return a problem of QuixBugs: mend a program that is wrong in one line."""
    name = row["name"]
    tree = ast.parse(row["pytest"])
    tree.body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    # `if pytest.use_correct: from correct_python_programs…`: the program is the answer's here.
    tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    tests = f"{ast.unparse(tree)}\nrun_all(globals())\n"
    cases = json.dumps(row.get("json_testcases") or [])
    prelude = (
        f"{PYTEST}\nimport json\ndef load_json_testcases(name): return json.loads({cases!r})\n"
    )
    return Problem(
        id=name,
        prompt=f"This program is wrong in one line. Mend it:\n{row['buggy'].strip()}\n",
        entry_point=name,
        reference=row["correct"],
        tests=tests,
        relayed=relayed_names(tests, prelude, row["correct"]),
        examples=_examples(row["buggy"], name),
        given=NODE,
        prelude=prelude,
    )


READERS: dict[str, Callable[[Row], Problem]] = {
    "humaneval": read_humaneval,
    "mbpp": read_mbpp,
    "quixbugs": read_quixbugs,
}


def _examples(source: str, entry_point: str) -> tuple[tuple[str, str], ...]:
    """Return the (expression, wanted value) pairs that a program's own texts give as examples."""
    nodes = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr))
    pairs: list[tuple[str, str]] = []
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            pairs += _doctests(node.value) or _equations(node.value, entry_point)
    return tuple(pair for pair in pairs if all(_asks_only(part, entry_point) for part in pair))


def _doctests(text: str) -> list[tuple[str, str]]:
    try:
        found = doctest.DocTestParser().get_examples(text)
    except ValueError:  # an example that is badly indented: some prompts have such
        return []
    return [(example.source.strip(), example.want.strip()) for example in found]


def _equations(text: str, entry_point: str) -> list[tuple[str, str]]:
    """Return examples written as `f(1, 2) == 3`, `f(1, 2) => 3` or `f(1, 2) -> 3`."""
    form = re.compile(rf"\s*({re.escape(entry_point)}\(.*\))\s*(?:==|=>|=|->|\u279e)\s*(\S.*)")
    return [found.groups() for line in text.splitlines() if (found := form.fullmatch(line))]  # type: ignore[misc]


def _asks_only(source: str, entry_point: str) -> bool:
    """Say whether `source` is an expression that needs nothing but Python and the entry point."""
    try:
        tree = ast.parse(source, mode="eval")
    except SyntaxError:
        return False
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names <= BUILTINS | {entry_point}


def _as_example(test: str) -> tuple[str, str]:
    """Return an assertion as (expression, wanted value)."""
    statement = ast.parse(test).body[0]
    if not isinstance(statement, ast.Assert):
        raise ValueError(f"expected an assertion, got {test!r}")
    asked = statement.test
    if isinstance(asked, ast.Compare) and [type(sign) for sign in asked.ops] == [ast.Eq]:
        return ast.unparse(asked.left), ast.unparse(asked.comparators[0])
    return f"bool({ast.unparse(asked)})", "True"


def _called(test: str, code: str) -> str:
    """Return the first of a program's functions that an assertion calls."""
    functions = {getattr(node, "name", "") for node in ast.parse(code).body}
    names = [node.id for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)]
    return next(name for name in names if name in functions)


def _mbpp_split(number: int) -> str:
    """Return the split of the paper's section 2.1."""
    if number <= 10:
        return "prompt"
    return "test" if number <= 510 else "validation" if number <= 600 else "train"
