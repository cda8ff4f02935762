"""The tools of τ-bench's retail domain: a refusal is a result that begins with "Error:"."""

from __future__ import annotations

import ast
import json
import operator
import sqlite3
from typing import Annotated, Any

Address1 = Annotated[str, {"description": "first line, such as '123 Main St'"}]
Address2 = Annotated[str, {"description": "second line, such as 'Apt 1' or ''"}]
OrderId = Annotated[str, {"description": "such as '#W0000000', with the '#'"}]
ItemIds = Annotated[list[str], {"description": "ids of items of the order; may hold duplicates"}]
NewItemIds = Annotated[
    list[str], {"description": "id of an item of the same product for each of item_ids, in order"}
]
PaymentId = Annotated[str, {"description": "such as 'gift_card_0000000', of the user's"}]
Reason = Annotated[str, {"description": "'no longer needed' or 'ordered by mistake'"}]
ProductId = Annotated[str, {"description": "not the id of an item"}]

REASONS = ("no longer needed", "ordered by mistake")

_OPERATORS: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


class Refused(Exception):
    """Why a tool did nothing, as the benchmark words it."""


def calculate(database: sqlite3.Connection, expression: str) -> str:
    """Work out numbers with + - * / and parentheses, such as '2 + 2'."""
    if len(expression) > 1000 or not set(expression) <= set("0123456789+-*/(). "):
        return "Error: invalid characters in expression"
    try:
        return str(round(float(_value(ast.parse(expression.strip(), mode="eval").body)), 2))
    except (SyntaxError, ArithmeticError, ValueError, RecursionError, MemoryError) as error:
        return f"Error: {error}"


def find_user_id_by_email(database: sqlite3.Connection, email: str) -> str:
    """Find a user by email; the id, or an error."""
    for key, user in _all(database, "users"):
        if user["email"].lower() == email.lower():
            return key
    return "Error: user not found"


def find_user_id_by_name_zip(
    database: sqlite3.Connection, first_name: str, last_name: str, zip: str
) -> str:
    """Find a user by name and zip code, where the email is not known or leads nowhere."""
    wanted = (first_name.lower(), last_name.lower(), zip)
    for key, user in _all(database, "users"):
        name = user["name"]
        found = (name["first_name"].lower(), name["last_name"].lower(), user["address"]["zip"])
        if found == wanted:
            return key
    return "Error: user not found"


def get_user_details(database: sqlite3.Connection, user_id: str) -> str:
    """Show a user and the ids of the orders."""
    return _told(lambda: _get(database, "users", user_id))


def get_order_details(database: sqlite3.Connection, order_id: OrderId) -> str:
    """Show an order and its status."""
    return _told(lambda: _get(database, "orders", order_id))


def get_product_details(database: sqlite3.Connection, product_id: ProductId) -> str:
    """Show the items of a product, and whether they are available."""
    return _told(lambda: _get(database, "products", product_id))


def list_all_product_types(database: sqlite3.Connection) -> str:
    """List name and id of all products."""
    products = {product["name"]: product["product_id"] for _, product in _all(database, "products")}
    return json.dumps(dict(sorted(products.items())))


def think(database: sqlite3.Connection, thought: str) -> str:
    """Think; nothing is looked up or changed."""
    return ""


def transfer_to_human_agents(database: sqlite3.Connection, summary: str) -> str:
    """Hand the user over, where asked to or where no tool can help."""
    return "Transfer successful"


def cancel_pending_order(database: sqlite3.Connection, order_id: OrderId, reason: Reason) -> str:
    """Cancel a pending order and pay it back; ask the user to confirm first."""

    def cancel() -> dict[str, Any]:
        order = _of_status(database, order_id, "pending", "cancelled")
        if reason not in REASONS:
            raise Refused("invalid reason")
        refunds = []
        for payment in order["payment_history"]:
            method, amount = payment["payment_method_id"], payment["amount"]
            refunds.append(_payment("refund", amount, method))
            _charge(database, order["user_id"], method, -amount)
        order |= {"status": "cancelled", "cancel_reason": reason}
        order["payment_history"] += refunds
        return _put(database, "orders", order_id, order)

    return _told(cancel)


