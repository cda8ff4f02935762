"""The bundled problems: small functions drawn from a seed, so that Code-v0 works with nothing.

A family draws a sentence and the program that does it; inputs are drawn beside them, and the
program, which is trusted, says what each gives. A quarter of all sentences is never drawn for the
train split: those are the test split's.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from agentgym_si.envs.coding.problems import Problem
from agentgym_si.types import Task

PUBLIC = 2
HIDDEN = 10
"""Inputs of the public examples, and of the hidden tests beside them."""
DIFFERENT = 3
"""Tests, at the least, that a program which always gives the same value fails."""
MOST_DRAWS = 1000
HELD_OUT = "-held-out"

WORDS = ("apple", "bread", "cloud", "dance", "Earth", "flower", "green", "House", "ink", "jump")

Draw = Callable[[np.random.Generator], tuple[str, str]]
"""Returns a sentence and the program's value, an expression in its argument, or lines of body."""


class Family(NamedTuple):
    """Problems of one kind."""

    argument: str
    """Name of the function's argument; says what inputs are drawn (see `INPUTS`)."""
    draw: Draw


def bundled_tasks() -> list[Task]:
    """Return two tasks a family: its train split and its test split."""
    train = [Task(name, split="train") for name in FAMILIES]
    return train + [Task(name + HELD_OUT, split="test") for name in FAMILIES]


def draw_problem(task_id: str, rng: np.random.Generator) -> Problem:
    """Draw a problem of a task of `bundled_tasks`."""
    argument, draw = FAMILIES[task_id.removesuffix(HELD_OUT)]
    for _ in range(MOST_DRAWS):
        sentence, value = draw(rng)
        if is_held_out(sentence) != task_id.endswith(HELD_OUT):
            continue
        stub = f"def f({argument}):\n"
        reference = stub + value if "\n" in value else f"def f({argument}): return {value}"
        asked = _draw_cases(reference, argument, rng)
        values = [wanted for _, wanted in asked]
        if max(map(values.count, values)) <= len(values) - DIFFERENT:
            return _problem(task_id, sentence, stub, reference, asked)
    raise RuntimeError(f"{MOST_DRAWS} draws gave no problem of {task_id}")


def is_held_out(sentence: str) -> bool:
    """Say whether a sentence belongs to the test split."""
    return zlib.crc32(sentence.encode()) % 4 == 0


def _problem(
    task_id: str, sentence: str, stub: str, reference: str, asked: list[tuple[str, str]]
) -> Problem:
    shown = "\n".join(f">>> {source}\n{wanted}" for source, wanted in asked[:PUBLIC])
    return Problem(
        id=task_id,
        prompt=f"{sentence}\n{shown}",
        entry_point="f",
        reference=reference,
        tests="\n".join(f"assert {source} == {wanted}" for source, wanted in asked),
        relayed=("f",),
        examples=tuple(asked[:PUBLIC]),
        stub=stub,
    )


