"""Guards the exception tree: what a stranger would catch, and what a message must name."""

from __future__ import annotations

import pytest

from agentgym_si import errors
from agentgym_si.errors import AgentGymError, EnvFailure, UnknownName


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.BadInput, ValueError),
        (errors.UnknownName, LookupError),
        (errors.UnknownName, errors.BadInput),
        (errors.BadRecord, errors.BadInput),
        (errors.MissingDependency, ImportError),
        (errors.MissingCapability, TypeError),
        (errors.EnvFailure, RuntimeError),
        (errors.RestoreMismatch, RuntimeError),
        (errors.RunStopped, RuntimeError),
        (errors.ActionError, ValueError),
    ],
)
def test_every_error_is_ours_and_a_builtin(error: type, builtin: type) -> None:
    """`except ValueError` around a user's call that misses our error."""
    assert issubclass(error, builtin)
    assert issubclass(error, AgentGymError)


def test_every_error_is_in_the_drawn_tree() -> None:
    """An error that was added and not drawn."""
    ours = [value for value in vars(errors).values() if isinstance(value, type)]
    for error in ours:
        if issubclass(error, AgentGymError):
            assert error.__name__ in (errors.__doc__ or "")


def test_an_unknown_name_names_the_nearest() -> None:
    """A typing error answered by a list of a hundred names."""
    error = UnknownName("task", "click-buton", ["click-button", "enter-text"], where="MiniWoB")
    assert str(error) == "unknown task 'click-buton' in MiniWoB; did you mean click-button?"
    assert (error.name, error.nearest) == ("click-buton", ["click-button"])


def test_a_far_name_gets_the_list() -> None:
    """A name like nothing known, answered by nothing."""
    error = UnknownName("policy", "zzz", ["random", "oracle"])
    assert str(error) == "unknown policy 'zzz'; known: oracle, random"


def test_a_failure_keeps_kind_and_message_apart() -> None:
    """Failures that cannot be counted by kind."""
    failure = EnvFailure("deadline", "60 s passed")
    assert (failure.kind, failure.message) == ("deadline", "60 s passed")
    assert str(failure) == "deadline: 60 s passed"
