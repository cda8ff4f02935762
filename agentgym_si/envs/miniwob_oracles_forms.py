"""Solvers of tasks that are forms: text to type, options to choose, sums to do."""

from __future__ import annotations

import re
from datetime import datetime

from agentgym_si.envs.miniwob_solving import (
    TYPED,
    Solver,
    after,
    choose,
    click,
    fill,
    fill_all,
    find,
    ordinal,
    quoted,
    said,
    submit,
)
from agentgym_si.envs.web.snapshot import Page


def enter_quoted(page: Page, actions: tuple[str, ...]) -> str:
    """Fill the box with the quoted text."""
    return fill_all(page, [quoted(page)])


def enter_password(page: Page, actions: tuple[str, ...]) -> str:
    """Fill both boxes with the password."""
    return fill_all(page, [quoted(page)] * 2)


def enter_text_2(page: Page, actions: tuple[str, ...]) -> str:
    """Fill the box with the quoted text in the case the goal asks for."""
    word = quoted(page)
    return fill_all(page, [word.upper() if "upper" in page.goal else word.lower()])


def text_transform(page: Page, actions: tuple[str, ...]) -> str:
    """Type what the picture of text says."""
    return fill_all(page, [choose(page, "text")[0].name])


def login_user(page: Page, actions: tuple[str, ...]) -> str:
    """Fill user and password, and log in."""
    return fill_all(page, [quoted(page, 0), quoted(page, 1)], "Login")


def login_user_popup(page: Page, actions: tuple[str, ...]) -> str:
    """Log in; send the advertisement away where it comes up."""
    cancel = choose(page, "button", "clickable", "link", name="Cancel")
    if cancel:
        return click(cancel[0])
    return fill_all(page, [quoted(page, 0), quoted(page, 1)], "OK")


def enter_date(page: Page, actions: tuple[str, ...]) -> str:
    """Fill the date the way a date field wants it."""
    month, day, year = said(page, r"(\d\d)/(\d\d)/(\d{4})")
    box, wanted = find(page, "date"), f"{year}-{month}-{day}"
    return submit(page) if box.value == wanted else fill(box, wanted)


def enter_time(page: Page, actions: tuple[str, ...]) -> str:
    """Fill the time the way a time field wants it."""
    moment = datetime.strptime(said(page, r"(\d+:\d\d [AP]M)")[0], "%I:%M %p")
    box, wanted = find(page, "time"), moment.strftime("%H:%M")
    return submit(page) if box.value == wanted else fill(box, wanted)


def choose_list(page: Page, actions: tuple[str, ...]) -> str:
    """Select the option of the combobox."""
    box, wanted = find(page, "combobox"), said(page, r"Select (.*) from")[0]
    return submit(page) if box.value == wanted else f"select_option('{box.id}', {wanted!r})"


def click_scroll_list(page: Page, actions: tuple[str, ...]) -> str:
    """Select all the options the goal lists."""
    box, wanted = find(page, "listbox"), said(page, r"Select (.*) from")[0].split(", ")
    if set((box.value or "").split(", ")) == set(wanted):
        return submit(page)
    return f"select_option('{box.id}', {wanted!r})"


def copy_paste(page: Page, actions: tuple[str, ...]) -> str:
    """Copy the textarea's text, spaces at its end included, and paste it into the box."""
    source, box = choose(page, "textarea")[ordinal(page)], find(page, "textbox")
    steps = (
        f"press('{source.id}', 'Control+a')",
        f"press('{source.id}', 'Control+c')",
        f"press('{box.id}', 'Control+v')",
        submit(page),
    )
    return steps[len(actions)]


def find_word(page: Page, actions: tuple[str, ...]) -> str:
    """Type the paragraph's nth word."""
    word = choose(page, "text")[0].name.split()[ordinal(page)]
    return fill_all(page, [word.strip(".,")])


def scroll_text(page: Page, actions: tuple[str, ...]) -> str:
    """Type the textarea's last word."""
    box = find(page, "textbox")
    word = (find(page, "textarea").value or "").split()[-1].strip(".,")
    return submit(page) if box.value == word else fill(box, word)


def scroll_text_2(page: Page, actions: tuple[str, ...]) -> str:
    """Scroll the textarea to its end, or top, and submit."""
    distance = -10000 if "top" in page.goal else 10000
    return submit(page) if actions else f"scroll(0, {distance})"


def sign_agreement(page: Page, actions: tuple[str, ...]) -> str:
    """Cancel, or scroll, sign and press the button."""
    if "Scroll" not in page.goal:
        return submit(page, "Cancel")
    if not actions:
        return "scroll(0, 10000)"
    box, name = find(page, "textbox"), quoted(page, 0)
    return submit(page, quoted(page, 1)) if box.value == name else fill(box, name)


def read_table(page: Page, actions: tuple[str, ...]) -> str:
    """Type the value beside the label the goal names."""
    return fill_all(page, [after(page, said(page, r"value of (.*) into")[0], "text").name])


