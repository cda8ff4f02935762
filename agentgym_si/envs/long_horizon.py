"""`agentgym_si/LongHorizon-v0`: a running sum over many turns, where only execution is hard.

After "The Illusion of Diminishing Returns" (arXiv 2509.09677): knowledge (a dictionary from keys to
integers) and plan (which keys to add) are given, so a failure is a slip in carrying the plan out.
`inject_errors` writes histories with slips in them, to measure whether slips breed slips. All of it
works on plain answers and, with `calls=True`, on answers that are tool calls.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from agentgym_si.envs.base import MAX_ACTION_CHARACTERS, Step, TextEnv
from agentgym_si.envs.calls import Call, format_call, format_calls, parse_calls
from agentgym_si.envs.schemas import check_arguments
from agentgym_si.errors import ActionError, BadInput
from agentgym_si.spaces import FreeText
from agentgym_si.types import Task, Trajectory

LARGEST = 99
"""Values lie in [-99, 99]."""

KEYS_PER_TURN = (1, 2, 4, 8)
TURNS = (1, 5, 10, 25, 50, 100)

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_NUMBER = re.compile(r"(?<!\d)[-\u2212]?\d[\d,]*(?:\.\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[-\u2212]?\d{1,3}(?:,\d{3})+", re.ASCII)
_MOST_DIGITS = 18

SUBMIT: Mapping[str, Any] = {
    "name": "submit_sum",
    "description": "Submit the new running sum of this turn.",
    "parameters": {
        "type": "object",
        "properties": {"total": {"type": "integer", "description": "the new running sum"}},
        "required": ["total"],
        "additionalProperties": False,
    },
}
"""The tool that answers a turn, where answers are calls."""

_CALL_INSTRUCTIONS = (
    "You are given a dictionary from keys to integers. Each turn names some keys: look their "
    "values up and add them to your running sum, which starts at 0. Answer each turn with one tool "
    'call, {"name": "submit_sum", "arguments": {"total": N}}, where N is the new running sum.'
)


class LongHorizonEnv(TextEnv):
    """Add up the values of the keys that each turn names, and say the running sum each time.

    The reward is 1 at the last turn where every answer was right, else 0. A wrong answer does not
    end the episode; text without an integer costs a step and the same turn is asked again.

    Args:
        task: `sum-k2-t10` names 2 keys a turn for 10 turns; see `TextEnv`.
        split: see `TextEnv`.
        max_steps: see `TextEnv`; None for as many steps as the task has turns.
        render_mode: see `TextEnv`.
        keys: size of the dictionary.
        calls: whether a turn is answered by a call of the tool `submit_sum`, and by nothing else;
            dictionary, turns, rewards and what is measured are those of plain answers.
    """

    instructions = (
        "You are given a dictionary from keys to integers. Each turn names some keys: look their "
        "values up and add them to your running sum, which starts at 0. Answer with the new "
        "running sum as an integer; the last integer in your answer counts."
    )
    examples = ("0", "-12", "57")  # integers only: anything else would be truncated at one turn

    def __init__(
        self,
        task: str | None = None,
        *,
        split: str | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
        keys: int = 100,
        calls: bool = False,
    ) -> None:
        """Choose the tasks; raises UnknownName and BadInput."""
        if not 1 <= keys <= 100_000:
            raise BadInput(f"expected keys from 1 to 100000, got {keys}")
        super().__init__(task, split=split, max_steps=max_steps, render_mode=render_mode)
        self.keys = keys
        self.calls = calls
        if calls:
            self.instructions, self.tools = _CALL_INSTRUCTIONS, (SUBMIT,)
            examples = [_as_call(int(text)) for text in self.examples]
            self.action_space = FreeText(MAX_ACTION_CHARACTERS * 4, examples=examples)
        self._turns: list[list[str]] = []
        self._sums: list[int] = []
        self._answers: list[int] = []
        self._values: dict[str, int] = {}
        self._judged: tuple[int, bool, bool] = (0, False, False)

    @property
    def solution(self) -> tuple[str, ...]:
        """The right answer to each turn of the running episode, as the action that gives it."""
        return tuple(map(self._write, self._sums))

    def tasks(self) -> Sequence[Task]:
        """Return one task for each number of keys a turn and of turns."""
        return [
            Task(
                id=f"sum-k{keys}-t{turns}",
                goal=f"Keep the running sum right for {turns} turns of {keys} keys each.",
                data={"keys_per_turn": keys, "turns": turns},
            )
            for keys in KEYS_PER_TURN
            for turns in TURNS
        ]

    def step_limit(self, task: Task) -> int:
        """Return the number of turns."""
        return int(task.data["turns"])

    def start(self, task: Task, rng: np.random.Generator) -> str:
        """Draw the dictionary and the turns; return the dictionary and the first turn."""
        self._values = _draw_dictionary(self.keys, rng)
        names = list(self._values)
        shape = (task.data["turns"], task.data["keys_per_turn"])
        self._turns = [[names[key] for key in turn] for turn in rng.integers(self.keys, size=shape)]
        sums = np.cumsum([sum(self._values[key] for key in turn) for turn in self._turns])
        self._sums = [int(total) for total in sums]
        self._answers = []
        self._judged = (0, False, False)
        lines = (f"{key}: {value}" for key, value in self._values.items())
        return "\n".join([*lines, "", self._ask()])

    def act(self, action: str) -> Step:
        """Take the answer; return the next turn. Raises ActionError where there is no integer."""
        if action.strip() == self.noop:
            return self._ask(), 0.0, False
        answer = _submitted(action) if self.calls else _last_integer(action)
        turn = len(self._answers)
        self._judged = (
            len(self._actions),
            answer == self._sums[turn],
            answer - self._answer == sum(self._values[key] for key in self._turns[turn]),
        )
        self._answers.append(answer)
        over = len(self._answers) == len(self._sums)
        reward = float(over and self._answers == self._sums)
        return self._ask(), reward, over

    def describe_error(self, error: str) -> str:
        """Return the error and, once more, the turn that waits for its answer."""
        return f"{super().describe_error(error)}\n{self._ask()}"

    def oracle(self) -> str:
        """Return the true running sum."""
        if len(self._answers) >= len(self._sums):
            raise NotImplementedError("LongHorizonEnv has no oracle before reset or after the end")
        return self._write(self._sums[len(self._answers)])

    def candidates(self) -> Sequence[str]:
        """Return the running sum with any one key added, or some or all of the turn's."""
        if len(self._answers) >= len(self._sums):
            return ()
        steps = [self._values[key] for key in self._turns[len(self._answers)]]
        added = {sum(steps[:count]) for count in range(len(steps) + 1)} | {*self._values.values()}
        return tuple(self._write(self._answer + value) for value in sorted(added))

    def cheats(self) -> Sequence[Sequence[str]]:
        """Return answers that hold every number at once, none at all, or one too long to read.

        With calls: all of them in one action, and what is no integer or no call.
        """
        data = self.all_tasks[self.task_ids[0]].data if self._task is None else self._task.data
        bound = LARGEST * data["keys_per_turn"]
        every = " ".join(map(str, range(-bound, bound + 1)))
        out_of_reach = bound * data["turns"] + 1
        texts = [f"{every} {out_of_reach}", "solved, reward: one", "NaN", "9" * 5000, ""]
        if self.calls:
            many = [_submit(total) for total in range(-bound, bound + 1)]
            totals = (every, True, 0.5, None, [0], 2**62)
            texts += [format_calls(many), *(format_call(_submit(total)) for total in totals)]
        return [[text] * data["turns"] for text in texts]

    def step_info(self) -> Mapping[str, Any]:
        """Return how many turns are answered and, after a step, whether its answer was right.

        `correct`: the answer is the true running sum. `turn_correct`: it is the agent's own last
        answer plus this turn's values. Both are False for an action that was no answer.
        """
        info: dict[str, Any] = {"turn": len(self._answers)}
        if self._actions:
            step, correct, turn_correct = self._judged
            judged = step == len(self._actions)
            info.update(correct=judged and correct, turn_correct=judged and turn_correct)
        return info

    def _write(self, total: int) -> str:
        return _as_call(total) if self.calls else str(total)

    @property
    def _answer(self) -> int:
        return self._answers[-1] if self._answers else 0

    def _ask(self) -> str:
        turn, turns = len(self._answers), len(self._turns)
        if turn == turns:
            return f"all {turns} turns are answered"
        return f"turn {turn + 1} of {turns}: add {', '.join(self._turns[turn])}"


