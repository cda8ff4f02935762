"""The answer's side of scoring: runs in the answer's box, loads the answer and does what is asked.

Untrusted code shares this process and may change all of it; nothing that comes out is believed to
be more than a value. Standard library only: the source is shipped into the box.
"""

from __future__ import annotations

import ast
import builtins
import operator
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from agentgym_si.envs.coding import values

MAX_OBJECTS = 100_000
MAX_TEXT = 2000
"""Characters of an error's text that are told."""

OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda called, *arguments, **named: called(*arguments, **named),
    "getattr": getattr,
    "setattr": setattr,
    "getitem": operator.getitem,
    "len": len,
    "bool": bool,
    "str": str,
    "repr": repr,
    "iter": iter,
    "next": next,
}
"""What the tests can do with the answer's functions and objects."""


class Answer:
    """An answer's program, loaded, and those of its objects that the tests have seen."""

    def __init__(self) -> None:
        """Begin with an empty module."""
        self._module = types.ModuleType("answer")
        sys.modules["answer"] = self._module
        self._objects: list[object] = []
        self._numbers: dict[int, int] = {}

    def load(self, given: str, stub: str, text: str, entry_point: str) -> bytes:
        """Run the answer; return a written (error's type, its text), both empty where none.

        Args:
            given: code that comes before every answer.
            stub: the beginning of a function that `text` goes on with, where `text` does not
                define `entry_point` itself.
            text: the answer.
            entry_point: what it has to define.
        """
        try:
            exec(compile(given, "<given>", "exec"), self._module.__dict__)
            exec(_compiled(stub, text, entry_point), self._module.__dict__)
        except BaseException as error:
            return self._write(_described(error))
        return self._write(("", ""))

    def serve(self, request: bytes) -> bytes:
        """Do what is asked; return ("value", it, changed) or ("error", type, text), written.

        `changed` is None, or the arguments after the call and whether containers inside them are
        no longer where they were.
        """
        try:
            operation, arguments, named = values.load(request, self._resolve)
            given = [*arguments, *named.values()]
            before, inside = self._write(given), list(_inside(given))
            value = OPERATIONS[operation](*arguments, **named)
            if before == self._write(given):
                return self._write(("value", value, None))
            moved = [id(each) for each in inside] != [id(each) for each in _inside(given)]
            return self._write(("value", value, (given, moved)))
        except BaseException as error:
            return self._write(("error", *_described(error)))

    def _write(self, value: object) -> bytes:
        return values.dump(value, self._refer)

    def _refer(self, value: object) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            if len(self._objects) >= MAX_OBJECTS:
                raise values.BadValue(f"expected at most {MAX_OBJECTS} objects")
            number = self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        return number

    def _resolve(self, key: int | str) -> object:
        if isinstance(key, int):
            return self._objects[key]
        if key.startswith("builtins."):
            return getattr(builtins, key.removeprefix("builtins."))
        try:
            return self._module.__dict__[key]
        except KeyError:
            raise NameError(f"name {key!r} is not defined") from None


def _inside(value: object, depth: int = values.MAX_DEPTH) -> Iterator[object]:
    """Yield every container inside a list, tuple or dictionary, in order."""
    if depth and isinstance(value, list | tuple | dict):
        for each in value.values() if isinstance(value, dict) else value:
            if isinstance(each, list | tuple | dict | set | bytearray):
                yield each
                yield from _inside(each, depth - 1)


def _compiled(stub: str, text: str, entry_point: str) -> types.CodeType:
    """Compile a whole program, or the stub's function going on with `text`."""
    if stub and not _defines(text, entry_point):
        try:
            return compile(stub + text, "<answer>", "exec")
        except SyntaxError:
            if text.lstrip("\n")[:1] in (" ", "\t"):  # else it is the program alone that is wrong
                raise
    return compile(text, "<answer>", "exec")


def _defines(text: str, name: str) -> bool:
    """Say whether a program defines `name` at its top; False where it cannot be read."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for node in body:
        if isinstance(node, ast.Assign):
            if any(isinstance(target, ast.Name) and target.id == name for target in node.targets):
                return True
        elif getattr(node, "name", None) == name:
            return True
    return False


def _described(error: BaseException) -> tuple[str, str]:
    try:
        text = str(error)
    except BaseException:  # an error whose own text raises
        text = ""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        text = f"{error.msg} (line {error.lineno})"
    return type(error).__name__, text[:MAX_TEXT]
