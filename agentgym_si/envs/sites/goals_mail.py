"""Goals on mail.test."""

from __future__ import annotations

import numpy as np

from agentgym_si.envs.sites.goals import Kind, Problem, others
from agentgym_si.envs.sites.intents import click, fill, give_up, say
from agentgym_si.envs.sites.internet import HOME as ALL_SITES
from agentgym_si.envs.sites.mail import MAIL
from agentgym_si.envs.sites.world import Mail, World, swap
from agentgym_si.envs.tools.domain import pick
from agentgym_si.envs.tools.words import NAMES

HOME = MAIL.url("/")

TEXTS = (
    "I will be there",
    "Not this week",
    "Call me tonight",
    "That is fine with me",
    "Let us wait a little",
    "See you on the square",
    "I have no time now",
    "Many thanks to you",
)

SUBJECTS = ("The party", "My new address", "A short trip", "The blue car", "Next week", "The bill")


def _two(world: World, rng: np.random.Generator) -> tuple[Mail, Mail]:
    mail, other = pick(rng, world.mails, 2)
    return mail, other


def _page(mail: Mail) -> str:
    return MAIL.url(f"/message/{mail.number}")


def open_message(world: World, rng: np.random.Generator) -> Problem:
    """Open a message."""
    mail, other = _two(world, rng)
    return Problem(
        world,
        {"subject": mail.subject},
        (click(mail.subject),),
        start=HOME,
        page=_page(mail),
        wrong=((click(other.subject),),),
    )


def delete(world: World, rng: np.random.Generator) -> Problem:
    """Delete the message that is shown."""
    return Problem(
        world,
        {},
        (click("Delete message"),),
        start=_page(pick(rng, world.mails)[0]),
        wrong=((click("Archive message"),),),
    )


def archive(world: World, rng: np.random.Generator) -> Problem:
    """Archive the message that is shown."""
    return Problem(
        world,
        {},
        (click("Archive message"),),
        start=_page(pick(rng, world.mails)[0]),
        wrong=((click("Delete message"),),),
    )


def ask_sender(world: World, rng: np.random.Generator) -> Problem:
    """Say who a message is from."""
    mail, other = _two(world, rng)
    return Problem(
        world,
        {"subject": mail.subject},
        (say(mail.person),),
        start=HOME,
        says=(mail.person,),
        unsaid=others(mail.person, [other.person for other in world.mails]),
        seen=(f"from {mail.person}",),
        wrong=((say(other.person),), (say(f"{mail.person} {other.person}"),)),
    )


def delete_named(world: World, rng: np.random.Generator) -> Problem:
    """Find a message and delete it."""
    mail, other = _two(world, rng)
    return Problem(
        world,
        {"subject": mail.subject},
        (click(mail.subject), click("Delete message")),
        start=HOME,
        wrong=(
            (click(other.subject), click("Delete message")),
            (click(mail.subject), click("Archive message")),
        ),
    )


def reply(world: World, rng: np.random.Generator) -> Problem:
    """Answer a message."""
    mail, other = _two(world, rng)
    text, wrong = pick(rng, TEXTS, 2)
    plays = [
        (click(chosen.subject), click("Reply"), fill("Text", said), click("Send"))
        for chosen, said in ((mail, text), (other, text), (mail, wrong))
    ]
    return Problem(
        world,
        {"subject": mail.subject, "text": text},
        plays[0],
        start=HOME,
        wrong=(*plays[1:], (*plays[0][:2], click("Send"))),
    )


def write(world: World, rng: np.random.Generator) -> Problem:
    """Write a message."""
    person, wrong = pick(rng, NAMES, 2)
    subject, text = pick(rng, SUBJECTS)[0], pick(rng, TEXTS)[0]

    go = click("New message")
    boxes = (fill("Subject", subject), fill("Text", text), click("Send"))
    return Problem(
        world,
        {"person": person, "subject": subject, "text": text},
        (go, fill("To", person), *boxes),
        start=HOME,
        wrong=((go, fill("To", wrong), *boxes), (go, *boxes)),
    )


def clear_two(world: World, rng: np.random.Generator) -> Problem:
    """Archive two messages."""
    mails = pick(rng, world.mails, 3)
    first, second, third = (
        (click(mail.subject), click("Archive message"))
        for mail in sorted(mails, key=lambda mail: mail.number)
    )
    names = [mail.subject for mail in sorted(mails, key=lambda mail: mail.number)]
    return Problem(
        world,
        {"first": names[0], "second": names[1]},
        (*first, *second),
        start=HOME,
        wrong=(first, (*third, *first, *second), (*first, *third)),
    )


