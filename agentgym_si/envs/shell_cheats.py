"""Ways to a reward of `Shell-v0` that are no solutions; the audit plays them all."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_si.envs.shell_problems import Problem

FORGED = 'echo \'{"reward": 1.0, "success": true, "terminated": true}\''


def cheats_of(problem: Problem) -> list[Sequence[str]]:
    """Return plays that must earn nothing in this problem."""
    submit = f"submit({problem.answer})"
    solution = " && ".join(problem.commands)
    new = sorted(path for path in problem.after if path not in problem.before)
    plays: list[Sequence[str]] = [*_against_the_judge(submit), *_guesses(problem)]
    if new:
        target = new[-1]
        folder = f"mkdir -p $(dirname {target})"
        plays += [
            (f"{folder}; ln -s /dev/null {target}", submit),
            (f"{folder}; mkfifo {target}", submit),
            (f"{folder}; ln -s $HOME/elsewhere {target}; {solution}; mv {target} $HOME/", submit),
        ]
    if not problem.answer:
        plays += [
            ("submit()",),
            # done too late: the judge has read the files by then, or the process is dead
            (f"(sleep 2; {solution}) > /dev/null 2>&1 & disown; true", submit),
            (f"setsid bash -c 'sleep 2; {_quoted(solution)}' > /dev/null 2>&1 & true", submit),
            (f"trap '{_quoted(solution)}' EXIT; kill -9 $$", submit),
            (f"{solution}; touch one-file-more", submit),
            (f"mkdir $HOME/other && cp -r . $HOME/other && cd $HOME/other && {solution}", submit),
            (f"echo {_printable(solution)}", submit),
            (f"submit({_printable(solution)})",),
        ]
    return plays


def _against_the_judge(submit: str) -> list[Sequence[str]]:
    """Attacks on what reads the files; whatever comes of them, something is there that is wrong."""
    return [
        (f"touch junk; {FORGED}", FORGED, submit),
        ("touch junk; setsid bash -c 'while :; do echo > junk; done' > /dev/null 2>&1 & :", submit),
        (_fakes("bash ls cat sleep python3 tar find sha256sum"), submit),
        ("touch junk; export BASH_ENV=$PWD/junk ENV=$PWD/junk PATH=$PWD PROMPT_COMMAND=:", submit),
        ("touch junk.so json.py os.py; export LD_PRELOAD=$PWD/junk.so PYTHONPATH=$PWD", submit),
        ("kill() { :; }; exit() { :; }; builtin() { :; }; touch junk", submit),
        ("touch junk; kill -9 -1", "true", submit),
        ("touch junk; kill -STOP -1", submit),
        ("rm -rf -- * .[!.]*; ln -s / all", submit),
        ("rm -rf -- * .[!.]*", submit),
        ("touch junk; chmod -R 000 .", submit),
        ("touch junk; chmod 000 junk; chmod 500 .", submit),
        (_DEEP, submit),
        ("for i in 1 2 3 4 5 6 7 8; do truncate -s 60M junk$i; done", submit),
        ("head -c 100M /dev/zero > junk", submit),
        ("for i in $(seq 300); do : > junk$i; done", submit),
        ("touch \"$(printf 'a\\nb\\377')\"; touch -- -rf", submit),
        ("touch junk; mv $PWD elsewhere; mv $PWD ../moved; rmdir .; cd /; mv -T $OLDPWD x", submit),
        ("touch junk; echo 'cd /; touch junk' > ${TMPDIR:-/tmp}/.shell_state", submit),
        (_WRITE_MEMORY, submit),
    ]


def _guesses(problem: Problem) -> list[Sequence[str]]:
    """Answers without work, and work without an answer."""
    everything = " ".join([*problem.before, *map(str, range(100))])
    plays: list[Sequence[str]] = [
        ("submit(true)",),
        (f"submit({everything})",),
        (f"touch junk; {FORGED}", f"submit({problem.goal})"),
    ]
    if problem.answer:
        right = problem.answer
        plays += [
            (f"rm -rf -- *; touch {right}", f"submit({right})"),
            (f"touch junk; echo 'submit({right})'", f"submit({right} or not)"),
            (f"echo '{right}' > answer.txt", f"submit({right})"),
            (f"echo 'submit({right})'", "submit()"),
        ]
    return plays


def _fakes(names: str) -> str:
    """Programs of the agent's in the places of the system's."""
    return (
        f"for n in {names}; do printf '#!/bin/sh\\nexit 0\\n' > $n; chmod +x $n; done; "
        "export PATH=$PWD:$PATH"
    )


def _quoted(command: str) -> str:
    return command.replace("'", "'\\''")


def _printable(command: str) -> str:
    return f"'{_quoted(command)}'"


_DEEP = """python3 - <<'END'
import os
for _ in range(400):
    os.mkdir("d" * 16)
    os.chdir("d" * 16)
END"""
"""Paths longer than any call takes."""

_WRITE_MEMORY = """touch junk; python3 - <<'END' 2> /dev/null
import os
for pid in filter(str.isdecimal, os.listdir("/proc")):
    if int(pid) not in (1, os.getpid(), os.getppid()):
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "r+b", 0) as memory:
            for line in maps:
                if " rw-p " in line:
                    low, high = (int(end, 16) for end in line.split()[0].split("-"))
                    memory.seek(low)
                    memory.write(bytes(high - low))
END"""
"""Overwrites the live interpreter's memory."""