def modify_pending_order_items(
    database: sqlite3.Connection,
    order_id: OrderId,
    item_ids: ItemIds,
    new_item_ids: NewItemIds,
    payment_method_id: PaymentId,
) -> str:
    """Replace items of a pending order, once; ask the user to confirm first."""

    def modify() -> dict[str, Any]:
        order = _of_status(database, order_id, "pending", "modified")
        pairs = _pairs(database, order, item_ids, new_item_ids)
        cost = 0.0
        for item, variant in pairs:
            cost += variant["price"] - item["price"]
        _check_funds(database, order, payment_method_id, cost, "the new item")
        kind = "payment" if cost > 0 else "refund"
        order["payment_history"].append(_payment(kind, abs(cost), payment_method_id))
        _charge(database, order["user_id"], payment_method_id, cost)
        for old, (_, variant) in zip(item_ids, pairs, strict=True):
            item = next(item for item in order["items"] if item["item_id"] == old)
            item |= {name: variant[name] for name in ("item_id", "price", "options")}
        order["status"] = "pending (item modified)"
        return _put(database, "orders", order_id, order)

    return _told(modify)


def modify_pending_order_payment(
    database: sqlite3.Connection, order_id: OrderId, payment_method_id: PaymentId
) -> str:
    """Pay a pending order another way; ask the user to confirm first."""

    def modify() -> dict[str, Any]:
        order = _of_status(database, order_id, "pending", "modified")
        _method(database, order, payment_method_id)
        history = order["payment_history"]
        if len(history) > 1 or history[0]["transaction_type"] != "payment":
            raise Refused("there should be exactly one payment for a pending order")
        old, amount = history[0]["payment_method_id"], history[0]["amount"]
        if old == payment_method_id:
            raise Refused("the new payment method should be different from the current one")
        _check_funds(database, order, payment_method_id, amount, "the order")
        history += [
            _payment("payment", amount, payment_method_id),
            _payment("refund", amount, old),
        ]
        _charge(database, order["user_id"], payment_method_id, amount)
        _charge(database, order["user_id"], old, -amount)
        return _put(database, "orders", order_id, order)

    return _told(modify)


def modify_pending_order_address(
    database: sqlite3.Connection,
    order_id: OrderId,
    address1: Address1,
    address2: Address2,
    city: str,
    state: str,
    country: str,
    zip: str,
) -> str:
    """Send a pending order elsewhere; ask the user to confirm first."""
    address = _address(address1, address2, city, state, country, zip)

    def modify() -> dict[str, Any]:
        order = _of_status(database, order_id, "pending", "modified")
        return _put(database, "orders", order_id, order | {"address": address})

    return _told(modify)


def modify_user_address(
    database: sqlite3.Connection,
    user_id: str,
    address1: Address1,
    address2: Address2,
    city: str,
    state: str,
    country: str,
    zip: str,
) -> str:
    """Change a user's own address; ask the user to confirm first."""
    address = _address(address1, address2, city, state, country, zip)

    def modify() -> dict[str, Any]:
        user = _get(database, "users", user_id)
        return _put(database, "users", user_id, user | {"address": address})

    return _told(modify)


def exchange_delivered_order_items(
    database: sqlite3.Connection,
    order_id: OrderId,
    item_ids: ItemIds,
    new_item_ids: NewItemIds,
    payment_method_id: PaymentId,
) -> str:
    """Exchange items of a delivered order, once; ask the user to confirm first."""

    def exchange() -> dict[str, Any]:
        order = _of_status(database, order_id, "delivered", "exchanged")
        cost = 0.0
        for item, variant in _pairs(database, order, item_ids, new_item_ids):
            cost += variant["price"] - item["price"]
        cost = round(cost, 2)
        _check_funds(database, order, payment_method_id, cost, "the price difference")
        order |= {
            "status": "exchange requested",
            "exchange_items": sorted(item_ids),
            "exchange_new_items": sorted(new_item_ids),
            "exchange_payment_method_id": payment_method_id,
            "exchange_price_difference": cost,
        }
        return _put(database, "orders", order_id, order)

    return _told(exchange)


def return_delivered_order_items(
    database: sqlite3.Connection,
    order_id: OrderId,
    item_ids: ItemIds,
    payment_method_id: PaymentId,
) -> str:
    """Take items of a delivered order back, once; ask the user to confirm first."""

    def take_back() -> dict[str, Any]:
        order = _of_status(database, order_id, "delivered", "returned")
        _method(database, order, payment_method_id)
        paid = order["payment_history"][0]["payment_method_id"]
        if "gift_card" not in payment_method_id and payment_method_id != paid:
            raise Refused(
                "payment method should be either the original payment method or a gift card"
            )
        if _missing(order, item_ids) is not None:
            raise Refused("some item not found")
        order |= {
            "status": "return requested",
            "return_items": sorted(item_ids),
            "return_payment_method_id": payment_method_id,
        }
        return _put(database, "orders", order_id, order)

    return _told(take_back)


