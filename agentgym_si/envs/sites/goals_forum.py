"""Goals on forum.test."""

from __future__ import annotations

import numpy as np

from agentgym_si.envs.sites.forum import FORUM
from agentgym_si.envs.sites.goals import Kind, Problem, others
from agentgym_si.envs.sites.intents import click, fill, give_up, say
from agentgym_si.envs.sites.world import Thread, World, swap
from agentgym_si.envs.tools.domain import pick

HOME = FORUM.url("/")

SENTENCES = (
    "Thank you for this",
    "It works for me",
    "Try it in the morning",
    "I agree with all of you",
    "Please tell us more",
    "That is good to know",
    "We did the same last year",
    "Has anybody asked the maker?",
)

HEADINGS = (
    "Lost my blue scarf",
    "Looking for a teacher",
    "Meeting on the square",
    "Good news for all",
    "A question about rain",
    "Where to eat well",
)


def _board(world: World, rng: np.random.Generator) -> list[Thread]:
    """Draw a board; return its threads in random order."""
    board = pick(rng, world.threads)[0].board
    return pick(rng, [thread for thread in world.threads if thread.board == board], 3)


def _page(thread: Thread) -> str:
    return FORUM.url(f"/thread/{thread.number}")


def _list(thread: Thread) -> str:
    return FORUM.url(f"/board/{thread.board.lower()}")


def open_thread(world: World, rng: np.random.Generator) -> Problem:
    """Open a thread."""
    thread, other, _ = _board(world, rng)
    return Problem(
        world,
        {"title": thread.title},
        (click(thread.title),),
        start=_list(thread),
        page=_page(thread),
        wrong=((click(other.title),),),
    )


def upvote(world: World, rng: np.random.Generator) -> Problem:
    """Vote for the thread that is shown."""
    thread = pick(rng, world.threads)[0]
    return Problem(
        world,
        {},
        (click("Upvote"),),
        start=_page(thread),
        wrong=((fill("Your reply", "Upvote"), click("Reply")),),
    )


def ask_author(world: World, rng: np.random.Generator) -> Problem:
    """Say who began a thread."""
    thread, *rest = _board(world, rng)
    look = click(thread.board)
    return Problem(
        world,
        {"title": thread.title, "board": thread.board},
        (look, say(thread.author)),
        start=HOME,
        says=(thread.author,),
        unsaid=others(thread.author, [other.author for other in rest]),
        seen=(f"by {thread.author}",),
        wrong=((look, say("Nobody")), (look, say("yes"))),
    )


def upvote_named(world: World, rng: np.random.Generator) -> Problem:
    """Find a thread and vote for it."""
    thread, other, _ = _board(world, rng)
    return Problem(
        world,
        {"title": thread.title},
        (click(thread.title), click("Upvote")),
        start=_list(thread),
        wrong=((click(other.title), click("Upvote")),),
    )


def reply(world: World, rng: np.random.Generator) -> Problem:
    """Answer in a thread."""
    thread, other, _ = _board(world, rng)
    text, wrong = pick(rng, SENTENCES, 2)
    return Problem(
        world,
        {"title": thread.title, "text": text},
        (click(thread.title), fill("Your reply", text), click("Reply")),
        start=_list(thread),
        wrong=(
            (click(other.title), fill("Your reply", text), click("Reply")),
            (click(thread.title), fill("Your reply", wrong), click("Reply")),
            (click(thread.title), fill("Your reply", f"{text} {text}"), click("Reply")),
            (click(thread.title), click("Reply")),
        ),
    )


def post(world: World, rng: np.random.Generator) -> Problem:
    """Begin a thread."""
    thread, text, title = _board(world, rng)[0], pick(rng, SENTENCES)[0], pick(rng, HEADINGS)[0]
    go = (click(thread.board), click("New thread"))
    return Problem(
        world,
        {"board": thread.board, "title": title, "text": text},
        (*go, fill("Title", title), fill("Text", text), click("Post")),
        start=HOME,
        wrong=(
            (*go, fill("Title", text), fill("Text", title), click("Post")),
            (*go, fill("Title", title), click("Post")),
        ),
    )


def open_most_voted(world: World, rng: np.random.Generator) -> Problem:
    """Open the thread of a board that has the most votes."""
    threads = sorted(_board(world, rng), key=lambda thread: -thread.votes)
    plays = [(click(thread.board), click(thread.title)) for thread in threads]
    return Problem(
        world,
        {"board": threads[0].board},
        plays[0],
        start=HOME,
        page=_page(threads[0]),
        wrong=tuple(plays[1:]),
    )


