"""BFCL's dialogues of several turns: its stateful classes carry the calls out, states are compared.

The classes come with the benchmark's own package (`pip install --no-deps bfcl-eval`; the calculator
needs `mpmath`), which is imported only where a world is made. They simulate: no file, message or
order leaves the process.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentgym_si.envs.bfcl_scoring import RIGHT, Judgement
from agentgym_si.envs.bfcl_syntax import WrittenCall, read_calls
from agentgym_si.errors import ActionError, BadInput, MissingDependency

SOURCE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
CLASSES: Mapping[str, str] = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}
"""Each class's module and, in a folder of data, the file of its documentation."""

LARGEST_EXPONENT = 10_000
"""Of powers and of digits asked for; beyond it the benchmark's calculator would not come back."""

_STATELESS = ("MathAPI",)


class World:
    """The instances that one dialogue acts on.

    Args:
        classes: their names, of CLASSES.
        config: each class's initial state.
        long_context: fill the state up, as the long-context category does.

    Raises:
        BadInput: for a class that is not known.
        MissingDependency: the package of the classes is not installed.
    """

    def __init__(
        self, classes: Sequence[str], config: Mapping[str, Any], long_context: bool = False
    ) -> None:
        """Make the instances and load their state."""
        self.instances: dict[str, Any] = {}
        self._methods: dict[str, Callable[..., Any]] = {}
        for name in classes:
            instance = self.instances[name] = load_class(name)()
            if name not in _STATELESS:
                state = copy.deepcopy(config.get(name, {}))
                instance._load_scenario(state, long_context=long_context)
            methods = inspect.getmembers(instance, inspect.ismethod)
            self._methods.update((name, call) for name, call in methods if name[0] != "_")
        self.parameters: dict[str, list[str]] = {
            name: list(inspect.signature(method).parameters)
            for name, method in self._methods.items()
        }
        """Every function's parameter names, in order."""

    def call(self, call: WrittenCall) -> str:
        """Carry a call out; return its result, or the error that it met, as the benchmark does."""
        if call.name not in self._methods:
            return f"Error during execution: name {call.name!r} is not defined"
        named = dict(zip(self.parameters[call.name], call.positional, strict=False)) | call.named
        for name in ("exponent", "precision", "decimal_places"):
            number = named.get(name, 0)
            if isinstance(number, int | float) and abs(number) > LARGEST_EXPONENT:
                return f"Error during execution: expected {name} up to {LARGEST_EXPONENT}"
        try:
            result = self._methods[call.name](*call.positional, **call.named)
            return _as_text(result)
        except Exception as error:  # whatever these classes raise is what the tool answers
            return f"Error during execution: {error}"

    def difference(self, other: World) -> str:
        """Return the first public attribute in which two worlds differ, "" where in none."""
        for name, instance in other.instances.items():
            for attribute, value in vars(instance).items():
                if attribute.startswith("_"):
                    continue
                try:
                    same = getattr(self.instances[name], attribute) == value
                except RecursionError:  # a folder that was moved into itself
                    same = False
                if not same:
                    return f"{name}.{attribute}"
        return ""


class TurnJudge:
    """Judges a dialogue turn by turn, the reference's calls carried out beside the agent's.

    After each turn the states must be equal, and the results of the reference's calls in this turn
    be among all results that the agent has seen. A turn in which the reference calls nothing asks
    for nothing, but what was done in it counts for the next one's state.

    Args:
        classes: see `World`.
        config: see `World`.
        answers: the reference's calls of each turn, in Python's syntax.
        long_context: see `World`.
    """

    def __init__(
        self,
        classes: Sequence[str],
        config: Mapping[str, Any],
        answers: Sequence[Sequence[str]],
        long_context: bool = False,
    ) -> None:
        """Make two worlds; raises like `World`."""
        self.world = World(classes, config, long_context)
        self.turn = 0
        """The turn that runs, from 0."""
        self._reference = World(classes, config, long_context)
        self._answers = answers
        self._results: list[str] = []
        self._calls_in_turn = 0

    def call(self, call: WrittenCall) -> str:
        """Carry out a call of the agent's; return its result."""
        self._calls_in_turn += 1
        result = self.world.call(call)
        self._results.append(result)
        return result

    def end_turn(self) -> Judgement:
        """Judge the running turn and go on to the next."""
        answers, turn, calls = self._answers[self.turn], self.turn, self._calls_in_turn
        self.turn, self._calls_in_turn = turn + 1, 0
        wanted = [self._reference.call(call) for text in answers for call in read_calls(text)]
        if not answers:
            return RIGHT
        if not calls:
            return Judgement(False, f"turn {turn + 1}: expected calls, got none")
        if difference := self.world.difference(self._reference):
            return Judgement(False, f"turn {turn + 1}: {difference} differs from the reference's")
        left = list(self._results)
        for result in wanted:
            if result not in left:
                return Judgement(False, f"turn {turn + 1}: expected the result {result!r:.200}")
            left.remove(result)
        return RIGHT


def judge_turns(
    turns: Sequence[Sequence[Sequence[str]]], judge: TurnJudge, count: int
) -> Judgement:
    """Judge a whole dialogue, given as the calls of each step of each turn.

    Args:
        turns: calls in Python's syntax; a call that cannot be read is one that fails.
        judge: a fresh one.
        count: turns of the task; a dialogue of another length was cut off.
    """
    if len(turns) != count:
        return Judgement(False, f"expected {count} turns, got {len(turns)}")
    for steps in turns:
        for text in (text for step in steps for text in step):
            try:
                for call in read_calls(text):
                    judge.call(call)
            except ActionError as error:
                judge.call(WrittenCall(str(error), (), {}))
        judgement = judge.end_turn()
        if not judgement.valid:
            return judgement
    return RIGHT


def load_class(name: str) -> Any:
    """Import one of the benchmark's classes; raises BadInput and MissingDependency."""
    if name not in CLASSES:
        raise BadInput(f"expected a class of {', '.join(CLASSES)}, got {name!r}")
    try:
        module = importlib.import_module(f"{SOURCE}.{CLASSES[name]}")
    except ImportError as error:
        raise MissingDependency(
            f"{name} of BFCL is not installed ({error}): "
            "pip install --no-deps bfcl-eval && pip install mpmath"
        ) from error
    return getattr(module, name)


def _as_text(result: Any) -> str:
    if isinstance(result, str):
        return result
    if isinstance(result, dict):
        try:
            return json.dumps(result)
        except (TypeError, ValueError):  # it holds an instance, or refers to itself
            return str(result)
    return str(result)
