"""Every oracle earns the full reward from the text alone; doing nothing earns none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from agentgym_si.envs.miniwob import MiniWoBEnv
from agentgym_si.envs.miniwob_oracles import ORACLES
from agentgym_si.envs.miniwob_oracles_mail import Request, read_request
from agentgym_si.envs.miniwob_tasks import WITHOUT_ORACLE
from agentgym_si.envs.web.pages import miniwob_folder, task_names

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def env() -> Iterator[MiniWoBEnv]:
    with MiniWoBEnv() as made:
        yield made


def play_on(env: MiniWoBEnv) -> float:
    """Let the oracle play to the end; return the last reward."""
    reward, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(env.oracle())
        over = terminated or truncated
    return reward


@pytest.mark.parametrize("task", sorted(ORACLES))
def test_the_oracle_solves_its_task(env: MiniWoBEnv, task: str) -> None:
    env.reset(seed=100, options={"task": task})
    assert play_on(env) == 1.0, env._actions


def test_doing_nothing_earns_nothing(env: MiniWoBEnv) -> None:
    for task in ("click-test", "enter-text", "stock-market"):
        env.reset(seed=1, options={"task": task})
        over, total = False, 0.0
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.noop)
            total, over = total + reward, terminated or truncated
        assert total == 0.0


def test_every_task_has_an_oracle_or_the_reason_why_not(env: MiniWoBEnv) -> None:
    assert set(ORACLES) | set(WITHOUT_ORACLE) == set(task_names())
    assert not set(ORACLES) & set(WITHOUT_ORACLE)
    assert env.has_oracle("click-test") and not env.has_oracle("tic-tac-toe")
    assert env.all_tasks["tic-tac-toe"].data == {"no_oracle": WITHOUT_ORACLE["tic-tac-toe"]}


def test_a_task_without_oracle_says_so(env: MiniWoBEnv) -> None:
    env.reset(seed=1, options={"task": "tic-tac-toe"})
    with pytest.raises(NotImplementedError, match="no oracle for MiniWoB task 'tic-tac-toe'"):
        env.oracle()


def test_an_oracle_recalls_what_it_saw_after_a_restore(env: MiniWoBEnv) -> None:
    env.reset(seed=3, options={"task": "find-greatest"})
    env.step(env.oracle())
    state = env.snapshot()
    env.step(env.oracle())
    env.restore(state)
    assert play_on(env) == 1.0


# The page's own requests, in which NAME and DEST are put in; these say the two the wrong way round.
TURNED = (
    "Find the email from DEST and forward it to NAME.",
    "Find yesterday's emails from DEST and forward them to NAME.",
    "Forward DEST's email from yesterday to NAME.",
    "Forward all messages from DEST to NAME.",
    "Send NAME the message from DEST.",
)


def requests() -> Iterator[tuple[str, str]]:
    """Yield every request that the pages know, with what it asks for."""
    common = miniwob_folder().parent / "common" / "special" / "email-inbox-nl" / "templates.js"
    text = common.read_text(encoding="utf-8")
    listed = json.loads(re.sub(r",(\s*[\]}])", r"\1", text[text.index("{") :].rstrip().rstrip(";")))
    for task, splits in listed.items():
        yield from ((task, request) for split in splits.values() for request in split)
    page = (miniwob_folder() / "email-inbox-forward-nl.html").read_text(encoding="utf-8")
    listed_here = page[page.index("NL_TEMPLATES") : page.index("var displayQuery")]
    yield from (("forward", request) for request in re.findall(r"^  '(.*)',$", listed_here, re.M))


def test_requests_in_anybodys_words_are_understood() -> None:
    expected = {
        "forward": Request("forward", "Cora", "Bobine"),
        "reply": Request("reply", "Cora", "Eget, nulla."),
        "delete": Request("delete", "Cora"),
        "important": Request("important", "Cora"),
    }
    names = ["Audrey", "Cora", "Bobine", "Co"]
    wrong, count = [], 0
    for task, request in requests():
        count += 1
        put_in = request.replace("NAME", "Cora", 1).replace("DEST", "Bobine", 1)
        goal = " ".join(put_in.replace("MSG", "Eget, nulla.", 1).split())
        if read_request(goal, names) != expected[task]:
            wrong.append(request)
    assert count > 500
    assert sorted(wrong) == sorted(TURNED)