def ask_best_reply(world: World, rng: np.random.Generator) -> Problem:
    """Say who wrote the reply with the most votes."""
    thread = _board(world, rng)[0]
    replies = sorted(thread.replies, key=lambda reply: -reply.votes)
    look, best = (click(thread.board), click(thread.title)), replies[0].author
    names = [reply.author for reply in replies] + [thread.author]
    return Problem(
        world,
        {"title": thread.title, "board": thread.board},
        (*look, say(best)),
        start=HOME,
        says=(best,),
        unsaid=others(best, names),
        seen=tuple(reply.text for reply in replies),
        wrong=((*look, say(replies[1].author)), (*look, say(" ".join(names)))),
    )


def delete_own(world: World, rng: np.random.Generator) -> Problem:
    """Delete a thread of one's own."""
    thread, other, _ = _board(world, rng)
    own = [old._replace(author=world.user) for old in (thread, other)]
    threads = swap(swap(world.threads, thread, own[0]), other, own[1])
    plays = [(click(old.board), click(old.title), click("Delete thread")) for old in own]
    return Problem(
        world.change(threads=threads),
        {"title": thread.title, "board": thread.board},
        plays[0],
        start=HOME,
        wrong=(plays[1], plays[0][:2]),
    )


def locked(world: World, rng: np.random.Generator) -> Problem:
    """Say that a locked thread cannot be answered."""
    thread, other, _ = _board(world, rng)
    text = pick(rng, SENTENCES)[0]
    threads = swap(world.threads, thread, thread._replace(locked=True))
    return Problem(
        world.change(threads=threads),
        {"title": thread.title, "text": text},
        (click(thread.title), give_up("locked")),
        start=_list(thread),
        infeasible=True,
        seen=("This thread is locked.",),
        wrong=(
            (click(thread.title), say("locked")),
            (click(other.title), fill("Your reply", text), click("Reply")),
        ),
    )


KINDS = (
    Kind(
        "forum",
        0,
        open_thread,
        ('Open the thread "{title}".', 'Show me the thread "{title}".'),
        ('I want to read "{title}".',),
    ),
    Kind(
        "forum",
        0,
        upvote,
        ("Vote for this thread.", "Give this thread your vote."),
        ("I like this one: upvote it.",),
    ),
    Kind(
        "forum",
        1,
        ask_author,
        ('Who began the thread "{title}" in {board}?', 'Author of "{title}" ({board})?'),
        ('By whom is "{title}", on the board {board}?',),
    ),
    Kind(
        "forum",
        1,
        upvote_named,
        ('Vote for the thread "{title}".', 'Give "{title}" your vote.'),
        ('"{title}" deserves an upvote.',),
    ),
    Kind(
        "forum",
        1,
        reply,
        ('Reply "{text}" in the thread "{title}".', 'Answer "{text}" under "{title}".'),
        ('Write "{text}" to those in the thread "{title}".',),
    ),
    Kind(
        "forum",
        2,
        post,
        (
            'Post in {board}: title "{title}", text "{text}".',
            'Begin a thread in {board} with the title "{title}" and the text "{text}".',
        ),
        ('The board {board} needs a thread "{title}" that says "{text}".',),
    ),
    Kind(
        "forum",
        2,
        open_most_voted,
        (
            "Open the thread in {board} that has the most votes.",
            "Show me the thread with the most votes of the board {board}.",
        ),
        ("In {board}, take me to what people voted for most.",),
    ),
    Kind(
        "forum",
        2,
        ask_best_reply,
        (
            'Who wrote the reply with the most votes in "{title}" ({board})?',
            'Whose reply got the most votes in the thread "{title}" of {board}?',
        ),
        ('Under "{title}" in {board}: whose answer is liked best?',),
    ),
    Kind(
        "forum",
        2,
        delete_own,
        ('Delete my thread "{title}" in {board}.',),
        ('Take my "{title}" off the board {board}.',),
        held_out=True,
    ),
    Kind(
        "forum",
        1,
        locked,
        ('Reply "{text}" in the thread "{title}".',),
        ('Write "{text}" to those in the thread "{title}".',),
        held_out=True,
    ),
)
