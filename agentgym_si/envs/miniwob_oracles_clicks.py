"""Solvers of tasks that are clicks: buttons, links, boxes, tabs, sections, menus."""

from __future__ import annotations

import re

from agentgym_si.envs.miniwob_solving import (
    Solver,
    choose,
    click,
    clicker,
    find,
    ordinal,
    quoted,
    said,
    submit,
    tick,
)
from agentgym_si.envs.web.snapshot import Page


def click_dialog_2(page: Page, actions: tuple[str, ...]) -> str:
    """Click the dialog's button; its cross is labelled x in the goal."""
    wanted = quoted(page)
    return click(find(page, "button", name="Close" if wanted == "x" else wanted))


def click_tab(page: Page, actions: tuple[str, ...]) -> str:
    """Click the tab the goal names."""
    return click(find(page, "tab", name=said(page, r"Click on (.*)\.")[0]))


def open_until_link(page: Page, actions: tuple[str, ...]) -> str:
    """Click the quoted link where it shows, else open the next tab or section."""
    links = choose(page, "link", name=quoted(page))
    if links:
        return click(links[0])
    tabs = choose(page, "tab")
    opened = sum(action.startswith("click") for action in actions)
    start = 1 if "selected" in tabs[0].states and opened == 0 else 0
    return click(tabs[(start + opened) % len(tabs)])


def open_tabs_until_link(page: Page, actions: tuple[str, ...]) -> str:
    """Click the quoted link where it shows, else the tab after the selected one."""
    links = choose(page, "link", name=quoted(page))
    if links:
        return click(links[0])
    tabs = choose(page, "tab")
    selected = next(index for index, tab in enumerate(tabs) if "selected" in tab.states)
    return click(tabs[(selected + 1) % len(tabs)])


def expand_and_submit(page: Page, actions: tuple[str, ...]) -> str:
    """Expand the section, then click Submit."""
    section = choose(page, "tab")[0]
    return submit(page) if "expanded" in section.states else click(section)


def click_sequence(page: Page, actions: tuple[str, ...]) -> str:
    """Click button ONE, then TWO."""
    return click(find(page, "button", name="TWO" if actions else "ONE"))


def button_delay(page: Page, actions: tuple[str, ...]) -> str:
    """Click ONE, wait half a second a step, then click TWO."""
    waits = 2 * int(said(page, r"wait (\d+) seconds")[0])
    if not actions:
        return click(find(page, "button", name="ONE"))
    return "noop()" if len(actions) < waits else click(find(page, "button", name="TWO"))


def click_checkboxes(page: Page, actions: tuple[str, ...]) -> str:
    """Check the boxes the goal lists, then submit."""
    listed = said(page, r"Select (.*) and click Submit")[0]
    return tick(page, "checkbox", [] if listed == "nothing" else listed.split(", "))


def click_option(page: Page, actions: tuple[str, ...]) -> str:
    """Choose the radio button, then submit."""
    return tick(page, "radio", said(page, r"Select (.*) and click"))


def click_widget(page: Page, actions: tuple[str, ...]) -> str:
    """Click an element of the kind the goal names."""
    kind = quoted(page)
    return click(find(page, "textbox" if kind == "text" else kind))


def click_menu(page: Page, actions: tuple[str, ...]) -> str:
    """Hover over each menu on the path, click its end."""
    path = said(page, r"Select (.*)")[0].split(">")
    item = find(page, "menuitem", name=path[min(len(actions), len(path) - 1)])
    return click(item) if len(actions) >= len(path) - 1 else f"hover('{item.id}')"


def ascending_numbers(page: Page, actions: tuple[str, ...]) -> str:
    """Click 1, then the boxes that hide the other numbers, drawn in ascending order."""
    return click(find(page, "rectangle" if actions else "text"))


def buy_ticket(page: Page, actions: tuple[str, ...]) -> str:
    """Buy the flight with the extreme price or duration."""
    durations = [text for text in choose(page, "text") if re.fullmatch(r"\d+h.*", text.name)]
    buttons = choose(page, "button")
    if "duration" in page.goal:
        parts = [re.findall(r"\d+", duration.name) for duration in durations]
        values = [60 * int(hours) + int(minutes) for hours, minutes in parts]
    else:
        values = [int(re.sub(r"\D", "", button.name)) for button in buttons]
    extreme = max(values) if re.search("longest|most", page.goal) else min(values)
    return click(buttons[values.index(extreme)])


def odd_or_even(page: Page, actions: tuple[str, ...]) -> str:
    """Mark each number, then submit."""
    numbers = [element for element in choose(page, "text") if re.fullmatch(r"-?\d+", element.name)]
    for row, number in enumerate(numbers):
        kind = "Odd" if int(number.name) % 2 else "Even"
        button = choose(page, "button", name=kind)[row]
        if "selected" not in button.states:
            return click(button)
    return submit(page)


def generate_number(page: Page, actions: tuple[str, ...]) -> str:
    """Generate until the number fits, then submit."""
    shown = choose(page, "text")[0].name
    fits = False
    if shown.isdigit():
        number = int(shown)
        limit = re.search(r"(less|greater) than (\d+)", page.goal)
        if limit:
            fits = number < int(limit[2]) if limit[1] == "less" else number > int(limit[2])
        else:
            fits = number % 2 == (0 if "even" in page.goal else 1)
    return submit(page, "Submit" if fits else "Generate")


def focus_nth(page: Page, actions: tuple[str, ...]) -> str:
    """Focus the textbox of the goal's ordinal."""
    return click(find(page, "textbox", nth=ordinal(page)))


def stock_market(page: Page, actions: tuple[str, ...]) -> str:
    """Wait until the price is low enough, then buy."""
    limit = float(said(page, r"less than \$([\d.]+?)\.?$")[0])
    price = next(element.name for element in choose(page, "text") if "price" in element.name)
    cheap = float(price.split("$")[1]) < limit
    return submit(page, "Buy") if cheap else "noop()"


CLICKS: dict[str, Solver] = {
    "ascending-numbers": ascending_numbers,
    "button-delay": button_delay,
    "buy-ticket": buy_ticket,
    "click-button": clicker("button"),
    "click-button-sequence": click_sequence,
    "click-checkboxes": click_checkboxes,
    "click-checkboxes-large": click_checkboxes,
    "click-checkboxes-transfer": click_checkboxes,
    "click-collapsible": expand_and_submit,
    "click-collapsible-nodelay": expand_and_submit,
    "click-collapsible-2": open_until_link,
    "click-collapsible-2-nodelay": open_until_link,
    "click-dialog": clicker("button", name="Close"),
    "click-dialog-2": click_dialog_2,
    "click-link": clicker("link"),
    "click-menu": click_menu,
    "click-option": click_option,
    "click-tab": click_tab,
    "click-tab-2": open_tabs_until_link,
    "click-tab-2-easy": open_tabs_until_link,
    "click-tab-2-hard": open_tabs_until_link,
    "click-tab-2-medium": open_tabs_until_link,
    "click-test": clicker("button", name="Click Me!"),
    "click-test-2": clicker("button", name="ONE"),
    "click-test-transfer": clicker("button", name="ONE"),
    "click-widget": click_widget,
    "focus-text": focus_nth,
    "focus-text-2": focus_nth,
    "generate-number": generate_number,
    "odd-or-even": odd_or_even,
    "stock-market": stock_market,
    "unicode-test": clicker("button"),
}