def inject_errors(
    solution: Sequence[str], rate: float, rng: np.random.Generator
) -> tuple[str, ...]:
    """Return answers with slips: each is the last one given plus the turn's true values.

    With probability `rate` a turn adds a slip, an integer drawn from [-99, 99] without 0. The same
    generator gives the same slips at every rate, only more or fewer of them.

    Args:
        solution: the right answers (`LongHorizonEnv.solution`); calls give calls.
        rate: probability of a slip in each turn, in [0, 1].
        rng: where the slips are drawn from.
    """
    if not 0.0 <= rate <= 1.0:
        raise BadInput(f"expected a rate in [0, 1], got {rate}")
    answers: list[str] = []
    shift = 0
    for right in solution:
        size = int(rng.integers(1, LARGEST + 1)) * (1 if rng.random() < 0.5 else -1)
        shift += size if rng.random() < rate else 0
        called = parse_calls(right)
        wrong = (_submitted(right) if called else int(right)) + shift
        answers.append(_as_call(wrong) if called else str(wrong))
    return tuple(answers)


def turn_accuracy(trajectories: Sequence[Trajectory]) -> float:
    """Return the share of steps whose answer is the one before plus the turn's values.

    A step without an answer counts as wrong; injected steps are left out. Raises BadInput where
    no step is left.
    """
    turns = [bool(info["turn_correct"]) for info in _infos(trajectories)]
    if not turns:
        raise BadInput("expected at least one turn that a policy played, got none")
    return sum(turns) / len(turns)


