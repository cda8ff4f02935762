"""Calls written in a programming language, as BFCL's text answers have them: parsed, never run.

Python: `[f(a=1), g("x")]`. Java and JavaScript: the same frame, each value kept as the source text
that `bfcl_literals` reads.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agentgym_si.envs.calls import Call, check_values
from agentgym_si.errors import ActionError

LANGUAGES = ("python", "java", "javascript")

MOST_CHARACTERS = 100_000
"""Of an answer in call syntax."""

_FRAME = "`\n\t '"
"""Fences and quotes that models put around an answer; the benchmark's reader strips them too."""
_OPENS_CALL = re.compile(r"\[\s*[^\W\d][\w.]*\(")
_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_OPENING, _CLOSING = "([{", ")]}"


class WrittenCall(NamedTuple):
    """A call as it stands in the text, positional arguments still without their names."""

    name: str
    positional: tuple[Any, ...]
    named: dict[str, Any]

    def bind(self, parameters: Mapping[str, Sequence[str]]) -> Call:
        """Return the call with every argument named; raises ActionError where that cannot be.

        Args:
            parameters: each function's parameter names, in order.
        """
        names = parameters.get(self.name, ())
        if len(self.positional) > len(names):
            raise ActionError(
                f"{self.name}: expected at most {len(names)} arguments without a name, got "
                f"{len(self.positional)}"
            )
        placed = dict(zip(names, self.positional, strict=False))
        if double := sorted(placed.keys() & self.named.keys()):
            raise ActionError(f"{self.name}: expected argument {double[0]!r} once, got it twice")
        return Call(self.name, placed | self.named)


def read_calls(text: str, language: str = "python") -> tuple[WrittenCall, ...]:
    """Return the calls in a text in a language's call syntax, () where it is prose.

    Raises ActionError for what opens like a list of calls, or is one, but cannot be read.
    """
    framed = text.strip(_FRAME)
    if not framed:
        return ()
    try:
        if len(framed) > MOST_CHARACTERS:
            raise _NoCalls(f"{len(framed)} characters")
        if language == "python":
            return _read_python(framed)
        return tuple(_read_source(framed))
    except _NoCalls as reason:
        if _OPENS_CALL.match(framed):
            raise ActionError(f"expected calls [f(a=1), g(b='x')], got {reason}") from None
        return ()


class _NoCalls(Exception):
    """The text is not in call syntax; the message says why."""


# Python -----------------------------------------------------------------------------------


def _read_python(text: str) -> tuple[WrittenCall, ...]:
    try:
        with warnings.catch_warnings():  # "\d" in a model's string is none of our warnings
            warnings.simplefilter("ignore")
            body = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise _NoCalls(f"{error.msg} at character {error.offset}") from None
    except ValueError as error:  # a null byte
        raise _NoCalls(str(error)) from None
    except (RecursionError, MemoryError):
        raise _NoCalls("an expression too deep to be read") from None
    entries = body.elts if isinstance(body, ast.List | ast.Tuple) else [body]
    if not any(isinstance(entry, ast.Call) for entry in entries):
        return ()
    try:
        return tuple(_python_call(entry) for entry in entries)
    except RecursionError:
        raise _NoCalls("an expression too deep to be read") from None


def _python_call(node: ast.expr) -> WrittenCall:
    name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    if not isinstance(node, ast.Call) or not _NAME.fullmatch(name):
        raise ActionError(f"expected only calls by name in the list, got {_source(node)}")
    if any(keyword.arg is None for keyword in node.keywords):
        raise ActionError(f"{name}: expected arguments one by one, got **")
    positional = tuple(_python_value(argument, name) for argument in node.args)
    named = {str(word.arg): _python_value(word.value, name) for word in node.keywords}
    check_values((positional, named))
    return WrittenCall(name, positional, named)


def _python_value(node: ast.expr, where: str) -> Any:
    """Return a literal's value; a variable or an inner call stands for itself, as text."""
    match node:
        case ast.Constant(value=str() | int() | float() | None):
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=entries):
            return [_python_value(entry, where) for entry in entries]
        case ast.Tuple(elts=entries):
            return tuple(_python_value(entry, where) for entry in entries)
        case ast.Dict(keys=keys, values=values):
            names = [None if key is None else _python_value(key, where) for key in keys]
            if not all(isinstance(name, str) for name in names):
                raise ActionError(f"{where}: expected texts as keys, got {_source(node)}")
            return {
                str(name): _python_value(value, where)
                for name, value in zip(names, values, strict=True)
            }
        case ast.Name() | ast.Attribute() | ast.Subscript() | ast.Call():
            return ast.unparse(node)
    raise ActionError(f"{where}: expected literal values, got {_source(node)}")


def _source(node: ast.expr) -> str:
    return repr(ast.unparse(node)[:60])


# Java and JavaScript ----------------------------------------------------------------------


def _read_source(text: str) -> Iterator[WrittenCall]:
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    for part in split_source(text):
        name, bracket, rest = part.strip().rstrip(";").partition("(")
        name = name.strip().removeprefix("new ")
        if not bracket or not rest.endswith(")") or not _NAME.fullmatch(name):
            raise _NoCalls(f"{part.strip()[:60]!r}")
        positional, named = [], {}
        for argument in split_source(rest[:-1]):
            key, equals, value = argument.partition("=")
            if equals and _NAME.fullmatch(key.strip()) and not value.startswith("="):
                named[key.strip()] = _unquote(value.strip())
            else:
                positional.append(_unquote(argument.strip()))
        check_values((positional, named))
        yield WrittenCall(name, tuple(positional), named)


def split_source(text: str) -> list[str]:
    """Return the parts between a source text's outermost commas; raises for unmatched brackets.

    Commas inside brackets and quotes do not count. An empty text has no parts.
    """
    parts, depth, quote, start, skip = [], 0, "", 0, False
    for place, character in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip = character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'`":
            quote = character
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if depth < 0:
                break
        elif character == "," and not depth:
            parts.append(text[start:place])
            start = place + 1
    if depth or quote:
        raise _NoCalls(f"an unmatched {quote or 'bracket'}")
    return [*parts, text[start:]] if text.strip() else []


def _unquote(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
