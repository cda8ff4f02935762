"""A page's text says the same to who writes it and who reads it."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from agentgym_si.envs.web.snapshot import (
    MAX_TEXT,
    Element,
    Page,
    format_element,
    format_page,
    quoted_words,
    read_page,
)

WORDS = st.text(string.printable + 'é"\\[]=✓', max_size=60).map(lambda text: " ".join(text.split()))
NAMES = st.sampled_from(["checked", "selected", "disabled", "expanded", "focused"])
ELEMENTS = st.builds(
    Element,
    id=st.integers(1, 9999),
    role=st.sampled_from(["button", "text", "combobox", "circle"]),
    name=WORDS,
    value=st.one_of(st.none(), WORDS.filter(bool)),
    states=st.lists(NAMES, unique=True).map(tuple),
    options=st.lists(WORDS, max_size=4).map(tuple),
    looks=st.dictionaries(
        st.sampled_from(["color", "at", "size"]), st.sampled_from(["red", "1,2", "3x4"])
    ),
)


@settings(deadline=None)
@given(WORDS, st.lists(ELEMENTS, max_size=6))
def test_reading_a_page_gives_what_was_written(goal: str, elements: list[Element]) -> None:
    page = Page(goal, tuple(elements), ('dialog "hello"',))
    assert read_page(format_page(page)) == page


def test_lines_look_as_the_instructions_say() -> None:
    assert format_element(Element(3, "button", "Submit")) == '[3] button "Submit"'
    box = Element(4, "textbox", 'say "a"\n b', value="joe", states=("focused",))
    assert format_element(box) == '[4] textbox "say \\"a\\" b" value="joe" focused'
    choice = Element(5, "combobox", "Colour", value="Red", options=("Red", "Blue"))
    assert format_element(choice) == '[5] combobox "Colour" value="Red" options=["Red", "Blue"]'
    shape = Element(6, "circle", looks={"color": "red", "at": "20,30"})
    assert format_element(shape) == "[6] circle color=red at=20,30"


def test_of_a_long_text_both_ends_are_shown() -> None:
    line = format_element(Element(1, "textarea", value="begin " + "x" * 5000 + " end"))
    assert len(line) < MAX_TEXT + 40
    assert 'value="begin x' in line and line.endswith(' end"')


def test_quoted_words_come_once_and_in_order() -> None:
    assert quoted_words('Enter "b" and "a", then "b".') == ["b", "a"]