TOOLS = (
    calculate,
    cancel_pending_order,
    exchange_delivered_order_items,
    find_user_id_by_email,
    find_user_id_by_name_zip,
    get_order_details,
    get_product_details,
    get_user_details,
    list_all_product_types,
    modify_pending_order_address,
    modify_pending_order_items,
    modify_pending_order_payment,
    modify_user_address,
    return_delivered_order_items,
    think,
    transfer_to_human_agents,
)


# Rows -------------------------------------------------------------------------------------


def _told(work: Any) -> str:
    try:
        return json.dumps(work())
    except Refused as error:
        return f"Error: {error}"


def _all(database: sqlite3.Connection, table: str) -> list[tuple[str, dict[str, Any]]]:
    found = database.execute(f"SELECT key, content FROM {table} ORDER BY rowid")
    return [(key, json.loads(content)) for key, content in found]


def _get(database: sqlite3.Connection, table: str, key: str) -> dict[str, Any]:
    query = f"SELECT content FROM {table} WHERE key = ?"
    found = database.execute(query, (key,)).fetchone()
    if found is None:
        raise Refused(f"{table.removesuffix('s')} not found")
    return dict(json.loads(found[0]))


def _put(
    database: sqlite3.Connection, table: str, key: str, content: dict[str, Any]
) -> dict[str, Any]:
    query = f"UPDATE {table} SET content = ? WHERE key = ?"
    database.execute(query, (json.dumps(content), key))
    return content


def _of_status(
    database: sqlite3.Connection, order_id: str, status: str, done: str
) -> dict[str, Any]:
    order = _get(database, "orders", order_id)
    if order["status"] != status:
        raise Refused(f"non-{status} order cannot be {done}")
    return order


def _method(database: sqlite3.Connection, order: dict[str, Any], method: str) -> dict[str, Any]:
    methods = _get(database, "users", order["user_id"])["payment_methods"]
    if method not in methods:
        raise Refused("payment method not found")
    return dict(methods[method])


def _check_funds(
    database: sqlite3.Connection, order: dict[str, Any], method: str, cost: float, what: str
) -> None:
    found = _method(database, order, method)
    if found["source"] == "gift_card" and found["balance"] < cost:
        raise Refused(f"insufficient gift card balance to pay for {what}")


def _charge(database: sqlite3.Connection, user_id: str, method: str, cost: float) -> None:
    """Take an amount off a gift card; other methods hold no money here."""
    if "gift_card" in method:
        user = _get(database, "users", user_id)
        card = user["payment_methods"][method]
        card["balance"] = round(card["balance"] - cost, 2)
        _put(database, "users", user_id, user)


def _payment(kind: str, amount: float, method: str) -> dict[str, Any]:
    return {"transaction_type": kind, "amount": amount, "payment_method_id": method}


def _missing(order: dict[str, Any], item_ids: list[str]) -> str | None:
    """Return the first item of which the order has fewer than are named."""
    have = [item["item_id"] for item in order["items"]]
    return next((item for item in item_ids if item_ids.count(item) > have.count(item)), None)


def _pairs(
    database: sqlite3.Connection, order: dict[str, Any], item_ids: list[str], new_ids: list[str]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return each item with the variant that comes in its place."""
    missing = _missing(order, item_ids)
    if missing is not None:
        raise Refused(f"{missing} not found")
    if len(item_ids) != len(new_ids):
        raise Refused("the number of items to be exchanged should match")
    pairs = []
    for old, new in zip(item_ids, new_ids, strict=True):
        item = next(item for item in order["items"] if item["item_id"] == old)
        variant = _get(database, "products", item["product_id"])["variants"].get(new)
        if variant is None or not variant["available"]:
            raise Refused(f"new item {new} not found or available")
        pairs.append((item, variant))
    return pairs


def _address(*parts: str) -> dict[str, str]:
    return dict(
        zip(("address1", "address2", "city", "state", "country", "zip"), parts, strict=True)
    )


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_value(node.operand))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("expected + - * / and numbers")
