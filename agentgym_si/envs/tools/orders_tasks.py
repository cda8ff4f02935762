"""The domain `orders`: its tasks."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np

from agentgym_si.envs.calls import Call
from agentgym_si.envs.tools.domain import Domain, Kind, Problem, Reply, others, pick, rows
from agentgym_si.envs.tools.orders import (
    POLICY,
    RETURN_DAYS,
    SCHEMA,
    TODAY,
    TOOLS,
    fill,
    get_product,
)
from agentgym_si.envs.tools.words import CITIES, NAMES


def some(
    database: sqlite3.Connection, rng: np.random.Generator, status: str, count: int = 1
) -> list[dict[str, Any]]:
    """Draw orders of a status."""
    return pick(rng, rows(database, "SELECT * FROM orders WHERE status = ?", status), count)


def cancel(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Cancel the order that is named."""
    order, other = (entry["number"] for entry in some(database, rng, "pending", 2))
    return Problem(
        fields={"order": order},
        steps=(Call("cancel_order", {"order": order}), "done"),
        wrong=(
            (Call("cancel_order", {"order": other}),),
            (Call("return_order", {"order": order}),),
        ),
    )


def redirect(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Send the order that is named to another city."""
    order, other = some(database, rng, "pending", 2)
    city, wrong = pick(rng, [name for name in CITIES if name != order["city"]], 2)
    change = {"order": order["number"], "city": city}
    return Problem(
        fields=change,
        steps=(Call("change_city", change), "done"),
        wrong=(
            (Call("change_city", change | {"order": other["number"]}),),
            (Call("change_city", change | {"city": wrong}),),
        ),
    )


def resize(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Change the pieces of the order that is named."""
    order, other = some(database, rng, "pending", 2)
    change = {"order": order["number"], "pieces": order["pieces"] + int(rng.integers(1, 100))}
    return Problem(
        fields=change,
        steps=(Call("change_pieces", change), "done"),
        wrong=(
            (Call("change_pieces", change | {"order": other["number"]}),),
            (Call("change_pieces", change | {"pieces": change["pieces"] + 1}),),
            (Call("cancel_order", {"order": order["number"]}),),
        ),
    )


def ask_price(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Say what a product costs."""
    product, *rest = pick(rng, rows(database, "SELECT * FROM products"), 10)
    price = str(product["price"])
    return Problem(
        fields={"item": product["item"]},
        steps=(Call("get_product", {"item": product["item"]}), price),
        says=(price,),
        unsaid=others(price, [other["price"] for other in rest]),
        wrong=((Call("get_product", {"item": product["item"]}), str(product["price"] + 1)),),
    )


def ask_pieces(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Say how many pieces an order has."""
    order, *rest = pick(rng, rows(database, "SELECT * FROM orders"), 16)
    pieces, look = str(order["pieces"]), Call("get_order", {"order": order["number"]})
    return Problem(
        fields={"order": order["number"]},
        steps=(look, pieces),
        says=(pieces,),
        unsaid=others(pieces, [other["pieces"] for other in rest]),
        wrong=((look, Call("cancel_order", {"order": order["number"]})),),
    )


def cancel_by_name(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Cancel a customer's order of a product, whose number has to be found."""
    order, other = some(database, rng, "pending", 2)
    customer, item = order["customer"], order["item"]
    query = "DELETE FROM orders WHERE customer = ? AND item = ? AND number <> ?"
    database.execute(query, (customer, item, order["number"]))
    look = Call("find_orders", {"customer": customer})
    return Problem(
        fields={"customer": customer, "item": item},
        steps=(look, Call("cancel_order", {"order": order["number"]}), "done"),
        wrong=(
            (look, Call("cancel_order", {"order": other["number"]})),
            (look, Call("return_order", {"order": order["number"]})),
        ),
    )


def buy(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Place an order and say its total."""
    product = pick(rng, rows(database, "SELECT * FROM products"))[0]
    (customer,), (city,), pieces = pick(rng, NAMES), pick(rng, CITIES), int(rng.integers(2, 90))
    order = {"customer": customer, "item": product["item"], "pieces": pieces, "city": city}
    total, place = str(product["price"] * pieces), Call("place_order", order)
    return Problem(
        fields=order,
        steps=(place, total),
        says=(total,),
        unsaid=others(total, [product["price"]]),
        wrong=((place, place), (Call("place_order", order | {"pieces": pieces + 1}),)),
    )


def ask_city(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Send an order to a city that only the user knows."""
    problem = redirect(database, rng)
    city = problem.fields["city"]
    return Problem(
        fields={"order": problem.fields["order"]},
        steps=("Which city?", *problem.steps),
        replies=(Reply(("city", "where", "address", "town"), f"To {city}."),),
        wrong=problem.wrong,
    )


def refuse_cancel(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Refuse to cancel an order that is on its way."""
    order = pick(rng, rows(database, "SELECT * FROM orders WHERE status = 'pending'"))[0]
    database.execute("UPDATE orders SET status = 'shipped' WHERE number = ?", (order["number"],))
    return _refused(database, order, "cancel_order")


def refuse_return(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Refuse to take an order back that was delivered too long ago."""
    order = pick(rng, rows(database, "SELECT * FROM orders"))[0]
    order["day"] = TODAY - RETURN_DAYS - int(rng.integers(1, 60))
    query = "UPDATE orders SET status = 'delivered', day = ? WHERE number = ?"
    database.execute(query, (order["day"], order["number"]))
    return _refused(database, order, "return_order")


def _refused(database: sqlite3.Connection, order: dict[str, Any], tool: str) -> Problem:
    number, day = order["number"], str(order["day"])
    look = Call("get_order", {"order": number})
    rest = rows(database, "SELECT day FROM orders WHERE number <> ?", number)
    return Problem(
        fields={"order": number},
        steps=(look, day),
        says=(day,),
        unsaid=others(day, [other["day"] for other in rest]),
        wrong=((Call(tool, {"order": number}),), (look, Call(tool, {"order": number}))),
    )


def cancel_all(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Cancel all of a customer's pending orders, and say how many pieces they had."""
    (customer,) = pick(rng, [name["customer"] for name in rows(database, _BUYERS)])
    own = some(database, rng, "pending", 3)
    for order in own:
        query = "UPDATE orders SET customer = ? WHERE number = ?"
        database.execute(query, (customer, order["number"]))
    found = rows(database, "SELECT * FROM orders WHERE customer = ? ORDER BY number", customer)
    pending = [order for order in found if order["status"] == "pending"]
    cancels = [Call("cancel_order", {"order": order["number"]}) for order in pending]
    total = str(sum(order["pieces"] for order in pending))
    look = Call("find_orders", {"customer": customer})
    kept = [Call("cancel_order", {"order": o["number"]}) for o in found if o not in pending]
    return Problem(
        fields={"customer": customer},
        steps=(look, *cancels, total),
        says=(total,),
        unsaid=others(total, [sum(order["pieces"] for order in found)]),
        busy={"cancel_order": 1},
        wrong=((look, *cancels[1:]), *((look, *cancels, cancel) for cancel in kept[:1])),
    )


def buy_again(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Order once more what an order holds, as many as are left where too few are, and say which."""
    order = pick(rng, rows(database, "SELECT * FROM orders WHERE pieces > 9"))[0]
    product = get_product(database, order["item"])
    stock = int(rng.integers(2, order["pieces"]))
    query = "UPDATE products SET stock = ? WHERE item = ?"
    database.execute(query, (stock, order["item"]))
    wanted = {name: order[name] for name in ("customer", "item", "pieces", "city")}
    look, full = Call("get_order", {"order": order["number"]}), Call("place_order", wanted)
    rest, total = Call("place_order", wanted | {"pieces": stock}), str(product["price"] * stock)
    return Problem(
        fields={"order": order["number"]},
        steps=(look, full, rest, total),
        says=(total,),
        unsaid=others(total, [product["price"] * order["pieces"]]),
        busy={"get_order": 1},
        wrong=((look, full), (look, Call("place_order", wanted | {"pieces": 1}))),
    )


_BUYERS = "SELECT DISTINCT customer FROM orders WHERE status = 'pending' ORDER BY customer"


DOMAIN = Domain(
    name="orders",
    policy=POLICY,
    schema=SCHEMA,
    fill=fill,
    tools=TOOLS,
    kinds=(
        Kind(
            0,
            cancel,
            train=("Cancel order {order}.", "Please cancel order {order}."),
            test=("I no longer want order {order}, drop it.",),
        ),
        Kind(
            0,
            redirect,
            train=("Send order {order} to {city}.", "Order {order} should go to {city}."),
            test=("I moved: {city} is where order {order} must arrive.",),
        ),
        Kind(
            0,
            resize,
            train=("Change order {order} to {pieces} pieces.", "Order {order}: {pieces} pieces."),
            test=("I need {pieces} pieces in order {order} instead.",),
        ),
        Kind(
            1,
            ask_price,
            train=("What does one {item} cost?", "Tell me the price of the {item}."),
            test=("How much would I pay for a single {item}?",),
        ),
        Kind(
            1,
            ask_pieces,
            train=("How many pieces are in order {order}?", "Order {order}: how many pieces?"),
            test=("Remind me of the number of pieces that order {order} has.",),
        ),
        Kind(
            2,
            cancel_by_name,
            train=(
                "Cancel the {item} order of {customer}.",
                "{customer} does not want the {item}: cancel it.",
            ),
            test=("{customer} regrets having ordered the {item}: undo that.",),
        ),
        Kind(
            2,
            buy,
            train=("Order {pieces} pieces of {item} to {city} for {customer}. What is the total?",),
            test=("{customer} in {city} wants {item}, {pieces} pieces. Buy, and say the total.",),
        ),
        Kind(
            3,
            ask_city,
            train=("Send order {order} to my new address.", "Order {order} goes to my new city."),
            test=("I have moved, so let order {order} arrive at the new place.",),
        ),
        Kind(
            3,
            refuse_cancel,
            train=("Cancel order {order}, if that may be done.",),
            test=("Should the rules let you, drop order {order}.",),
        ),
        Kind(
            3,
            refuse_return,
            train=("Take order {order} back, if that may be done.",),
            test=("Should the rules let you, I return order {order}.",),
        ),
        Kind(
            4,
            cancel_all,
            train=(
                "Cancel all pending orders of {customer}. How many pieces were in them together?",
            ),
            test=(
                "{customer} wants nothing that is still pending: undo it, and add the pieces up.",
            ),
        ),
        Kind(
            4,
            buy_again,
            train=("Place order {order} once more, or as much as is in stock. What is the total?",),
            test=(
                "Repeat order {order}; should stock be short, take all there is. Say the total.",
            ),
        ),
    ),
)
