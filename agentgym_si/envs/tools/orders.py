"""The world of the domain `orders`: a shop's products and orders."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any

import numpy as np

from agentgym_si.envs.tools.domain import (
    pick,
    row,
    rows,
)
from agentgym_si.envs.tools.words import CITIES, ITEMS, NAMES
from agentgym_si.errors import ActionError

TODAY = 200
RETURN_DAYS = 30

POLICY = f"""Policy: Only pending orders may be cancelled or changed. A delivered order may be \
returned within {RETURN_DAYS} days of its day; today is day {TODAY}. If the policy forbids what \
is wanted, change nothing and tell the user the order's day."""

SCHEMA = """
CREATE TABLE products (item TEXT PRIMARY KEY, price INT NOT NULL, stock INT NOT NULL);
CREATE TABLE orders (
    number INT PRIMARY KEY, customer TEXT NOT NULL, item TEXT NOT NULL, pieces INT NOT NULL,
    status TEXT NOT NULL, city TEXT NOT NULL, day INT NOT NULL
);
"""


OrderNumber = Annotated[int, {"description": "number of the order"}]
Customer = Annotated[str, {"description": "first name"}]
Item = Annotated[str, {"description": "name of the product"}]
Pieces = Annotated[int, {"minimum": 1, "description": "how many"}]
City = Annotated[str, {"description": "where the pieces go"}]


def fill(database: sqlite3.Connection, rng: np.random.Generator) -> None:
    """Put 10 products and 16 orders of 6 customers in."""
    items, customers = pick(rng, ITEMS, 10), pick(rng, NAMES, 6)
    prices, stocks = rng.integers(3, 200, 10).tolist(), rng.integers(200, 1000, 10).tolist()
    database.executemany(
        "INSERT INTO products VALUES (?, ?, ?)", zip(items, prices, stocks, strict=True)
    )
    numbers = (10_000 + rng.choice(90_000, 16, replace=False)).tolist()
    draws = rng.integers((0, 0, 2, 0, 0, TODAY - 90), (6, 10, 100, 3, 40, TODAY - 2), (16, 6))
    database.executemany(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number,
                customers[customer],
                items[item],
                pieces,
                ("pending", "shipped", "delivered")[status if place > 3 else 0],
                CITIES[city],
                day,
            )
            for place, (number, (customer, item, pieces, status, city, day)) in enumerate(
                zip(numbers, draws.tolist(), strict=True)
            )
        ],
    )


# Tools ------------------------------------------------------------------------------------


def get_order(database: sqlite3.Connection, order: OrderNumber) -> dict[str, Any]:
    """Show an order."""
    query = "SELECT * FROM orders WHERE number = ?"
    return row(database, query, order, missing=f"no order {order}")


def find_orders(database: sqlite3.Connection, customer: Customer) -> list[dict[str, Any]]:
    """List a customer's orders."""
    query = "SELECT number, item, pieces, status FROM orders WHERE customer = ? ORDER BY number"
    return rows(database, query, customer)


def get_product(database: sqlite3.Connection, item: Item) -> dict[str, Any]:
    """Show price and stock of a product."""
    query = "SELECT * FROM products WHERE item = ?"
    return row(database, query, item, missing=f"no product {item}")


def cancel_order(database: sqlite3.Connection, order: OrderNumber) -> str:
    """Cancel an order."""
    return _change(database, order, "status", "cancelled")


def return_order(database: sqlite3.Connection, order: OrderNumber) -> str:
    """Take an order back."""
    return _change(database, order, "status", "returned")


def change_city(database: sqlite3.Connection, order: OrderNumber, city: City) -> str:
    """Send an order to another city."""
    return _change(database, order, "city", city)


def change_pieces(database: sqlite3.Connection, order: OrderNumber, pieces: Pieces) -> str:
    """Change how many pieces are ordered."""
    return _change(database, order, "pieces", pieces)


def place_order(
    database: sqlite3.Connection, customer: Customer, item: Item, pieces: Pieces, city: City
) -> dict[str, Any]:
    """Order a product; return the number and the total price."""
    product = get_product(database, item)
    if pieces > product["stock"]:
        raise ActionError(f"only {product['stock']} pieces of {item} in stock")
    (number,) = database.execute("SELECT MAX(number) + 1 FROM orders").fetchone()
    database.execute("UPDATE products SET stock = stock - ? WHERE item = ?", (pieces, item))
    order = (number, customer, item, pieces, "pending", city, TODAY)
    database.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", order)
    return {"number": number, "total": product["price"] * pieces}


def _change(database: sqlite3.Connection, order: int, column: str, value: Any) -> str:
    if get_order(database, order)[column] == value:
        raise ActionError(f"{column} of order {order} is {value} already")
    database.execute(f"UPDATE orders SET {column} = ? WHERE number = ?", (value, order))
    return "done"


TOOLS = (
    get_order,
    find_orders,
    get_product,
    cancel_order,
    return_order,
    change_city,
    change_pieces,
    place_order,
)
