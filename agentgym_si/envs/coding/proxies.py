"""The tests' side of scoring: runs the trusted tests in a box that the answer never enters.

Every name that the tests take from the answer is a `Remote` here. What it is asked is relayed to
the answer's box; what comes back is read as a typed value. `==` between a `Remote` and anything is
identity and asks nobody, so no method of the answer has a say in a comparison. Standard library
only: the source is shipped into the box.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterator
from typing import Any

from agentgym_si.envs.coding import values

MAX_SHOWN = 200
"""Characters of a value that feedback shows."""
MOST_FAILURES = 3
"""Public examples that feedback names."""

ADDRESS = re.compile(r"(?: at)? 0x[0-9a-fA-F]+")

_OWN = ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "StopIteration", "StopAsyncIteration")
"""Exceptions that would steer the tests themselves."""


class AnswerDead(BaseException):
    """The answer's box gives no more answers; no test may catch this by mistake."""


class Remote:
    """Something of the answer's: a global by its name, any other object by its number."""

    __slots__ = ("_key", "_relay")
    _key: int | str
    _relay: Relay

    def __init__(self, relay: Relay, key: int | str) -> None:
        object.__setattr__(self, "_relay", relay)
        object.__setattr__(self, "_key", key)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it with values; see `Relay.ask` for what comes back."""
        return self._relay.ask("call", self, *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        if name == "__name__" and isinstance(self._key, str):
            return self._key
        if name.startswith("__"):  # what a library looks for, not what a test asks
            raise AttributeError(name)
        return self._relay.ask("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._relay.ask("setattr", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._relay.ask("getitem", self, key)

    def __iter__(self) -> Iterator[Any]:
        return _Items(self._relay, self._relay.ask("iter", self))

    def __len__(self) -> int:
        return int(self._checked("len", int))

    def __bool__(self) -> bool:
        return bool(self._checked("bool", bool))

    def __str__(self) -> str:
        return str(self._checked("str", str))

    def __repr__(self) -> str:
        return str(self._checked("repr", str))

    __contains__ = None
    """`x in answer` would ask the answer's own items until one fits."""

    def __eq__(self, other: object) -> bool:
        return type(other) is Remote and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def _checked(self, operation: str, kind: type) -> Any:
        value = self._relay.ask(operation, self)
        if type(value) is not kind:
            raise TypeError(
                f"expected {kind.__name__} of {operation}(), got {type(value).__name__}"
            )
        return value


class _Items:
    """An iteration over an object of the answer's."""

    def __init__(self, relay: Relay, iterator: Any) -> None:
        self._relay = relay
        self._iterator = iterator

    def __iter__(self) -> _Items:
        return self

    def __next__(self) -> Any:
        return self._relay.ask("next", self._iterator)


class Relay:
    """Asks the answer's box, by way of the host."""

    def __init__(self, call: Callable[[bytes], bytes]) -> None:
        self._call = call
        self._named: dict[int | str, Remote] = {}

    def remote(self, key: int | str) -> Remote:
        """Return what stands for one of the answer's globals or objects, always the same."""
        if key not in self._named:
            self._named[key] = Remote(self, key)
        return self._named[key]

    def ask(self, operation: str, *arguments: Any, **named: Any) -> Any:
        """Return what the operation gives there, raise what it raises there."""
        sent = values.dump((operation, list(arguments), named), _refer)
        reply = self._call(b"?" + sent)
        if not reply:
            raise AnswerDead
        read = values.load(reply, self.remote)
        if type(read) is not tuple or len(read) != 3 or read[0] not in ("value", "error"):
            raise values.BadValue(f"expected a reply, got {reply[:60]!r}")
        if read[0] == "error":
            raise _as_raised(operation, read[1], read[2])
        if read[2] is not None:
            _apply([*arguments, *named.values()], read[2])
        return read[1]


def _refer(value: object) -> int | str:
    if type(value) is Remote:
        return value._key
    name = getattr(value, "__name__", "")
    if name and getattr(builtins, name, None) is value:  # such as the `int` of `only(xs, int)`
        return f"builtins.{name}"
    raise values.BadValue(f"a {type(value).__name__} of the tests cannot be sent to the answer")


def _as_raised(operation: str, name: Any, text: Any) -> BaseException:
    if type(name) is not str or type(text) is not str:
        raise values.BadValue("expected an error's type and text")
    if name == "StopIteration" and operation == "next":
        return StopIteration()
    kind = getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or name in _OWN:
        return RuntimeError(f"{name}: {text}")
    try:
        return kind(text)
    except TypeError:  # UnicodeDecodeError and its like want more than a text
        return RuntimeError(f"{name}: {text}")