def _draw_cases(reference: str, argument: str, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Return (call, its value) pairs as source, the inputs all different."""
    namespace: dict[str, Any] = {}
    exec(compile(reference, "<reference>", "exec"), namespace)
    inputs: list[Any] = []
    while len(inputs) < PUBLIC + HIDDEN:
        given = INPUTS[argument](rng)
        if given not in inputs:
            inputs.append(given)
    return [(f"f({given!r})", repr(namespace["f"](given))) for given in inputs]


# Inputs -------------------------------------------------------------------------------------


def _number(rng: np.random.Generator) -> int:
    return int(rng.integers(-20, 51))


def _count(rng: np.random.Generator) -> int:
    return int(rng.integers(0, 31))


def _numbers(rng: np.random.Generator) -> list[int]:
    return [int(number) for number in rng.integers(-9, 21, size=int(rng.integers(5, 10)))]


def _word(rng: np.random.Generator) -> str:
    letters = "abcdefgh ABCDEFGH"
    return "".join(letters[i] for i in rng.integers(len(letters), size=int(rng.integers(5, 11))))


def _sentence(rng: np.random.Generator) -> str:
    return " ".join(WORDS[i] for i in rng.integers(len(WORDS), size=int(rng.integers(4, 8))))


INPUTS: dict[str, Callable[[np.random.Generator], Any]] = {
    "x": _number,
    "n": _count,
    "xs": _numbers,
    "s": _word,
    "text": _sentence,
}
"""Arguments' names to what is drawn for them."""

# Families -----------------------------------------------------------------------------------


def _one_of(*choices: tuple[str, str], low: int = 2, high: int = 9) -> Draw:
    """Draw one of (sentence, program) pairs, A and B in them replaced by numbers."""

    def draw(rng: np.random.Generator) -> tuple[str, str]:
        sentence, value = choices[int(rng.integers(len(choices)))]
        for letter in "AB":
            number = str(int(rng.integers(low, high + 1)))
            sentence, value = sentence.replace(letter, number), value.replace(letter, number)
        return sentence, value

    return draw


def _pick(low: int, high: int, *choices: tuple[str, str]) -> Draw:
    return _one_of(*choices, low=low, high=high)


FAMILIES: dict[str, Family] = {
    "add": Family("x", _pick(1, 40, ("add A to x", "x + A"), ("take A from x", "x - A"))),
    "multiply": Family("x", _pick(2, 20, ("x times A", "x * A"))),
    "divide": Family(
        "x", _pick(2, 12, ("x divided by A, rounded down", "x // A"), ("x modulo A", "x % A"))
    ),
    "compare": Family(
        "x",
        _pick(
            -9,
            35,
            ("is x greater than A", "x > A"),
            ("is x less than A", "x < A"),
            ("is x at least A", "x >= A"),
            ("is x at most A", "x <= A"),
        ),
    ),
    "list-item": Family(
        "xs",
        _pick(
            1,
            4,
            ("item A of xs, counted from 0", "xs[A]"),
            ("item A of xs, counted from the end", "xs[-A]"),
            ("the first A items of xs", "xs[:A]"),
            ("the last A items of xs", "xs[-A:]"),
            ("xs without its first A items", "xs[A:]"),
            ("xs without its last A items", "xs[:-A]"),
        ),
    ),
    "list-number": Family(
        "xs",
        _one_of(
            ("the sum of xs plus A", "sum(xs) + A"),
            ("the largest of xs plus A", "max(xs) + A"),
            ("the smallest of xs plus A", "min(xs) + A"),
            ("the sum of xs times A", "sum(xs) * A"),
            ("the length of xs times A", "len(xs) * A"),
        ),
    ),
    "text-part": Family(
        "s",
        _pick(
            1,
            4,
            ("letter A of s, counted from 0", "s[A]"),
            ("the first A letters of s", "s[:A]"),
            ("the last A letters of s", "s[-A:]"),
            ("s without its first A letters", "s[A:]"),
            ("s without its first A letters, in upper case", "s[A:].upper()"),
            ("s without its last A letters, in lower case", "s[:-A].lower()"),
        ),
    ),
    "text-repeat": Family(
        "s",
        _one_of(
            ("s repeated A times", "s * A"),
            ("s in upper case repeated A times", "s.upper() * A"),
            ("s backwards repeated A times", "s[::-1] * A"),
            ("s stripped and repeated A times", "s.strip() * A"),
        ),
    ),
    "list-each": Family(
        "xs",
        _one_of(
            ("each of xs plus A", "[x + A for x in xs]"),
            ("each of xs times A", "[x * A for x in xs]"),
            ("each of xs minus A", "[x - A for x in xs]"),
            ("each of xs modulo A", "[x % A for x in xs]"),
        ),
    ),
    "list-keep": Family(
        "xs",
        _one_of(
            ("those of xs above A", "[x for x in xs if x > A]"),
            ("those of xs below A", "[x for x in xs if x < A]"),
            ("those of xs that A divides", "[x for x in xs if x % A == 0]"),
            ("how many of xs are above A", "sum(x > A for x in xs)"),
        ),
    ),
    "two-steps": Family(
        "x",
        _one_of(
            ("add A to x, then times B", "(x + A) * B"),
            ("x times A, then add B", "x * A + B"),
            ("x times A, then modulo B", "x * A % B"),
            ("the square of x plus A, modulo B", "(x * x + A) % B"),
        ),
    ),
    "branch": Family(
        "x",
        _one_of(
            ("x times A where x is even, else x plus B", "x * A if x % 2 == 0 else x + B"),
            ("x minus A where x is above B, else x", "x - A if x > B else x"),
            ("A where x is negative, else x times B", "A if x < 0 else x * B"),
        ),
    ),
    "sum-below": Family(
        "n",
        _one_of(
            ("the sum of the multiples of A below n", "sum(range(0, n, A))"),
            ("the sum of i times A for each i below n", "sum(i * A for i in range(n))"),
            (
                "how many numbers below n do A or B divide",
                "sum(i % A == 0 or i % B == 0 for i in range(n))",
            ),
        ),
    ),
    "digits": Family(
        "n",
        _one_of(
            ("the sum of the digits of n, times A", "sum(map(int, str(n))) * A"),
            ("n with its digits backwards, plus A", "int(str(n)[::-1]) + A"),
            ("the number of digits of n to the power A", "len(str(n ** A))"),
        ),
    ),
    "words": Family(
        "text",
        _pick(
            2,
            6,
            ("the words of text longer than A", "[w for w in text.split() if len(w) > A]"),
            ("the first A letters of each word", "[w[:A] for w in text.split()]"),
            ("how many words of text have A letters", "sum(len(w) == A for w in text.split())"),
            ("text with its first A words last", "' '.join(text.split()[A:] + text.split()[:A])"),
        ),
    ),
    "running-sum": Family(
        "xs",
        _one_of(
            (
                "the running sums of xs, starting at A",
                "    sums = []\n    total = A\n    for x in xs:\n        total += x\n"
                "        sums.append(total)\n    return sums",
            ),
            (
                "the sum of xs up to the first item above A, without it",
                "    total = 0\n    for x in xs:\n        if x > A:\n            break\n"
                "        total += x\n    return total",
            ),
        ),
    ),
    "letter-counts": Family(
        "s",
        _pick(
            1,
            4,
            (
                "a dictionary from each letter of s to how often it is there, times A",
                "{c: s.count(c) * A for c in s}",
            ),
            (
                "a dictionary from each letter of s to its first place in s, plus A",
                "{c: s.index(c) + A for c in s}",
            ),
        ),
    ),
    "by-length": Family(
        "text",
        _pick(
            1,
            6,
            (
                "a dictionary from length plus A to the words of text of that length",
                "    found = {}\n    for w in text.split():\n"
                "        found.setdefault(len(w) + A, []).append(w)\n    return found",
            ),
            (
                "the letters of text that are there more than A times, sorted",
                "sorted(c for c in set(text) if text.count(c) > A)",
            ),
            (
                "a dictionary from each word of text to its length times A",
                "{w: len(w) * A for w in text.split()}",
            ),
        ),
    ),
}
"""From what a model with nothing learned can learn to what takes a loop."""
