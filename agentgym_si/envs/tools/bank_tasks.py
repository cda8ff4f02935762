"""The domain `bank`: its tasks."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np

from agentgym_si.envs.calls import Call
from agentgym_si.envs.tools.bank import (
    POLICY,
    SCHEMA,
    TOOLS,
    fill,
    freeze,
    get_account,
)
from agentgym_si.envs.tools.domain import Domain, Kind, Problem, Reply, others, pick, rows


def accounts(
    database: sqlite3.Connection, rng: np.random.Generator, count: int
) -> list[dict[str, Any]]:
    """Draw accounts."""
    return pick(rng, rows(database, "SELECT * FROM accounts ORDER BY number"), count)


def payees(
    database: sqlite3.Connection, rng: np.random.Generator, count: int
) -> list[dict[str, Any]]:
    """Draw payees."""
    return pick(rng, rows(database, "SELECT * FROM payees ORDER BY name"), count)


def send(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Send money between two accounts that are named."""
    source, target, other = (entry["number"] for entry in accounts(database, rng, 3))
    right = {"source": source, "target": target, "amount": int(rng.integers(11, 480))}
    pay = Call("transfer", right)
    return Problem(
        fields=right,
        steps=(pay, "done"),
        wrong=(
            (pay, pay),
            (Call("transfer", right | {"target": other}),),
            (Call("transfer", right | {"source": target, "target": source}),),
        ),
    )


