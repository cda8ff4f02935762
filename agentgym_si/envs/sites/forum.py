"""forum.test: boards of threads with replies and votes; new threads, replies, and own ones gone."""

from __future__ import annotations

from collections.abc import Mapping

from agentgym_si.envs.sites.requests import (
    Answer,
    Page,
    Redirect,
    Route,
    Site,
    missing,
    note_of,
    number,
    refuse,
)
from agentgym_si.envs.sites.tree import (
    Content,
    action,
    button,
    form,
    link,
    listing,
    paragraph,
    section,
    textarea,
    textbox,
)
from agentgym_si.envs.sites.world import Reply, Thread, World, find, next_number, swap

BOARDS = ("Garden", "Kitchen", "Travel", "Music", "Books")
"""Every board that a forum may have; a world shows those that have threads."""

NOTES = {
    "title": "Please give a title and a text.",
    "text": "Please write something.",
}

Fields = Mapping[str, str]


def boards(world: World) -> list[str]:
    """Return the boards that have threads, sorted."""
    return sorted({thread.board for thread in world.threads})


def votes(world: World, thread: Thread) -> int:
    """Return a thread's votes, the user's own with them."""
    return thread.votes + (thread.number in world.voted)


def _home(world: World, _: Fields) -> Page:
    places = [link(name, f"/board/{name.lower()}") for name in boards(world)]
    return Page("Boards", (listing(places),))


def _board(world: World, _: Fields, name: str) -> Page:
    board = _board_of(name)
    found = [thread for thread in world.threads if thread.board == board]
    if board is None or not found:
        return missing("board")
    entries = listing(
        (
            link(thread.title, f"/thread/{thread.number}"),
            f" by {thread.author}, {votes(world, thread)} votes",
        )
        for thread in found
    )
    return Page(board, (entries, link("New thread", f"/new/{name}")))


def _thread(world: World, fields: Fields, key: str) -> Page:
    thread = find(world.threads, number(key))
    if thread is None:
        return missing("thread")
    path = f"/thread/{thread.number}"
    voted = thread.number in world.voted
    entries = listing(
        f"{reply.author}: {reply.text} ({reply.votes} votes)" for reply in thread.replies
    )
    return Page(
        thread.title,
        (
            note_of(fields, NOTES),
            paragraph(f"by {thread.author}, {votes(world, thread)} votes"),
            paragraph(thread.text),
            action("Take vote back" if voted else "Upvote", f"{path}/vote"),
            action("Delete thread", f"{path}/delete") if thread.author == world.user else None,
            section("Replies") if entries else None,
            entries,
            _reply_form(thread, path),
        ),
    )


def _reply_form(thread: Thread, path: str) -> Content:
    if thread.locked:
        return paragraph("This thread is locked.")
    return form(f"{path}/reply", textarea("Your reply", "text"), button("Reply"))


def _vote(world: World, _: Fields, key: str) -> Redirect | Answer:
    thread = find(world.threads, number(key))
    if thread is None:
        return Redirect("/")
    rest = tuple(voted for voted in world.voted if voted != thread.number)
    given = rest if thread.number in world.voted else tuple(sorted((*rest, thread.number)))
    return Redirect(f"/thread/{thread.number}"), world.change(voted=given)


def _reply(world: World, fields: Fields, key: str) -> Redirect | Answer:
    thread = find(world.threads, number(key))
    if thread is None or thread.locked:
        return Redirect("/")
    path = f"/thread/{thread.number}"
    if not fields.get("text"):
        return refuse(path, "text")
    reply = Reply(next_number(thread.replies), world.user, fields["text"], 0)
    changed = thread._replace(replies=(*thread.replies, reply))
    return Redirect(path), world.change(threads=swap(world.threads, thread, changed))


def _delete(world: World, _: Fields, key: str) -> Redirect | Answer:
    thread = find(world.threads, number(key))
    if thread is None or thread.author != world.user:
        return Redirect("/")
    threads = swap(world.threads, thread, None)
    return Redirect(f"/board/{thread.board.lower()}"), world.change(threads=threads)


def _new(_: World, fields: Fields, name: str) -> Page:
    board = _board_of(name)
    if board is None:
        return missing("board")
    boxes = (textbox("Title", "title"), textarea("Text", "text"))
    return Page(
        f"New thread in {board}",
        (note_of(fields, NOTES), form(f"/new/{name}", *boxes, button("Post"))),
    )


def _post(world: World, fields: Fields, name: str) -> Redirect | Answer:
    board, title, text = _board_of(name), fields.get("title", ""), fields.get("text", "")
    if board is None:
        return Redirect("/")
    if not (title and text):
        return refuse(f"/new/{name}", "title")
    key = next_number(world.threads)
    thread = Thread(key, board, title, world.user, text, 0, False, ())
    return Redirect(f"/thread/{key}"), world.change(threads=(*world.threads, thread))


def _board_of(name: str) -> str | None:
    return next((board for board in BOARDS if board.lower() == name), None)


FORUM = Site(
    host="forum.test",
    title="Town Forum",
    colour="#9a3412",
    links=(("Town Forum", "/"),),
    routes=(
        Route("GET", "/", _home),
        Route("GET", "/board/([a-z]+)", _board),
        Route("GET", "/thread/([0-9]+)", _thread),
        Route("POST", "/thread/([0-9]+)/vote", _vote),
        Route("POST", "/thread/([0-9]+)/reply", _reply),
        Route("POST", "/thread/([0-9]+)/delete", _delete),
        Route("GET", "/new/([a-z]+)", _new),
        Route("POST", "/new/([a-z]+)", _post),
    ),
)
