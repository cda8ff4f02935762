"""Goals on shop.test."""

from __future__ import annotations

import numpy as np

from agentgym_si.envs.sites.goals import Kind, Problem, others
from agentgym_si.envs.sites.intents import Intent, back, choose, click, fill, give_up, say
from agentgym_si.envs.sites.shop import SHOP
from agentgym_si.envs.sites.world import Line, Product, World, swap
from agentgym_si.envs.tools.domain import pick
from agentgym_si.envs.tools.words import CITIES, ITEMS, NAMES, WORDS

HOME = SHOP.url("/")


def _shelf(world: World, rng: np.random.Generator) -> list[Product]:
    """Draw a category; return its products in random order."""
    category = pick(rng, world.products)[0].category
    return pick(rng, [product for product in world.products if product.category == category], 4)


def _item(product: Product) -> str:
    return SHOP.url(f"/item/{product.number}")


def _category(product: Product) -> str:
    return SHOP.url(f"/category/{product.category.lower()}")


def _pay(name: str, city: str) -> tuple[Intent, ...]:
    return fill("Name", name), fill("City", city), click("Place order")


def open_product(world: World, rng: np.random.Generator) -> Problem:
    """Open a product's page."""
    product, other, *_ = _shelf(world, rng)
    return Problem(
        world,
        {"name": product.name},
        (click(product.name),),
        start=_category(product),
        page=_item(product),
        wrong=((click(other.name),),),
    )


def add(world: World, rng: np.random.Generator) -> Problem:
    """Put the product that is shown into the cart."""
    product = pick(rng, world.products)[0]
    once = click("Add to cart")
    return Problem(
        world,
        {"name": product.name},
        (once,),
        start=_item(product),
        wrong=((choose("Pieces", "2"), once), (click("Cart"),)),
    )


def add_pieces(world: World, rng: np.random.Generator) -> Problem:
    """Put several of a product into the cart."""
    product = pick(rng, world.products)[0]
    count, wrong = map(str, pick(rng, range(2, 6), 2))
    return Problem(
        world,
        {"name": product.name, "count": count},
        (choose("Pieces", count), click("Add to cart")),
        start=_item(product),
        wrong=((choose("Pieces", wrong), click("Add to cart")), (click("Add to cart"),)),
    )


def add_named(world: World, rng: np.random.Generator) -> Problem:
    """Find a product in its category and put it into the cart."""
    product, other, *_ = _shelf(world, rng)
    return Problem(
        world,
        {"name": product.name},
        (click(product.name), click("Add to cart")),
        start=_category(product),
        wrong=(
            (click(other.name), click("Add to cart")),
            (click(product.name), choose("Pieces", "3"), click("Add to cart")),
        ),
    )


def ask_price(world: World, rng: np.random.Generator) -> Problem:
    """Say what a product costs."""
    product, *rest = _shelf(world, rng)
    price = str(product.price)
    return Problem(
        world,
        {"name": product.name, "category": product.category},
        (click(product.category), say(price)),
        start=HOME,
        says=(price,),
        unsaid=others(price, [str(other.price) for other in rest]),
        seen=(f"{price} euro",),
        wrong=((click(product.category), say(str(rest[0].price))),),
    )


def ask_best(world: World, rng: np.random.Generator) -> Problem:
    """Say which product of a category has the most stars."""
    shelf = sorted(_shelf(world, rng), key=lambda product: -product.stars)
    names = [product.name for product in shelf]
    look = click(shelf[0].category)
    return Problem(
        world,
        {"category": shelf[0].category},
        (look, say(names[0])),
        start=HOME,
        says=(names[0],),
        unsaid=others(names[0], names),
        seen=tuple(names),
        wrong=((look, say(names[1])), (look, say(" ".join(names)))),
    )


def add_cheapest(world: World, rng: np.random.Generator) -> Problem:
    """Put the cheapest product of a category into the cart."""
    shelf = sorted(_shelf(world, rng), key=lambda product: product.price)
    plays = [
        (click(shelf[0].category), click(product.name), click("Add to cart")) for product in shelf
    ]
    return Problem(
        world,
        {"category": shelf[0].category},
        plays[0],
        start=HOME,
        wrong=tuple(plays[1:3]),
    )


def _filled(world: World, rng: np.random.Generator) -> tuple[World, list[Product]]:
    chosen = pick(rng, world.products, 3)
    return world.change(cart=tuple(Line(product.number, 1) for product in chosen)), chosen


def remove(world: World, rng: np.random.Generator) -> Problem:
    """Take a product out of the cart."""
    world, (product, other, _) = _filled(world, rng)
    plays = [click(f"Remove {name}") for name in (product.name, other.name)]
    return Problem(
        world,
        {"name": product.name},
        (plays[0],),
        start=SHOP.url("/cart"),
        wrong=((plays[1],), (plays[1], plays[0])),
    )


def check_out(world: World, rng: np.random.Generator) -> Problem:
    """Order what is in the cart."""
    world, _ = _filled(world, rng)
    (name,), (city, wrong) = pick(rng, NAMES), pick(rng, CITIES, 2)
    return Problem(
        world,
        {"person": name, "city": city},
        (click("Checkout"), *_pay(name, city)),
        start=SHOP.url("/cart"),
        wrong=(
            (click("Checkout"), *_pay(name, wrong)),
            (click("Checkout"), click("Express delivery (9 euro)"), *_pay(name, city)),
            (click("Checkout"), fill("Name", name), click("Place order")),
        ),
    )


