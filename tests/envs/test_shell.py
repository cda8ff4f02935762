"""Guards Shell-v0: the contract, the reward by files alone, what commands leave to the next."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from agentgym_si.envs.shell import ShellEnv
from agentgym_si.envs.shell_tasks import FAMILIES
from agentgym_si.errors import AgentGymError, BadInput, UnknownName
from agentgym_si.sandboxes.base import Limits
from agentgym_si.sandboxes.box import Box
from agentgym_si.sandboxes.opening import choose, launcher_of, probe
from agentgym_si.testing import check_env


@pytest.fixture(scope="module")
def tier() -> str:
    try:
        return choose().tier
    except AgentGymError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def env(tier: str) -> Iterator[ShellEnv]:
    with ShellEnv(sandbox=tier, limits=Limits(seconds=20)) as made:
        yield made


def start(env: ShellEnv, task: str = "create-file-train", seed: int = 1) -> str:
    observation, info = env.reset(seed=seed, options={"task": task})
    assert "failure" not in info, info
    return observation


def play(env: ShellEnv, actions: Any) -> tuple[float, dict[str, Any]]:
    earned, info = 0.0, {}
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
        earned += reward
        if terminated or truncated:
            break
    return earned, info


def see(env: ShellEnv, *commands: str) -> str:
    return [env.step(command)[0] for command in commands][-1]


def test_the_contract_is_kept(tier: str) -> None:
    """An observation with the clock in it, a step that raises, a box that is shared."""
    check_env(lambda: ShellEnv(sandbox=tier), tasks=["move-file-train", "sum-numbers-test"])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_oracle_solves_every_task_and_nothing_else_does(env: ShellEnv, family: str) -> None:
    """A solution that does not solve; a problem that is solved as it begins."""
    for split, seed in (("train", 1), ("test", 2)):
        start(env, f"{family}-{split}", seed)
        while True:
            _, reward, terminated, _, info = env.step(env.oracle())
            if terminated:
                break
        assert (reward, info["wrong"]) == (1.0, "")
        with pytest.raises(NotImplementedError):
            env.oracle()
        start(env, f"{family}-{split}", seed)
        assert play(env, ["true", "submit()"])[0] == 0.0


@pytest.mark.parametrize("task", ["create-file-train", "sum-numbers-test"])
def test_cheats_earn_nothing(env: ShellEnv, task: str) -> None:
    """A reward by output, answers, links, late work, or an attack on what reads the files."""
    start(env, task)
    cheats = env.cheats()
    assert len(cheats) >= 15
    for cheat in cheats:
        start(env, task)
        earned, info = play(env, cheat)
        assert earned == 0.0, cheat
        assert "failure" not in info, (cheat, info)


def test_folder_variables_and_functions_are_kept(env: ShellEnv) -> None:
    """A shell that forgets from one command to the next."""
    start(env)
    assert see(env, "mkdir -p 'a b'; cd 'a b'", "pwd").endswith("/a b")
    assert see(env, "x=5; export y='two words'; f() { echo \"$1-$y\"; }", "f $x") == "5-two words"
    assert see(env, "cd ..; exit 3") == "[exit code 3]"
    assert see(env, "x=6; kill -9 $$") == "[killed by signal 9]"
    assert see(env, "echo $x; pwd") == "5\n/work"
    start(env)
    assert see(env, 'echo "<$x>"; f 1') == "<>\nbash: line 1: f: command not found\n[exit code 127]"


def test_output_is_shown_as_a_terminal_would(env: ShellEnv) -> None:
    """Errors torn from their place; an action's fence or an empty output that confuses."""
    start(env)
    assert see(env, "echo a; echo b >&2; echo c") == "a\nb\nc"
    assert see(
        env, "I look first.\n```bash\nls missing\n```\nthen\n```\necho two\necho lines\n```"
    ) == ("two\nlines")
    assert see(env, "true") == "[no output]"
    assert "syntax error" in see(env, "if")
    assert see(env, "cat") == "[no output]"  # nothing to be read, and no hanging
    shown = see(env, "seq 100000")
    assert len(shown) < 7000 and "characters left out" in shown and shown.endswith("99999\n100000")
    assert "there was more output" in see(env, "head -c 3000000 /dev/zero")


