"""`Problem`: what is asked, and the trusted tests that say whether an answer does it."""

from __future__ import annotations

import ast
import builtins
import threading
from dataclasses import dataclass

BUILTINS = frozenset(dir(builtins))
_PARSING = threading.Lock()


@dataclass(frozen=True)
class Problem:
    """One problem. All of it but the answer is trusted text."""

    id: str
    prompt: str
    """What the agent is told."""
    entry_point: str
    """The function that an answer has to define."""
    reference: str
    """An answer that passes, as the agent would write it."""
    tests: str
    """Source whose run to the end is the verdict; names it does not define are the answer's."""
    relayed: tuple[str, ...]
    """Names that the tests take from the answer (see `relayed_names`)."""
    examples: tuple[tuple[str, str], ...] = ()
    """Public (expression, wanted value) pairs: what an agent may try its program on."""
    stub: str = ""
    """The beginning of the entry point, where an answer may be no more than its body."""
    given: str = ""
    """Source that runs in the answer's box before the answer: helpers that the prompt defines."""
    prelude: str = ""
    """Source that runs in the tests' box before the tests: helpers and imports they rely on."""
    split: str = "test"


def relayed_names(tests: str, prelude: str, reference: str) -> tuple[str, ...]:
    """Return the names that `tests` uses and neither it, `prelude` nor Python defines.

    A builtin's name is among them where the reference defines it anew, as MBPP's `sum` does.
    """
    used, bound = _names(_parse(tests))
    bound |= _names(_parse(prelude))[1]
    return tuple(sorted(used - bound - (BUILTINS - _defined(reference))))


def without_definition(source: str, name: str) -> str:
    """Return a module's source without its top-level definition of `name`."""
    tree = _parse(source)
    tree.body = [node for node in tree.body if getattr(node, "name", None) != name]
    return ast.unparse(tree)


def imports_of(source: str) -> str:
    """Return the import statements at a module's top."""
    tree = _parse(source)
    tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.unparse(tree)


def _parse(source: str) -> ast.Module:
    # In Python 3.11 two threads that parse at once can both fail (CPython issue 106905).
    with _PARSING:
        return ast.parse(source)


def _names(tree: ast.AST) -> tuple[set[str], set[str]]:
    """Return the names that are read and those that are bound, wherever in the tree."""
    used: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return used, bound


def _defined(source: str) -> set[str]:
    body = _parse(source).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