def lock(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Freeze the account that is named."""
    account, other = (entry["number"] for entry in accounts(database, rng, 2))
    return Problem(
        fields={"account": account},
        steps=(Call("freeze", {"account": account}), "done"),
        wrong=((Call("freeze", {"account": other}),), (Call("unfreeze", {"account": account}),)),
    )


def limit(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Set the limit of the account that is named."""
    account, other = (entry["number"] for entry in accounts(database, rng, 2))
    right = {"account": account, "limit": int(rng.integers(2000, 9999))}
    return Problem(
        fields=right,
        steps=(Call("set_limit", right), "done"),
        wrong=(
            (Call("set_limit", right | {"account": other}),),
            (Call("set_limit", right | {"limit": right["limit"] + 1}),),
        ),
    )


def ask_balance(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Say the balance of an account."""
    account, *rest = accounts(database, rng, 10)
    look, balance = Call("get_account", {"account": account["number"]}), str(account["balance"])
    numbers = [entry["balance"] for entry in rest]
    return Problem(
        fields={"account": account["number"]},
        steps=(look, balance),
        says=(balance,),
        unsaid=others(balance, [*numbers, account["limit"]]),
        wrong=((look, str(account["limit"])), (look, Call("freeze", look.arguments))),
    )


def ask_sent(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Say how much one account sent to another."""
    sent, *rest = pick(rng, rows(database, "SELECT * FROM transfers ORDER BY id"), 12)
    look, amount = Call("list_transfers", {"account": sent["source"]}), str(sent["amount"])
    return Problem(
        fields={"source": sent["source"], "target": sent["target"]},
        steps=(look, amount),
        says=(amount,),
        unsaid=others(amount, [entry["amount"] for entry in rest]),
        wrong=((look, Call("freeze", look.arguments)), (look, str(sent["amount"] + 1))),
    )


def pay_name(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Send money to a payee, whose account has to be found."""
    payee, other = payees(database, rng, 2)
    source = _payer(database, rng, payee, other)
    look, pay = _pay(source, payee, int(rng.integers(11, 480)))
    _, wrong = _pay(source, other, pay.arguments["amount"])
    return Problem(
        fields={"source": source, "name": payee["name"], "amount": pay.arguments["amount"]},
        steps=(look, pay, "done"),
        wrong=((look, wrong), (look, pay, pay)),
    )


def empty(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Send all of an account's money to another, and say how much it was."""
    source, target, *rest = accounts(database, rng, 10)
    query = 'UPDATE accounts SET "limit" = balance WHERE number = ?'
    database.execute(query, (source["number"],))
    look, amount = Call("get_account", {"account": source["number"]}), source["balance"]
    right = {"source": source["number"], "target": target["number"], "amount": amount}
    numbers = [entry["balance"] for entry in (target, *rest)]
    return Problem(
        fields=right,
        steps=(look, Call("transfer", right), str(amount)),
        says=(str(amount),),
        unsaid=others(str(amount), numbers),
        wrong=((look, Call("transfer", right | {"amount": amount - 1})), (look,)),
    )


def ask_account(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Send money to an account that only the user knows."""
    problem = send(database, rng)
    target = problem.fields["target"]
    return Problem(
        fields=problem.fields,
        steps=("To which account?", *problem.steps),
        replies=(Reply(("account", "number", "where", "whom"), f"To account {target}."),),
        wrong=problem.wrong,
    )


def refuse_large(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Refuse a transfer that is larger than the limit."""
    source, target = accounts(database, rng, 2)
    amount = source["limit"] + int(rng.integers(1, 90))
    return _refused(database, source, target, amount)


def refuse_frozen(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Refuse a transfer to an account that is frozen."""
    source, target = accounts(database, rng, 2)
    freeze(database, target["number"])
    problem = _refused(database, source, target, int(rng.integers(11, 480)))
    look = Call("get_account", {"account": target["number"]})
    return Problem(
        fields=problem.fields,
        steps=(look, *problem.steps),
        says=problem.says,
        unsaid=problem.unsaid,
        wrong=tuple((look, *play) for play in problem.wrong),
    )


def _refused(
    database: sqlite3.Connection, source: dict[str, Any], target: dict[str, Any], amount: int
) -> Problem:
    right = {"source": source["number"], "target": target["number"], "amount": amount}
    look, pay = Call("get_account", {"account": source["number"]}), Call("transfer", right)
    largest = str(source["limit"])
    limits = [entry["limit"] for entry in rows(database, 'SELECT "limit" FROM accounts')]
    return Problem(
        fields=right,
        steps=(look, largest),
        says=(largest,),
        unsaid=others(largest, limits),
        wrong=((look, pay), (look, Call("transfer", right | {"amount": source["limit"]}))),
    )


def top_up(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Bring an account to a balance with money from another one, and say what is left there."""
    account, source, *rest = accounts(database, rng, 10)
    lacking = int(rng.integers(11, 480))
    right = {"source": source["number"], "target": account["number"], "amount": lacking}
    looks = [Call("get_account", {"account": right[end]}) for end in ("target", "source")]
    left, pay = str(source["balance"] - lacking), Call("transfer", right)
    numbers = [entry["balance"] for entry in (source, *rest)]
    return Problem(
        fields={**right, "balance": account["balance"] + lacking},
        steps=(*looks, pay, left),
        says=(left,),
        unsaid=others(left, numbers),
        busy={"transfer": 1},
        wrong=((*looks, pay, pay), (*looks, Call("transfer", right | {"amount": lacking + 1}))),
    )


def pay_three(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Send the same to three payees, and say what is left."""
    *three, other = payees(database, rng, 4)
    source, amount = _payer(database, rng, *three, other), int(rng.integers(11, 480))
    pairs = [_pay(source, payee, amount) for payee in three]
    steps = [step for pair in pairs for step in pair]
    balance = get_account(database, source)["balance"]
    look, left = Call("get_account", {"account": source}), str(balance - 3 * amount)
    names = {f"name{place}": payee["name"] for place, payee in enumerate(three)}
    return Problem(
        fields={"source": source, "amount": amount, **names},
        steps=(*steps, look, left),
        says=(left,),
        unsaid=others(left, [balance, balance - 2 * amount, balance - amount]),
        busy={"transfer": 2},
        wrong=((*steps[:-2], *_pay(source, other, amount), look), (*steps, steps[-1], look)),
    )


def _payer(database: sqlite3.Connection, rng: np.random.Generator, *payees: dict[str, Any]) -> int:
    """Draw an account that is none of the payees'."""
    taken = {payee["number"] for payee in payees}
    drawn = [entry["number"] for entry in accounts(database, rng, 10)]
    return int(next(number for number in drawn if number not in taken))


def _pay(source: int, payee: dict[str, Any], amount: int) -> tuple[Call, Call]:
    right = {"source": source, "target": payee["number"], "amount": amount}
    return Call("find_payee", {"name": payee["name"]}), Call("transfer", right)


DOMAIN = Domain(
    name="bank",
    policy=POLICY,
    schema=SCHEMA,
    fill=fill,
    tools=TOOLS,
    kinds=(
        Kind(
            0,
            send,
            train=(
                "Send {amount} from account {source} to account {target}.",
                "From {source} to {target}, transfer {amount}.",
            ),
            test=("Account {target} shall get {amount} out of account {source}.",),
        ),
        Kind(
            0,
            lock,
            train=("Freeze account {account}.", "Account {account} must be frozen."),
            test=("Nobody may use account {account} any more: put it on ice, freeze it.",),
        ),
        Kind(
            0,
            limit,
            train=("Set the limit of account {account} to {limit}.", "Limit {account} to {limit}."),
            test=("Let {limit} be the largest transfer out of account {account}.",),
        ),
        Kind(
            1,
            ask_balance,
            train=("What is the balance of account {account}?", "How much is in {account}?"),
            test=("Tell me what money account {account} holds.",),
        ),
        Kind(
            1,
            ask_sent,
            train=("How much did account {source} send to account {target}?",),
            test=("Account {target} got money from account {source}: say how much.",),
        ),
        Kind(
            2,
            pay_name,
            train=("Send {amount} from account {source} to {name}.",),
            test=("{name} shall get {amount} out of account {source}.",),
        ),
        Kind(
            2,
            empty,
            train=("Send all the money of account {source} to {target}. How much is it?",),
            test=("Leave nothing in {source}: {target} gets it. Name the amount.",),
        ),
        Kind(
            3,
            ask_account,
            train=("Send {amount} from account {source} to my sister.",),
            test=("My sister shall get {amount} out of account {source}.",),
        ),
        Kind(
            3,
            refuse_large,
            train=("Send {amount} from {source} to {target}, if that may be done.",),
            test=("Should the rules let you, give {target} an amount of {amount} from {source}.",),
        ),
        Kind(
            3,
            refuse_frozen,
            train=("Unless it is forbidden, send {amount} from {source} to {target}.",),
            test=("Give {target} an amount of {amount} from {source}, rules permitting.",),
        ),
        Kind(
            4,
            top_up,
            train=(
                "Bring account {target} to a balance of {balance} with money from account "
                "{source}. How much is left there?",
            ),
            test=(
                "Account {target} needs to hold exactly {balance}; take what it lacks from "
                "{source}, and say what remains in that one.",
            ),
        ),
        Kind(
            4,
            pay_three,
            train=(
                "Send {amount} each to {name0}, {name1} and {name2} from account {source}. How "
                "much is left in it?",
            ),
            test=(
                "{name0}, {name1} and {name2} shall each get {amount} out of account {source}; "
                "say what it holds then.",
            ),
        ),
    ),
)
