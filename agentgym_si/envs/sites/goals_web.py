"""Goals on several sites: what one of them tells is done on another."""

from __future__ import annotations

import numpy as np

from agentgym_si.envs.sites.calendar import CALENDAR, clock
from agentgym_si.envs.sites.forum import FORUM
from agentgym_si.envs.sites.goals import Kind, Problem, others
from agentgym_si.envs.sites.intents import Intent, choose, click, fill, say
from agentgym_si.envs.sites.mail import MAIL
from agentgym_si.envs.sites.shop import SHOP
from agentgym_si.envs.sites.wiki import WIKI
from agentgym_si.envs.sites.world import DAYS, Product, World, swap
from agentgym_si.envs.tools.domain import pick
from agentgym_si.envs.tools.words import NAMES


def _add(product: Product) -> tuple[Intent, ...]:
    """From the page of all sites: put a product into the cart."""
    return (
        click(SHOP.title),
        fill("Search the shop", product.name),
        click("Search"),
        click(product.name),
        click("Add to cart"),
    )


def find_fact(world: World, rng: np.random.Generator) -> Problem:
    """Find an article with the search engine and say a fact of it."""
    article = pick(rng, world.articles)[0]
    (name, value), *rest = pick(rng, article.facts, len(article.facts))
    look = (fill("Search all sites", article.title), click("Search"), click(article.title))
    return Problem(
        world,
        {"title": article.title, "fact": name.lower()},
        (*look, say(value)),
        says=(value,),
        unsaid=others(value, [other for _, other in rest]),
        seen=(value,),
        wrong=((*look, say(rest[0][1])),),
    )


def find_thread(world: World, rng: np.random.Generator) -> Problem:
    """Find a thread with the search engine and vote for it."""
    thread, other = pick(rng, world.threads, 2)
    plays = [
        (fill("Search all sites", chosen.title), click("Search"), click(chosen.title))
        for chosen in (thread, other)
    ]
    return Problem(
        world,
        {"title": thread.title},
        (*plays[0], click("Upvote")),
        wrong=((*plays[1], click("Upvote")), plays[0]),
    )


def mail_to_cart(world: World, rng: np.random.Generator) -> Problem:
    """Put what somebody asks for in a mail into the cart."""
    mail, (product, other) = pick(rng, world.mails)[0], pick(rng, world.products, 2)
    asking = mail._replace(text=f"Please get me one {product.name} from the shop.")
    look = (click(MAIL.title), click(mail.subject), click("All sites"))
    return Problem(
        world.change(mails=swap(world.mails, mail, asking)),
        {"subject": mail.subject},
        (*look, *_add(product)),
        wrong=((*look, *_add(other)), look),
    )


def thread_to_cart(world: World, rng: np.random.Generator) -> Problem:
    """Put what a thread recommends into the cart."""
    thread, (product, other) = pick(rng, world.threads)[0], pick(rng, world.products, 2)
    praise = thread._replace(text=f"You all should have the {product.name}.")
    look = (click(FORUM.title), click(thread.board), click(thread.title), click("All sites"))
    return Problem(
        world.change(threads=swap(world.threads, thread, praise)),
        {"title": thread.title, "board": thread.board},
        (*look, *_add(product)),
        wrong=((*look, *_add(other)),),
    )


def mail_to_calendar(world: World, rng: np.random.Generator) -> Problem:
    """Put the meeting that a mail names into the calendar."""
    mail, (day, other) = pick(rng, world.mails)[0], pick(rng, DAYS, 2)
    taken = {event.hour for event in world.events if event.day in (day, other)}
    hour = pick(rng, [hour for hour in range(8, 20) if hour not in taken])[0]
    asking = mail._replace(text=f"Let us meet on {day} at {clock(hour)}.")
    title = f"Meet {mail.person}"
    look = (click(MAIL.title), click(mail.subject), click("All sites"), click(CALENDAR.title))
    plays = [
        (
            click("New event"),
            fill("Title", title),
            choose("Day", on),
            choose("Time", clock(hour)),
            click("Save"),
        )
        for on in (day, other)
    ]
    return Problem(
        world.change(mails=swap(world.mails, mail, asking)),
        {"subject": mail.subject, "title": title},
        (*look, *plays[0]),
        wrong=((*look, *plays[1]),),
    )


def fact_to_mail(world: World, rng: np.random.Generator) -> Problem:
    """Write somebody what the wiki says."""
    town, other = pick(rng, [one for one in world.articles if one.kind == "Towns"], 2)
    person = pick(rng, NAMES)[0]
    look = (click(WIKI.title), click("Towns"), click(town.title), click("All sites"))
    plays = [
        (
            click(MAIL.title),
            click("New message"),
            fill("To", person),
            fill("Subject", town.title),
            fill("Text", chosen.fact("Founded")),
            click("Send"),
        )
        for chosen in (town, other)
    ]
    return Problem(
        world,
        {"town": town.title, "person": person},
        (*look, *plays[0]),
        wrong=((*look, *plays[1]),),
    )


KINDS = (
    Kind(
        "web",
        2,
        find_fact,
        (
            'Find the page "{title}" and say its {fact}.',
            'Search all sites for "{title}": what is the {fact}?',
        ),
        ('Somewhere there is a page on "{title}": tell me the {fact}.',),
    ),
    Kind(
        "web",
        2,
        find_thread,
        (
            'Find the thread "{title}" and vote for it.',
            'Search all sites for "{title}" and upvote it.',
        ),
        ('Somewhere people talk about "{title}": give that thread your vote.',),
    ),
    Kind(
        "web",
        3,
        mail_to_cart,
        (
            'Read the mail "{subject}" and put what it asks for into the cart of the shop.',
            'The mail "{subject}" asks for something: into the cart with it, one piece.',
        ),
        ('Somebody wants a thing, see "{subject}" in the inbox: put one into my cart.',),
    ),
    Kind(
        "web",
        3,
        thread_to_cart,
        (
            'Put one of what the thread "{title}" ({board}) recommends into the cart of the shop.',
            'Read "{title}" in {board} on the forum; into the cart with the product, one piece.',
        ),
        ('The forum ({board}) praises a product in "{title}": I want one in my cart.',),
    ),
    Kind(
        "web",
        3,
        mail_to_calendar,
        (
            'Put the meeting of the mail "{subject}" into the calendar as "{title}".',
            'The mail "{subject}" names a day and an hour: add the event "{title}" then.',
        ),
        ('See "{subject}" in the inbox; the calendar needs "{title}" at that time.',),
    ),
    Kind(
        "web",
        3,
        fact_to_mail,
        (
            'Write to "{person}": subject "{town}", text only the year in which the wiki says '
            "{town} was founded.",
        ),
        (
            'A mail to "{person}" with the subject "{town}", whose text is the year in which that '
            "town was founded, as the wiki has it.",
        ),
        held_out=True,
    ),
)
