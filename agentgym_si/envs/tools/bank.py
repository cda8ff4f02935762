"""The world of the domain `bank`: accounts, payees and transfers."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any

import numpy as np

from agentgym_si.envs.tools.domain import (
    pick,
    row,
    rows,
)
from agentgym_si.envs.tools.words import NAMES
from agentgym_si.errors import ActionError

POLICY = """Policy: No transfer may be larger than the limit of the account it comes from, and no \
money may be sent to a frozen account. If the policy forbids what is wanted, change nothing and \
tell the user the limit of the account the money should have come from."""

SCHEMA = """
CREATE TABLE accounts (
    number INT PRIMARY KEY, owner TEXT NOT NULL, balance INT NOT NULL CHECK (balance >= 0),
    "limit" INT NOT NULL, frozen INT NOT NULL
);
CREATE TABLE payees (name TEXT PRIMARY KEY, number INT NOT NULL REFERENCES accounts);
CREATE TABLE transfers (
    id INTEGER PRIMARY KEY, source INT NOT NULL, target INT NOT NULL, amount INT NOT NULL
);
"""


Account = Annotated[int, {"description": "number of the account"}]
Name = Annotated[str, {"description": "first name of the payee"}]
Source = Annotated[int, {"description": "number of the account that pays"}]
Target = Annotated[int, {"description": "number of the account that gets it"}]
Amount = Annotated[int, {"minimum": 1, "description": "how much"}]
Limit = Annotated[int, {"minimum": 1, "description": "the largest amount of one transfer"}]


def fill(database: sqlite3.Connection, rng: np.random.Generator) -> None:
    """Put 10 accounts in, the owners of six of them as payees, and 12 past transfers."""
    owners = pick(rng, NAMES, 10)
    numbers = (10_000 + rng.choice(90_000, 10, replace=False)).tolist()
    money = rng.integers((2000, 500), (9000, 1900), (10, 2)).tolist()
    database.executemany(
        "INSERT INTO accounts VALUES (?, ?, ?, ?, 0)",
        [(number, owner, *row) for number, owner, row in zip(numbers, owners, money, strict=True)],
    )
    payees = zip(owners[:6], numbers[:6], strict=True)
    database.executemany("INSERT INTO payees VALUES (?, ?)", payees)
    past = rng.choice(90, 12, replace=False).tolist()
    amounts = rng.integers(10, 500, 12).tolist()
    database.executemany(
        "INSERT INTO transfers (source, target, amount) VALUES (?, ?, ?)",
        [
            (numbers[pair // 9], numbers[(pair // 9 + 1 + pair % 9) % 10], amount)
            for pair, amount in zip(past, amounts, strict=True)
        ],
    )


# Tools ------------------------------------------------------------------------------------


def get_account(database: sqlite3.Connection, account: Account) -> dict[str, Any]:
    """Show owner, balance and limit of an account, and whether it is frozen."""
    query = "SELECT * FROM accounts WHERE number = ?"
    found = row(database, query, account, missing=f"no account {account}")
    return {**found, "frozen": bool(found["frozen"])}


def find_payee(database: sqlite3.Connection, name: Name) -> dict[str, Any]:
    """Show the account number of a payee."""
    return row(database, "SELECT * FROM payees WHERE name = ?", name, missing=f"no payee {name}")


def list_transfers(database: sqlite3.Connection, account: Account) -> list[dict[str, Any]]:
    """List the transfers from an account."""
    get_account(database, account)
    query = "SELECT target, amount FROM transfers WHERE source = ? ORDER BY id"
    return rows(database, query, account)


def transfer(database: sqlite3.Connection, source: Source, target: Target, amount: Amount) -> str:
    """Send money from one account to another."""
    payer = get_account(database, source)
    get_account(database, target)
    if source == target:
        raise ActionError("expected two different accounts")
    if amount > payer["balance"]:
        raise ActionError(f"only {payer['balance']} in account {source}")
    query = "INSERT INTO transfers (source, target, amount) VALUES (?, ?, ?)"
    database.execute(query, (source, target, amount))
    query = "UPDATE accounts SET balance = balance + ? WHERE number = ?"
    database.executemany(query, [(-amount, source), (amount, target)])
    return "done"


def freeze(database: sqlite3.Connection, account: Account) -> str:
    """Freeze an account."""
    return _change(database, account, "frozen", 1)


def unfreeze(database: sqlite3.Connection, account: Account) -> str:
    """End the freeze of an account."""
    return _change(database, account, "frozen", 0)


def set_limit(database: sqlite3.Connection, account: Account, limit: Limit) -> str:
    """Set the limit of an account's transfers."""
    return _change(database, account, "limit", limit)


def add_payee(database: sqlite3.Connection, name: Name, account: Account) -> str:
    """Remember the account of a payee."""
    get_account(database, account)
    database.execute("INSERT INTO payees VALUES (?, ?)", (name, account))
    return "done"


def _change(database: sqlite3.Connection, account: int, column: str, value: int) -> str:
    if get_account(database, account)[column] == value:
        raise ActionError(f"{column} of account {account} is set so already")
    database.execute(f'UPDATE accounts SET "{column}" = ? WHERE number = ?', (value, account))
    return "done"


TOOLS = (
    get_account,
    find_payee,
    list_transfers,
    transfer,
    freeze,
    unfreeze,
    set_limit,
    add_payee,
)
