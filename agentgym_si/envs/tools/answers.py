"""Whether what the user was told holds what was asked for, and is no list of everything."""

from __future__ import annotations

import re
from collections.abc import Collection

MOST_CHARACTERS = 2000
"""All that an agent says to the user in an episode, at most."""

MOST_NUMBERS = 12
"""Different numbers in it that the user did not name, at most: more is guessing."""

_AS_WRITTEN = re.compile(r"(?<=\d),(?=\d{3}(?!\d))|(?<=\d)[.:]00(?!\d|[.:]\d)")
"""What people write into a whole number: 1,234 and 57.00 and 9:00."""

_NUMBER = re.compile(r"\d+(?:[.:/-]\d+)*")


def tells(said: str, values: Collection[str], unsaid: Collection[str], heard: str) -> bool:
    """Say whether a text tells every value, none of `unsaid`, and lists not too much beside.

    Values count as whole tokens, whatever their case: "1" is told neither by "10" nor by "1.5" nor
    by "2026-1". What the user said (`heard`) may always be repeated. Where no value is asked for,
    any text will do.
    """
    if not values:
        return True
    if len(said) > MOST_CHARACTERS:
        return False
    said, heard = (_AS_WRITTEN.sub("", text) for text in (said, heard))
    if len(set(_NUMBER.findall(said)) - set(_NUMBER.findall(heard))) > MOST_NUMBERS:
        return False
    if any(mentions(said, value) and not mentions(heard, value) for value in unsaid):
        return False
    return all(mentions(said, value) for value in values)


def mentions(text: str, value: str) -> bool:
    """Say whether a value stands in a text as a whole token."""
    if value.lower() not in text.lower():  # most are not: no pattern is compiled for them
        return False
    start, end = r"(?<!\w)(?<!\w[-.:/])", r"(?!\w)(?![-.:/]\w)"
    return re.search(start + re.escape(value) + end, text, re.IGNORECASE) is not None