def _apply(mine: list[Any], changed: Any) -> None:
    """Bring the containers among the arguments of a call to what they are in the answer's box."""
    if type(changed) is not tuple or len(changed) != 2 or type(changed[0]) is not list:
        raise values.BadValue(f"expected changed arguments, got {type(changed).__name__}")
    for old, new in zip(mine, changed[0], strict=True):
        _bring_up_to_date(old, new, deep=changed[1] is False)


def _bring_up_to_date(mine: Any, now: Any, *, deep: bool) -> None:
    """Change a container in place to `now`; where `deep`, those inside it stay the same objects."""
    if type(mine) is not type(now):
        return
    if type(mine) is list or type(mine) is tuple:
        kept = [_kept(old, new, deep) for old, new in zip(mine, now)]  # noqa: B905
        if type(mine) is list:
            mine[:] = kept + now[len(kept) :]
    elif type(mine) is dict:
        merged = {key: _kept(mine.get(key), value, deep) for key, value in now.items()}
        mine.clear()
        mine.update(merged)
    elif type(mine) is set:
        mine.clear()
        mine.update(now)
    elif type(mine) is bytearray:
        mine[:] = now


def _kept(old: Any, new: Any, deep: bool) -> Any:
    """Return `old`, brought up to date, where it is such a container as `new` is; else `new`."""
    if not deep or type(old) is not type(new) or type(old) not in (list, dict, set, bytearray):
        if deep and type(old) is tuple:
            _bring_up_to_date(old, new, deep=True)
        return new
    _bring_up_to_date(old, new, deep=True)
    return old


# Jobs ---------------------------------------------------------------------------------------


def run_tests(call: Callable[[bytes], bytes], prelude: str, tests: str, names: list[str]) -> None:
    """Run the tests and tell the host (passed, why not)."""
    namespace = _namespace(Relay(call), prelude, names)
    try:
        exec(compile(tests, "<tests>", "exec"), namespace)
    except BaseException as error:
        _tell(call, (False, f"{type(error).__name__}"))
    else:
        _tell(call, (True, ""))


def run_examples(
    call: Callable[[bytes], bytes], prelude: str, examples: list[Any], names: list[str]
) -> None:
    """Try (expression, wanted) pairs and tell the host (all as wanted, what was not)."""
    namespace = _namespace(Relay(call), prelude, names)
    failures: list[str] = []
    for expression, wanted in examples:
        try:
            got = eval(compile(expression, "<example>", "eval"), namespace)
            if _as_wanted(got, wanted, namespace):
                continue
            shown = f"got {_shown(got)}"
        except AnswerDead:
            break
        except Exception as error:
            shown = f"got {type(error).__name__}: {ADDRESS.sub('', str(error))[:MAX_SHOWN]}"
        failures.append(f"{expression}: expected {wanted[:MAX_SHOWN]}, {shown}")
    more = len(failures) - MOST_FAILURES
    told = failures[:MOST_FAILURES] + ([f"and {more} more"] if more > 0 else [])
    _tell(call, (not failures, "\n".join(told)))


def _namespace(relay: Relay, prelude: str, names: list[str]) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "tests"}
    exec(compile(prelude, "<prelude>", "exec"), namespace)
    namespace.update({name: relay.remote(name) for name in names})
    return namespace


def _tell(call: Callable[[bytes], bytes], verdict: tuple[bool, str]) -> None:
    call(b"!" + values.dump(verdict, values.no_references))


def _as_wanted(got: Any, wanted: str, namespace: dict[str, Any]) -> bool:
    if type(got) is not Remote and repr(got) == wanted:
        return True
    try:
        return bool(got == eval(compile(wanted, "<wanted>", "eval"), namespace))
    except (SyntaxError, NameError):  # a doctest's own way of writing what is printed
        return False


def _shown(value: Any) -> str:
    """Return a value's text, the same in every run: sets sorted, no addresses, trimmed."""
    if type(value) in (set, frozenset) and value:
        inside = ", ".join(sorted(map(repr, value)))
        text = f"{{{inside}}}" if type(value) is set else f"frozenset({{{inside}}})"
    else:
        text = ADDRESS.sub("", repr(value))
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(text)} characters)"
