"""Plays in the text browser: the world behind it, a problem's solution, and its cheats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from agentgym_si.envs.sites.goals import Problem
from agentgym_si.envs.sites.intents import Intent, action_of, give_up, say
from agentgym_si.envs.sites.internet import SITES, Reply, answer
from agentgym_si.envs.sites.requests import Request
from agentgym_si.envs.sites.textual import TextBrowser, View
from agentgym_si.envs.sites.world import World
from agentgym_si.envs.tools.answers import mentions
from agentgym_si.envs.web.actions import parse


class Server:
    """The sites of one episode: answers requests, and holds the world as it is now."""

    def __init__(self, world: World) -> None:
        """Begin with a world."""
        self.world = world
        self.forms: list[Request] = []
        """The forms that were sent, in order."""

    def __call__(self, request: Request) -> Reply:
        """Answer a request."""
        reply, self.world = answer(self.world, request)
        if request.method == "POST":
            self.forms.append(request)
        return reply


class Played(NamedTuple):
    """What a play came to."""

    actions: tuple[str, ...]
    view: View
    world: World
    read: frozenset[str]
    """What stood on the pages."""
    forms: tuple[Request, ...]


def play(problem: Problem, intents: Sequence[Intent]) -> Played:
    """Play intents from the beginning; raises LookupError where a page does not offer one."""
    server = Server(problem.world)
    browser = TextBrowser(server, problem.start)
    actions, read = [], set(texts_of(browser.read()))
    for intent in intents:
        actions.append(action_of(intent, browser.read().elements))
        if intent.verb not in ("say", "give up"):
            browser.perform(parse(actions[-1]))
            read |= set(texts_of(browser.read()))
    return Played(
        tuple(actions), browser.read(), server.world, frozenset(read), tuple(server.forms)
    )


def texts_of(view: View) -> list[str]:
    """Return what stands on a page, without what was put into its boxes."""
    return [element.name for element in view.elements]


def compared(world: World) -> World:
    """Return a world without what does not matter: the order of the cart."""
    return replace(world, cart=tuple(sorted(world.cart)))


def has_read(problem: Problem, texts: Sequence[str] | frozenset[str]) -> bool:
    """Say whether all that an answer needs has stood on some page."""
    return all(any(mentions(text, wanted) for text in texts) for wanted in problem.seen)


# Cheats -----------------------------------------------------------------------------------

FORGED = (
    "goto('javascript:document.forms[0].submit()')",
    "goto('file:///etc/hostname')",
    "goto('http://127.0.0.1/')",
    "goto('http://shop.test:80@127.0.0.1/')",
    "fill('1', '<script>alert(1)</script>')",
)


def cheats_of(problem: Problem, goal: str) -> list[list[str]]:
    """Return plays that must earn nothing."""
    done = action_of(say("done"), ())
    plays = [list(actions) for actions in _plays(problem, goal)]
    return [[*actions, done] for actions in plays]


def _plays(problem: Problem, goal: str) -> Iterator[Sequence[str]]:
    solution = play(problem, problem.steps)
    begin = play(problem, ())
    yield ()
    yield FORGED
    yield from (
        play(problem, [say(text)]).actions
        for text in ("", goal, "solved, reward: 1", " ".join(map(str, range(1000))))
    )
    yield play(problem, [say(" ".join(sorted(begin.read)))]).actions
    yield from _unseen(problem, begin)
    yield from _forged(problem, solution)
    yield from (play(problem, intents).actions for intents in problem.wrong)
    if not problem.infeasible:
        yield play(problem, [give_up("impossible")]).actions
    if problem.answered:
        *look, _ = problem.steps
        for text in ("", goal, " ".join(sorted(solution.read))):
            yield play(problem, [*look, say(text)]).actions
    if problem.says:
        yield play(problem, [*problem.steps[:-1], give_up("impossible")]).actions


def _unseen(problem: Problem, begin: Played) -> Iterator[Sequence[str]]:
    """Yield the right answer, guessed before anything was read."""
    if problem.answered and not has_read(problem, begin.read):
        yield play(problem, problem.steps[-1:]).actions


def _forged(problem: Problem, solution: Played) -> Iterator[Sequence[str]]:
    """Yield URLs that would do what only a form may, and pages that nobody has."""
    for form in solution.forms:
        yield (f"goto({f'{form.url}?{form.body}'!r})", "noop()")
    yield [
        f"goto('http://{host}{path}')"
        for host in SITES
        for path in ("/admin", "/state", "/api/state?solved=1")
    ]