def buy(world: World, rng: np.random.Generator) -> Problem:
    """Find a product, put it into the cart, and order it."""
    product, other, *_ = _shelf(world, rng)
    (name,), (city, wrong) = pick(rng, NAMES), pick(rng, CITIES, 2)
    plays = [
        (click(product.category), click(chosen.name), click("Add to cart"), click("Checkout"))
        for chosen in (product, other)
    ]
    return Problem(
        world,
        {"name": product.name, "category": product.category, "person": name, "city": city},
        (*plays[0], *_pay(name, city)),
        start=HOME,
        wrong=(
            plays[0][:3],
            (*plays[0], *_pay(name, wrong)),
            (*plays[1], *_pay(name, city)),
            (*plays[0][:3], click(SHOP.title), *plays[0], *_pay(name, city)),
        ),
    )


def compare(world: World, rng: np.random.Generator) -> Problem:
    """Say how much dearer one product is than another."""
    low, high = sorted(pick(rng, world.products, 2), key=lambda product: product.price)
    if low.price == high.price:
        products = swap(world.products, high, high._replace(price=high.price + 3))
        world, high = world.change(products=products), high._replace(price=high.price + 3)
    difference = str(high.price - low.price)
    looks = (click(low.category), back(), click(high.category))
    prices = [str(product.price) for product in (low, high)]
    return Problem(
        world,
        {"low": low.name, "high": high.name},
        (*looks, say(difference)),
        start=HOME,
        says=(difference,),
        unsaid=others(difference, prices),
        seen=tuple(f"{price} euro" for price in prices),
        wrong=((*looks, say(str(int(difference) + 1))), (*looks, say(" ".join(prices)))),
    )


def sold_out(world: World, rng: np.random.Generator) -> Problem:
    """Say that what is wanted cannot be bought."""
    product, other, *_ = _shelf(world, rng)
    world = world.change(products=swap(world.products, product, product._replace(stock=0)))
    look = click(product.category)
    return Problem(
        world,
        {"name": product.name, "category": product.category},
        (look, give_up("sold out")),
        start=HOME,
        infeasible=True,
        seen=("sold out",),
        wrong=(
            (look, say("sold out")),
            (look, click(other.name), click("Add to cart"), give_up("sold out")),
        ),
    )


def no_such_product(world: World, rng: np.random.Generator) -> Problem:
    """Say that the shop does not have it."""
    taken = {product.name for product in world.products}
    names = [f"{word.capitalize()} {item.capitalize()}" for word in WORDS[:20] for item in ITEMS]
    name = pick(rng, [name for name in names if name not in taken])[0]
    look = (fill("Search the shop", name), click("Search"))
    return Problem(
        world,
        {"name": name},
        (*look, give_up("not found")),
        start=HOME,
        infeasible=True,
        seen=("Nothing was found.",),
        wrong=((*look, say("not found")),),
    )


KINDS = (
    Kind(
        "shop",
        0,
        open_product,
        ('Open the page of the "{name}".', 'Show me the "{name}".'),
        ('I want to see the page of the "{name}".',),
    ),
    Kind(
        "shop",
        0,
        add,
        ("Put one of this product into the cart.", "Add this to the cart, one piece."),
        ("I want one of these: into the cart with it.",),
    ),
    Kind(
        "shop",
        1,
        add_pieces,
        ("Put {count} of this product into the cart.", "Add {count} pieces of this to the cart."),
        ("I want {count} of these in my cart.",),
    ),
    Kind(
        "shop",
        1,
        add_named,
        ('Put one "{name}" into the cart.', 'Add the "{name}" to the cart, one piece.'),
        ('I want one "{name}" in my cart.',),
    ),
    Kind(
        "shop",
        1,
        ask_price,
        ('How many euro is the "{name}" in {category}?', 'Price of "{name}" ({category})?'),
        ('Look in {category} and tell me what the "{name}" costs.',),
    ),
    Kind(
        "shop",
        1,
        ask_best,
        (
            "Which product in {category} has the most stars?",
            "Name the product with the best rating in {category}.",
        ),
        ("What do buyers like best in {category}?",),
    ),
    Kind(
        "shop",
        2,
        add_cheapest,
        (
            "Put one of the cheapest product in {category} into the cart.",
            "Add what costs least in {category} to the cart, one piece.",
        ),
        ("Of {category}, one of the product with the lowest price belongs in my cart.",),
    ),
    Kind(
        "shop",
        0,
        remove,
        ('Take the "{name}" out of the cart.', 'Remove the "{name}" from the cart.'),
        ('I no longer want the "{name}" that is in my cart.',),
    ),
    Kind(
        "shop",
        2,
        check_out,
        (
            'Order what is in the cart, for "{person}" in "{city}", standard delivery.',
            'Check out for "{person}", city "{city}", without express.',
        ),
        ('Send what is in my cart to "{person}" in "{city}"; it may take its time.',),
    ),
    Kind(
        "shop",
        3,
        buy,
        (
            'Buy one "{name}" from {category} for "{person}" in "{city}", standard delivery.',
            'Order one "{name}" ({category}) for "{person}", city "{city}", no express.',
        ),
        ('"{person}" in "{city}" is to get one "{name}" out of {category}, without express.',),
    ),
    Kind(
        "shop",
        2,
        compare,
        ('How many euro more is the "{high}" than the "{low}"?',),
        ('What do I save with the "{low}" instead of the "{high}", in euro?',),
        held_out=True,
    ),
    Kind(
        "shop",
        1,
        sold_out,
        ('Put one "{name}" from {category} into the cart.',),
        ('I want one "{name}" ({category}) in my cart.',),
        held_out=True,
    ),
    Kind(
        "shop",
        2,
        no_such_product,
        ('Put one "{name}" into the cart.',),
        ('I want one "{name}" in my cart.',),
        held_out=True,
    ),
)
