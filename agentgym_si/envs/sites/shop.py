"""shop.test: products by category, a cart, a checkout that writes a mail, and past orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
    checkbox,
    choice,
    facts,
    form,
    hidden,
    link,
    listing,
    paragraph,
    section,
    textbox,
)
from agentgym_si.envs.sites.world import (
    Line,
    Mail,
    Order,
    Product,
    World,
    find,
    next_number,
    swap,
)

MOST_PIECES = 5
"""Of one product in one order."""

EXPRESS = 9
"""What express delivery adds, in euro."""

NOTES = {
    "stock": "There are not that many in stock.",
    "fields": "Please fill in name and city.",
    "empty": "Your cart is empty.",
}

Fields = Mapping[str, str]


def categories(world: World) -> list[str]:
    """Return the categories, in the order of their first products."""
    return list(dict.fromkeys(product.category for product in world.products))


def total(world: World, lines: Iterable[Line], express: bool = False) -> int:
    """Return what lines cost, in euro."""
    prices = {product.number: product.price for product in world.products}
    return sum(prices[line.product] * line.pieces for line in lines) + EXPRESS * express


def _home(world: World, _: Fields) -> Page:
    places = [link(name, f"/category/{name.lower()}") for name in categories(world)]
    box = form("/search", textbox("Search the shop", "q"), button("Search"), method="get")
    return Page("Corner Shop", (listing(places), box))


def _category(world: World, _: Fields, name: str) -> Page:
    found = [product for product in world.products if product.category.lower() == name]
    return Page(found[0].category, (_products(found),)) if found else missing("category")


def _search(world: World, fields: Fields) -> Page:
    words = fields.get("q", "").lower().split()
    found = [
        product
        for product in world.products
        if words and all(word in product.name.lower() for word in words)
    ]
    return Page("Products found", (_products(found) or paragraph("Nothing was found."),))


def _products(products: Iterable[Product]) -> Content:
    return listing(
        (link(product.name, f"/item/{product.number}"), f" {_offer(product)}")
        for product in products
    )


def _offer(product: Product) -> str:
    sold = "" if product.stock else ", sold out"
    return f"{product.price} euro, {product.stars} of 5 stars{sold}"


def _item(world: World, fields: Fields, key: str) -> Page:
    product = find(world.products, number(key))
    if product is None:
        return missing("product")
    told = facts(
        [
            ("Price", f"{product.price} euro"),
            ("Rating", f"{product.stars} of 5 stars"),
            ("In stock", product.stock),
        ]
    )
    return Page(product.name, (note_of(fields, NOTES), told, _order_form(product)))


def _order_form(product: Product) -> Content:
    if not product.stock:
        return paragraph("Sold out")
    pieces = choice("Pieces", "pieces", map(str, range(1, MOST_PIECES + 1)))
    return form("/cart/add", hidden("product", product.number), pieces, button("Add to cart"))


def _add(world: World, fields: Fields) -> Redirect | Answer:
    """Put pieces into the cart; more of a product that is there already are added to its line."""
    product = find(world.products, number(fields.get("product", "")))
    pieces = number(fields.get("pieces", ""))
    if product is None or not 1 <= pieces <= MOST_PIECES:
        return Redirect("/")
    old = next((line for line in world.cart if line.product == product.number), None)
    new = Line(product.number, pieces + (old.pieces if old else 0))
    if new.pieces > min(product.stock, MOST_PIECES):
        return refuse(f"/item/{product.number}", "stock")
    cart = swap(world.cart, old, new) if old else (*world.cart, new)
    return Redirect("/cart"), world.change(cart=cart)


def _cart(world: World, fields: Fields) -> Page:
    if not world.cart:
        return Page("Your cart", (paragraph(NOTES["empty"]),))
    entries = []
    for line in world.cart:
        product = find(world.products, line.product)
        assert product is not None
        name, count = product.name, f"{line.pieces} at {product.price} euro "
        remove = action(f"Remove {name}", "/cart/remove", product=line.product)
        entries.append((link(name, f"/item/{line.product}"), f" {count}", remove))
    cost = paragraph(f"Total: {total(world, world.cart)} euro")
    return Page(
        "Your cart",
        (note_of(fields, NOTES), listing(entries), cost, link("Checkout", "/checkout")),
    )


def _remove(world: World, fields: Fields) -> Answer:
    product = number(fields.get("product", ""))
    cart = tuple(line for line in world.cart if line.product != product)
    return Redirect("/cart"), world.change(cart=cart)


def _checkout(world: World, fields: Fields) -> Page | Redirect:
    if not world.cart:
        return Redirect("/cart")
    boxes = (textbox("Name", "name"), textbox("City", "city"))
    fast = checkbox(f"Express delivery ({EXPRESS} euro)", "express")
    cost = paragraph(f"Total: {total(world, world.cart)} euro")
    pay = form("/checkout", *boxes, fast, button("Place order"))
    return Page("Checkout", (note_of(fields, NOTES), cost, pay))


def _buy(world: World, fields: Fields) -> Redirect | Answer:
    """Turn the cart into an order, take it from the stock, and write a mail."""
    name, city = fields.get("name", ""), fields.get("city", "")
    if not world.cart:
        return refuse("/cart", "empty")
    if not (name and city):
        return refuse("/checkout", "fields")
    sold = {line.product: line.pieces for line in world.cart}
    express = fields.get("express") == "yes"
    order = Order(next_number(world.orders), world.cart, name, city, express)
    products = tuple(
        product._replace(stock=product.stock - sold.get(product.number, 0))
        for product in world.products
    )
    cost = total(world, order.lines, express)
    text = f"Thank you for order {order.number}. It costs {cost} euro and goes to {city}."
    subject = f"Your order {order.number}"
    mail = Mail(next_number(world.mails), "Inbox", "Corner Shop", subject, text)
    return Redirect(f"/order/{order.number}"), world.change(
        cart=(),
        products=products,
        orders=(*world.orders, order),
        mails=(*world.mails, mail),
    )


def _orders(world: World, _: Fields) -> Page:
    entries = listing(
        (link(f"Order {order.number}", f"/order/{order.number}"), f" to {order.city}")
        for order in world.orders
    )
    return Page("Your orders", (entries or paragraph("There are no orders yet."),))


def _order(world: World, _: Fields, key: str) -> Page:
    order = find(world.orders, number(key))
    if order is None:
        return missing("order")
    names = {product.number: product.name for product in world.products}
    lines = listing(f"{line.pieces} of {names[line.product]}" for line in order.lines)
    told = facts(
        [
            ("Name", order.name),
            ("City", order.city),
            ("Delivery", "express" if order.express else "standard"),
            ("Total", f"{total(world, order.lines, order.express)} euro"),
        ]
    )
    return Page(f"Order {order.number}", (told, section("Products"), lines))


SHOP = Site(
    host="shop.test",
    title="Corner Shop",
    colour="#0f766e",
    links=(("Corner Shop", "/"), ("Cart", "/cart"), ("Orders", "/orders")),
    routes=(
        Route("GET", "/", _home),
        Route("GET", "/category/([a-z]+)", _category),
        Route("GET", "/search", _search),
        Route("GET", "/item/([0-9]+)", _item),
        Route("POST", "/cart/add", _add),
        Route("GET", "/cart", _cart),
        Route("POST", "/cart/remove", _remove),
        Route("GET", "/checkout", _checkout),
        Route("POST", "/checkout", _buy),
        Route("GET", "/orders", _orders),
        Route("GET", "/order/([0-9]+)", _order),
    ),
)
