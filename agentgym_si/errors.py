"""Every error that agentgym-si raises on purpose.

    AgentGymError
    ├── BadInput (ValueError)            what the user wrote cannot be used as it is
    │   ├── UnknownName (LookupError)    no environment, task, policy, method or key of that name
    │   └── BadRecord                    JSON that is not the record it should be
    ├── MissingDependency (ImportError)  an optional package or program is not installed
    ├── MissingCapability (TypeError)    the policy cannot do what the method needs
    ├── EnvFailure (RuntimeError)        the box failed (browser died, deadline), not the agent
    │   └── SandboxError                 the sandbox failed, not the program in it
    ├── SandboxFileError (OSError)       a path in the sandbox cannot be read or written
    ├── RestoreMismatch (RuntimeError)   a replayed episode did not come out the same
    ├── RunStopped (RuntimeError)        a run ended early on purpose: too many failed episodes
    └── ActionError (ValueError)         the agent's mistake; becomes an observation, never escapes

Three failures, three ways: the agent's mistake is an observation (`ActionError` is caught by
`TextEnv`); the box's failure is recorded on the trajectory (`EnvFailure` becomes
`info["failure"]`); everything else is a bug and is raised.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AgentGymError(Exception):
    """Base of all errors that agentgym-si raises on purpose."""


class BadInput(AgentGymError, ValueError):
    """A value the user gave cannot be used; the message says expected, got and where."""


class UnknownName(BadInput, LookupError):
    """A name that is not known; the message names the nearest known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "") -> None:
        """Say that `name` is no known `kind`, and which known names are nearest."""
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names[:20])}"
        place = f" in {where}" if where else ""
        super().__init__(f"unknown {kind} {name!r}{place}; {hint}")
        self.name = name
        self.nearest = close


class BadRecord(BadInput):
    """JSON that does not decode to the record asked for."""


class MissingDependency(AgentGymError, ImportError):
    """An optional package or program is missing; the message has the command that installs it."""


class MissingCapability(AgentGymError, TypeError):
    """The policy cannot do what is asked of it; the message names one that can."""


class EnvFailure(AgentGymError, RuntimeError):
    """The box failed, not the agent: such an episode trains nothing and is in no denominator."""

    def __init__(self, kind: str, message: str) -> None:
        """Record `kind` (one word, for counting) and `message` (for people)."""
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class SandboxError(EnvFailure):
    """The sandbox failed, not the program in it: not started, died, or did not answer in time."""

    def __init__(self, message: str) -> None:
        """Record `message` under the kind "sandbox"."""
        super().__init__("sandbox", message)


class SandboxFileError(AgentGymError, OSError):
    """A path in the sandbox is missing, no plain file, a link, full or out of bounds."""


class RestoreMismatch(AgentGymError, RuntimeError):
    """Replaying a snapshot's actions gave another observation than the snapshot holds."""


class RunStopped(AgentGymError, RuntimeError):
    """A run was ended early on purpose, with what is stored kept; the message says why."""


class ActionError(AgentGymError, ValueError):
    """The agent's action cannot be carried out; its text becomes part of the observation.

    `code` is one word for counting, such as "covered" or "blocked_url"; empty where none fits.
    """

    def __init__(self, message: str, code: str = "") -> None:
        """Say what was expected and what came."""
        super().__init__(message)
        self.code = code
