"""Runs one command line as a terminal would: folder, variables and functions are carried along.

Each command is a bash of its own, so one that exits, hangs or kills its shell loses no more than
its own changes. What is carried lies in the box's temporary folder, where the agent may read and
spoil it: nothing of it is believed by the host.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentgym_si.errors import ActionError
from agentgym_si.sandboxes.base import Sandbox

MAX_COMMAND_BYTES = 100_000
SHOWN_CHARACTERS = 6000
"""Of a longer output the beginning and the end are shown."""

# In one line, so that bash counts the command's own lines. `set -a` exports what is assigned, and
# `declare -px` writes down what is exported; the folder comes last, and may be gone.
WRAPPER = (
    "exec 2>&1; set -a; "
    'trap "{ builtin declare -px; builtin declare -f; builtin printf \'cd -- %q\\n\' \\"\\$PWD\\"; '
    "} > '${TMPDIR:-/tmp}/.shell_state'\" EXIT; "
    '[ ! -f "${TMPDIR:-/tmp}/.shell_state" ] || . "${TMPDIR:-/tmp}/.shell_state" 2> /dev/null; '
    'eval "$1"'
)


@dataclass(frozen=True)
class Output:
    """What a command printed, and how it ended."""

    text: str
    """stdout and stderr in the order in which they were written."""
    exit_code: int | None = 0
    """Minus the signal's number where one killed it; None where the deadline did."""
    cut: bool = False
    """Whether the box dropped a part of the output."""
    seconds: float = 0.0
    """The deadline, where it was met."""

    def shown(self) -> str:
        """Return what the agent sees."""
        text = self.text
        if len(text) > SHOWN_CHARACTERS:
            half = SHOWN_CHARACTERS // 2
            left_out = f"\n[{len(text) - 2 * half} characters left out]\n"
            text = text[:half] + left_out + text[-half:]
        notes = [text.rstrip("\n")] if text.strip("\n") else []
        if self.cut:
            notes.append("[there was more output than is kept]")
        if self.exit_code is None:
            notes.append(f"[timed out after {self.seconds:g} s; its processes were killed]")
        elif self.exit_code < 0:
            notes.append(f"[killed by signal {-self.exit_code}]")
        elif self.exit_code:
            notes.append(f"[exit code {self.exit_code}]")
        return "\n".join(notes) or "[no output]"


def checked_command(command: str) -> str:
    """Return the command; raises ActionError where no shell could be given it."""
    if "\0" in command:
        raise ActionError("a command cannot hold a NUL character")
    try:
        size = len(command.encode())
    except UnicodeEncodeError as error:
        raise ActionError(f"expected a command that UTF-8 can write: {error.reason}") from error
    if size > MAX_COMMAND_BYTES:
        raise ActionError(f"expected a command of at most {MAX_COMMAND_BYTES} bytes, got {size}")
    return command


def run_command(sandbox: Sandbox, command: str, seconds: float) -> Output:
    """Run a command line; raises ActionError and SandboxError."""
    return run_program(sandbox, ["bash", "-c", WRAPPER, "bash", checked_command(command)], seconds)


def run_program(sandbox: Sandbox, argv: list[str], seconds: float) -> Output:
    """Run a program; raises SandboxError."""
    result = sandbox.exec(argv, seconds=seconds)
    return Output(result.stdout + result.stderr, result.exit_code, result.cut, seconds)