def test_what_takes_too_long_is_killed_and_told(tier: str) -> None:
    """A hanging command that hangs the step, or counts as the box's failure."""
    with ShellEnv(sandbox=tier, limits=Limits(seconds=2)) as env:
        start(env)
        shown = see(env, "cd /; echo before; sleep 60 & sleep 60")
        assert shown == "before\n[timed out after 2 s; its processes were killed]"
        assert see(env, "pwd; jobs") == "/work"


@pytest.mark.parametrize("action", ["a\0b", "\ud800", "x" * 200_000])
def test_what_no_shell_takes_is_the_agents_mistake(env: ShellEnv, action: str) -> None:
    """A program that cannot be started, as an exception."""
    start(env)
    observation, reward, terminated, truncated, info = env.step(action)
    assert observation.startswith("error: ") and "action_error" in info
    assert (reward, terminated, truncated) == (0.0, False, False)


@pytest.mark.parametrize(
    "form",
    ["submit({})", "```\nsubmit({})\n```", "submit( '{}' )", 'The sum:\n```\nsubmit("{}")```'],
)
def test_an_answer_may_be_quoted_or_fenced(env: ShellEnv, form: str) -> None:
    """An answer that is right and not taken."""
    start(env, "sum-numbers-train")
    right = env.oracle(), see(env, env.oracle())
    assert play(env, [form.format(right[1])])[0] == 1.0
    start(env, "sum-numbers-train")
    assert play(env, [form.format(right[1] + "0")]) == (
        0.0,
        {
            "task": "sum-numbers-train",
            "seed": 1,
            "success": False,
            "wrong": "the answer is another",
        },
    )


def test_a_guest_that_dies_is_a_failure_and_no_reward() -> None:
    """A dead box that looks like a wrong command, or keeps the environment from going on."""
    works = next((name for name in ("landlock", "bubblewrap") if probe(name).works), None)
    if works is None:
        pytest.skip("neither landlock nor bubblewrap works here")
    made: list[Box] = []

    def source() -> Box:
        made.append(Box(launcher_of(works)))
        return made[-1]

    with ShellEnv(sandbox=source) as env:
        start(env)
        channel: Any = made[0]._channel
        if works == "bubblewrap":
            subprocess.run(["pkill", "-9", "-P", str(channel.pid)], check=True)
        else:
            os.kill(channel.pid, signal.SIGKILL)
        _, reward, terminated, truncated, info = env.step("echo hello")
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert info["failure"]["kind"] == "sandbox"
        start(env)
        assert see(env, "echo hello") == "hello"


def test_closing_ends_the_box_and_a_reset_opens_another(tier: str) -> None:
    """A box that outlives its environment."""
    made: list[Box] = []

    def source() -> Box:
        made.append(Box(launcher_of(tier)))
        return made[-1]

    env = ShellEnv(sandbox=source)
    start(env)
    env.close()
    env.close()
    assert made[0]._channel is None
    start(env)
    del env
    assert [box._channel for box in made] == [None, None]


def test_arguments_are_checked() -> None:
    """A name that is taken for another, a folder that is silently not read."""
    with pytest.raises(UnknownName, match="intercode"):
        ShellEnv(suite="intercod")
    with pytest.raises(BadInput, match="data="):
        ShellEnv(suite="intercode")
    with pytest.raises(BadInput, match="data="):
        ShellEnv(data="somewhere")
    with pytest.raises(BadInput, match="nl2bash_fs_1"):
        ShellEnv(suite="intercode", data="/nowhere")
    with pytest.raises(UnknownName, match="docker"):
        ShellEnv(sandbox="dokcer").reset(seed=0)


def test_splits_share_no_words() -> None:
    """Held-out tasks that repeat what was trained on."""
    train, test = (ShellEnv(split=split).task_ids for split in ("train", "test"))
    assert len(train) == len(test) == len(FAMILIES) >= 12