def read_table_2(page: Page, actions: tuple[str, ...]) -> str:
    """Type into each box the table's value of its label."""
    labels = [box.name.rstrip(": ") for box in choose(page, *TYPED)]
    return fill_all(page, [after(page, label, "text").name for label in labels])


def simple_arithmetic(page: Page, actions: tuple[str, ...]) -> str:
    """Work the sum out."""
    match = re.search(r"(-?\d+) *([-+x*]) *(-?\d+)", choose(page, "text")[0].name)
    assert match is not None
    left, right = int(match[1]), int(match[3])
    results = {"+": left + right, "-": left - right, "x": left * right, "*": left * right}
    return fill_all(page, [str(results[match[2]])])


def simple_algebra(page: Page, actions: tuple[str, ...]) -> str:
    """Solve a ± x = b, or x ± a = b."""
    left, sign, right, total = re.findall(r"x|-?\d+|[-+](?= )", choose(page, "text")[0].name)
    known, result = int(left if right == "x" else right), int(total)
    answers = {"x+": result - known, "+x": result - known, "x-": result + known}
    order = f"x{sign}" if left == "x" else f"{sign}x"
    return fill_all(page, [str(answers.get(order, known - result))])


def guess_number(page: Page, actions: tuple[str, ...]) -> str:
    """Guess upwards from 0 until the page says it is right."""
    box = find(page, "textbox")
    guesses = [action for action in actions if action.startswith("fill")]
    if guesses and actions[-1] == guesses[-1]:
        return submit(page)
    return fill(box, str(len(guesses)))


def form_sequence_2(page: Page, actions: tuple[str, ...]) -> str:
    """Check the nth radio button, fill the mth box."""
    button, number, box = said(page, r'(\d+).. radio .* number "(-?\d+)" into the (\d+)')
    radio = choose(page, "radio")[int(button) - 1]
    if "checked" not in radio.states:
        return click(radio)
    target = choose(page, "textbox")[int(box) - 1]
    return submit(page) if target.value == number else fill(target, number)


def form_sequence_3(page: Page, actions: tuple[str, ...]) -> str:
    """Choose from the dropdown, then click the button."""
    wanted, button = said(page, r'Choose (.*) from .* labeled "(.*)"')
    if not actions:
        return click(choose(page, "clickable")[0])
    if len(actions) == 1:
        return click(find(page, "clickable", name=wanted))
    return submit(page, button)


def multi_layouts(page: Page, actions: tuple[str, ...]) -> str:
    """Fill the movie search's three boxes by their captions."""
    genre, director, year = said(page, r"for (.*) movies directed by (.*) from year (\d+)")
    wanted = {"Genre": genre, "Director": director, "Year": year, "Date": year}
    captions = [word for text in choose(page, "text", "textbox") for word in _caption(text.name)]
    for box, caption in zip(choose(page, "textbox"), captions, strict=True):
        if (box.value or "") != wanted[caption]:
            return fill(box, wanted[caption])
    return click(page.elements[-1])


def _caption(text: str) -> list[str]:
    return re.findall(r"Genre|Director|Year|Date", text)


def use_autocomplete(page: Page, actions: tuple[str, ...]) -> str:
    """Type the start, choose the suggestion with the end, submit."""
    start = said(page, r'starts with "(.*?)"')[0]
    end = quoted(page, 1) if "ends with" in page.goal else ""
    if not actions:
        return fill(find(page, "textbox"), start)
    if len(actions) == 1:
        fitting = [
            element
            for element in page.elements
            if element.role in ("text", "clickable", "menuitem")
            and element.name.startswith(start)
            and element.name.endswith(end)
        ]
        return click(fitting[0])
    return submit(page)


def use_spinner(page: Page, actions: tuple[str, ...]) -> str:
    """Fill the spinner's number, then submit."""
    return fill_all(page, said(page, r"Select (-?\d+)"))


FORMS: dict[str, Solver] = {
    "choose-list": choose_list,
    "click-scroll-list": click_scroll_list,
    "copy-paste": copy_paste,
    "copy-paste-2": copy_paste,
    "enter-date": enter_date,
    "enter-password": enter_password,
    "enter-text": enter_quoted,
    "enter-text-2": enter_text_2,
    "enter-text-dynamic": enter_quoted,
    "enter-time": enter_time,
    "find-word": find_word,
    "form-sequence-2": form_sequence_2,
    "form-sequence-3": form_sequence_3,
    "guess-number": guess_number,
    "login-user": login_user,
    "login-user-popup": login_user_popup,
    "multi-layouts": multi_layouts,
    "multi-orderings": multi_layouts,
    "read-table": read_table,
    "read-table-2": read_table_2,
    "scroll-text": scroll_text,
    "scroll-text-2": scroll_text_2,
    "sign-agreement": sign_agreement,
    "simple-algebra": simple_algebra,
    "simple-arithmetic": simple_arithmetic,
    "text-transform": text_transform,
    "use-autocomplete": use_autocomplete,
    "use-autocomplete-nodelay": use_autocomplete,
    "use-spinner": use_spinner,
}