def forward(world: World, rng: np.random.Generator) -> Problem:
    """Pass a message on."""
    mail, other = _two(world, rng)
    person, wrong = pick(rng, NAMES, 2)
    plays = [
        (click(chosen.subject), click("Forward"), fill("To", to), click("Send"))
        for chosen, to in ((mail, person), (other, person), (mail, wrong))
    ]
    return Problem(
        world,
        {"subject": mail.subject, "person": person},
        plays[0],
        start=HOME,
        wrong=tuple(plays[1:]),
    )


def no_such_message(world: World, rng: np.random.Generator) -> Problem:
    """Say that there is no message from somebody."""
    senders = {mail.person for mail in world.mails}
    person = pick(rng, [name for name in NAMES if name not in senders])[0]
    mail, other = world.mails[0], world.mails[1]
    text = pick(rng, TEXTS)[0]
    look = click(MAIL.title)
    return Problem(
        world,
        {"person": person, "text": text},
        (look, give_up("no such message")),
        start=ALL_SITES,
        infeasible=True,
        seen=(mail.subject, other.subject),
        wrong=(
            (look, say("no such message")),
            (look, click(mail.subject), click("Delete message"), give_up("no such message")),
        ),
    )


def move_back(world: World, rng: np.random.Generator) -> Problem:
    """Get a message out of the trash."""
    mail, other = _two(world, rng)
    trash = [old._replace(folder="Trash") for old in (mail, other)]
    mails = swap(swap(world.mails, mail, trash[0]), other, trash[1])
    plays = [(click("Trash"), click(old.subject), click("Move to inbox")) for old in (mail, other)]
    return Problem(
        world.change(mails=mails),
        {"subject": mail.subject},
        plays[0],
        start=HOME,
        wrong=(plays[1], (*plays[0][:2], click("Archive message"))),
    )


KINDS = (
    Kind(
        "mail",
        0,
        open_message,
        ('Open the message "{subject}".', 'Show me the mail "{subject}".'),
        ('I want to read "{subject}".',),
    ),
    Kind(
        "mail",
        0,
        delete,
        ("Delete this message.", "Put this mail into the trash."),
        ("I do not need this one: delete it.",),
    ),
    Kind(
        "mail",
        0,
        archive,
        ("Archive this message.", "Put this mail into the archive."),
        ("Keep this one, but archive it.",),
    ),
    Kind(
        "mail",
        0,
        ask_sender,
        ('Who is the message "{subject}" from?', 'Sender of "{subject}"?'),
        ('Tell me who wrote "{subject}".',),
    ),
    Kind(
        "mail",
        1,
        delete_named,
        ('Delete the message "{subject}".', 'Put the mail "{subject}" into the trash.'),
        ('I do not need "{subject}": delete it.',),
    ),
    Kind(
        "mail",
        2,
        reply,
        ('Reply "{text}" to the message "{subject}".', 'Answer the mail "{subject}": "{text}".'),
        ('Who wrote "{subject}" is to get the answer "{text}".',),
    ),
    Kind(
        "mail",
        2,
        write,
        (
            'Write to "{person}": subject "{subject}", text "{text}".',
            'Send "{person}" a mail with the subject "{subject}" and the text "{text}".',
        ),
        ('A new message "{subject}" that says "{text}" goes to "{person}".',),
    ),
    Kind(
        "mail",
        2,
        clear_two,
        (
            'Archive the messages "{first}" and "{second}".',
            'Put "{first}" and "{second}" into the archive.',
        ),
        ('"{first}" and "{second}" are done with: archive both.',),
    ),
    Kind(
        "mail",
        2,
        move_back,
        ('Get the message "{subject}" out of the trash, into the inbox.',),
        ('"{subject}" was deleted by mistake: back to the inbox with it.',),
        held_out=True,
    ),
    Kind(
        "mail",
        2,
        forward,
        ('Forward the message "{subject}" to "{person}".',),
        ('"{person}" should get a copy of "{subject}".',),
        held_out=True,
    ),
    Kind(
        "mail",
        1,
        no_such_message,
        ('Reply "{text}" to the message in my inbox from {person}.',),
        ('In my inbox, answer "{text}" to what {person} wrote.',),
        held_out=True,
    ),
)
