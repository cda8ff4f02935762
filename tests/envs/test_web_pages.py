"""MiniWoB's pages are whole in themselves: nothing is left to be fetched, nothing names a path."""

import re

import pytest

from agentgym_si.envs.web.pages import document, miniwob_folder, task_names

LINKS = re.compile(r"<(?:script|link|img)\s[^>]*?(?:src|href)=[\"'](?!data:)([^\"']+)")


def test_there_is_a_task_for_every_page_of_the_package() -> None:
    assert len(task_names()) >= 125
    assert set(task_names()) == {path.stem for path in miniwob_folder().glob("*.html")}


@pytest.mark.parametrize("task", task_names())
def test_a_document_is_hermetic(task: str) -> None:
    text = document(task, 7)
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not LINKS.findall(outside)
    assert str(miniwob_folder()) not in text
    assert text.index("__agentgym.seed(7)") < text.index("core = {}")
