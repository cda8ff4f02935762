"""mail.test: folders of messages; read, write, answer, pass on, archive and delete them."""

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
    action,
    button,
    facts,
    form,
    link,
    listing,
    paragraph,
    textarea,
    textbox,
)
from agentgym_si.envs.sites.world import Mail, World, find, next_number, swap

FOLDERS = ("Inbox", "Sent", "Archive", "Trash")

MOVES = {"archive": "Archive", "delete": "Trash", "inbox": "Inbox"}
"""What a button does, and to which folder."""

NOTES = {"fields": "Please fill in every box."}

Fields = Mapping[str, str]


def _inbox(world: World, fields: Fields) -> Page:
    return _folder(world, fields, "Inbox")


def _folder(world: World, _: Fields, folder: str) -> Page:
    if folder not in FOLDERS:
        return missing("folder")
    word = "to" if folder == "Sent" else "from"
    entries = listing(
        (link(mail.subject, f"/message/{mail.number}"), f" {word} {mail.person}")
        for mail in world.mails
        if mail.folder == folder
    )
    return Page(folder, (entries or paragraph("There are no messages here."),))


def _message(world: World, _: Fields, key: str) -> Page:
    mail = find(world.mails, number(key))
    if mail is None:
        return missing("message")
    path, sent = f"/message/{mail.number}", mail.folder == "Sent"
    moves = {
        "archive": "Archive message",
        "delete": "Delete message",
        "inbox": "Move to inbox",
    }
    return Page(
        mail.subject,
        (
            facts([("To" if sent else "From", mail.person)]),
            paragraph(mail.text),
            None if sent else link("Reply", f"{path}/reply"),
            link("Forward", f"{path}/forward"),
            *(
                action(text, f"{path}/{move}")
                for move, text in moves.items()
                if not sent and MOVES[move] != mail.folder
            ),
        ),
    )


def _move(world: World, _: Fields, key: str, move: str) -> Redirect | Answer:
    mail = find(world.mails, number(key))
    if mail is None or mail.folder == "Sent":
        return Redirect("/")
    moved = mail._replace(folder=MOVES[move])
    return Redirect("/"), world.change(mails=swap(world.mails, mail, moved))


def _compose(_: World, fields: Fields) -> Page:
    boxes = (
        textbox("To", "to", fields.get("to", "")),
        textbox("Subject", "subject"),
        textarea("Text", "text"),
    )
    return Page("New message", (note_of(fields, NOTES), form("/compose", *boxes, button("Send"))))


def _compose_sent(world: World, fields: Fields) -> Redirect | Answer:
    return _send(world, "/compose", *(fields.get(name, "") for name in ("to", "subject", "text")))


def _answer(world: World, fields: Fields, key: str) -> Page:
    mail = find(world.mails, number(key))
    if mail is None or mail.folder == "Sent":
        return missing("message")
    boxes = form(f"/message/{mail.number}/reply", textarea("Text", "text"), button("Send"))
    return Page(f"Reply to {mail.person}", (note_of(fields, NOTES), boxes))


def _answer_sent(world: World, fields: Fields, key: str) -> Redirect | Answer:
    mail = find(world.mails, number(key))
    if mail is None or mail.folder == "Sent":
        return Redirect("/")
    path = f"/message/{mail.number}/reply"
    return _send(world, path, mail.person, f"Re: {mail.subject}", fields.get("text", ""))


def _forward(world: World, fields: Fields, key: str) -> Page:
    mail = find(world.mails, number(key))
    if mail is None:
        return missing("message")
    boxes = form(f"/message/{mail.number}/forward", textbox("To", "to"), button("Send"))
    return Page(f"Forward {mail.subject}", (note_of(fields, NOTES), boxes))


def _forward_sent(world: World, fields: Fields, key: str) -> Redirect | Answer:
    mail = find(world.mails, number(key))
    if mail is None:
        return Redirect("/")
    path = f"/message/{mail.number}/forward"
    return _send(world, path, fields.get("to", ""), f"Fwd: {mail.subject}", mail.text)


def _send(world: World, back: str, person: str, subject: str, text: str) -> Redirect | Answer:
    if not (person and subject and text):
        return refuse(back, "fields")
    mail = Mail(next_number(world.mails), "Sent", person, subject, text)
    return Redirect("/folder/Sent"), world.change(mails=(*world.mails, mail))


MAIL = Site(
    host="mail.test",
    title="Post Box",
    colour="#6d28d9",
    links=(
        ("Inbox", "/"),
        *((name, f"/folder/{name}") for name in FOLDERS[1:]),
        ("New message", "/compose"),
    ),
    routes=(
        Route("GET", "/", _inbox),
        Route("GET", "/folder/([A-Za-z]+)", _folder),
        Route("GET", "/message/([0-9]+)", _message),
        Route("POST", "/message/([0-9]+)/(archive|delete|inbox)", _move),
        Route("GET", "/compose", _compose),
        Route("POST", "/compose", _compose_sent),
        Route("GET", "/message/([0-9]+)/reply", _answer),
        Route("POST", "/message/([0-9]+)/reply", _answer_sent),
        Route("GET", "/message/([0-9]+)/forward", _forward),
        Route("POST", "/message/([0-9]+)/forward", _forward_sent),
    ),
)