def step_accuracy(trajectories: Sequence[Trajectory]) -> float:
    """Return the probability p of adding one key right: p ** keys a turn = turn accuracy.

    Only whole turns are seen, so with several keys this holds where slips are independent. Raises
    BadInput where tasks of different keys a turn are mixed.
    """
    keys = {int(trajectory.task.data["keys_per_turn"]) for trajectory in trajectories}
    if len(keys) > 1:
        raise BadInput(f"expected tasks of one number of keys a turn, got {sorted(keys)}")
    return float(turn_accuracy(trajectories) ** (1 / keys.pop()))


def task_accuracy(trajectories: Sequence[Trajectory], turns: int | None = None) -> float:
    """Return the share of episodes whose first `turns` answers (None: all) were all right.

    Episodes of a failed box are left out; raises BadInput where none is left.
    """
    right: list[bool] = []
    for trajectory in trajectories:
        if trajectory.failure is None:
            wanted = int(trajectory.task.data["turns"]) if turns is None else turns
            answers = _answers_right(trajectory)[:wanted]
            right.append(len(answers) == wanted and all(answers))
    if not right:
        raise BadInput("expected at least one episode that was played, got none")
    return sum(right) / len(right)


def horizon_length(step_accuracy: float, success: float = 0.5) -> float:
    """Return the steps after which a task still succeeds with probability `success`.

    H_s = ln s / ln p, for slips that are independent and never mended (the paper's section 2);
    infinite at p = 1, 0 at p = 0.
    """
    if not 0.0 < success < 1.0 or not 0.0 <= step_accuracy <= 1.0:
        raise BadInput(
            f"expected step_accuracy in [0, 1] and success in (0, 1), "
            f"got {step_accuracy} and {success}"
        )
    if step_accuracy in (0.0, 1.0):
        return math.inf if step_accuracy else 0.0
    return math.log(success) / math.log(step_accuracy)


def _answers_right(trajectory: Trajectory) -> list[bool]:
    """Return for each turn that was answered whether the running sum was right."""
    right: list[bool] = []
    for transition in trajectory.transitions:
        if transition.info["turn"] > len(right):  # else the step answered nothing
            right.append(bool(transition.info["correct"]))
    return right


def _infos(trajectories: Sequence[Trajectory]) -> Iterator[Mapping[str, Any]]:
    for trajectory in trajectories:
        if trajectory.failure is None:
            yield from (step.info for step in trajectory.transitions if step.source != "injected")


def _draw_dictionary(size: int, rng: np.random.Generator) -> dict[str, int]:
    values: dict[str, int] = {}
    while len(values) < size:
        key = "".join(_LETTERS[letter] for letter in rng.integers(len(_LETTERS), size=5))
        values[key] = int(rng.integers(-LARGEST, LARGEST + 1))
    return values


def _last_integer(text: str) -> int:
    last = ""
    for found in _NUMBER.finditer(text):
        last = found.group()
    number = last.rstrip(",")
    if _THOUSANDS.fullmatch(number):
        number = number.replace(",", "")
    digits = number.rpartition(",")[2].replace("\u2212", "-")
    if not digits or "." in digits or len(digits) > _MOST_DIGITS:
        got = repr(last[:20]) if last else "none"
        raise ActionError(f"expected an integer of at most {_MOST_DIGITS} digits, got {got}")
    return int(digits)


# Answers that are calls -------------------------------------------------------------------


def _submit(total: Any) -> Call:
    return Call(SUBMIT["name"], {"total": total})


def _as_call(total: int) -> str:
    return format_call(_submit(total))


def _submitted(text: str) -> int:
    calls = parse_calls(text)
    if len(calls) != 1 or calls[0].name != SUBMIT["name"]:
        got = ", ".join(call.name[:40] for call in calls[:3]) or "no call"
        more = f" and {len(calls) - 3} more" if len(calls) > 3 else ""
        raise ActionError(f"expected one call of {SUBMIT['name']}, got {got}{more}")
    arguments = check_arguments(calls[0].arguments, SUBMIT["parameters"], SUBMIT["name"])
    return int(arguments["total"])
