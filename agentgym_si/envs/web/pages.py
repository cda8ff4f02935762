"""MiniWoB++'s pages as single documents: scripts, styles and small images inlined."""

from __future__ import annotations

import base64
import functools
import json
import mimetypes
import re
from collections import Counter
from pathlib import Path

from agentgym_si.errors import MissingDependency

_SCRIPT = re.compile(r"<script\s[^>]*?src=\"([^\"]+)\"[^>]*>\s*</script>")
_STYLE = re.compile(r"<link\s[^>]*?href=\"([^\"]+\.css)\"[^>]*>")
_IMAGE = re.compile(r"(<img\s[^>]*?src=\")([^\"]+\.(?:png|gif|jpg))(\")")
_URL = re.compile(r"url\([\"']?([^\"')]+\.(?:png|gif|jpg))[\"']?\)")

STILL = (
    "<style>*,*::before,*::after{transition:none!important;animation:none!important;"
    "scroll-behavior:auto!important;overflow-anchor:none!important;"
    "caret-color:transparent!important}</style>"
)
"""Transitions and scroll anchoring follow the wall clock's frames; without them the page's look
follows its state alone."""


@functools.cache
def miniwob_folder() -> Path:
    """Return the folder of the pages; raises MissingDependency where `miniwob` is missing."""
    from importlib.util import find_spec

    spec = find_spec("miniwob")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency(
            "MiniWoB's pages come with the package miniwob: pip install 'agentgym-si[web]'"
        )
    return Path(spec.submodule_search_locations[0]) / "html" / "miniwob"


@functools.cache
def task_names() -> tuple[str, ...]:
    """Return the name of every page the package ships, sorted."""
    return tuple(sorted(path.stem for path in miniwob_folder().glob("*.html")))


def document(task: str, seed: int) -> str:
    """Return a task's page with all that it loads put into it, its chance fixed by `seed`."""
    before, after = _document(task)
    return f"{before}<head><script>__agentgym.seed({seed % 2**32})</script>{after}"


@functools.cache
def _document(task: str) -> tuple[str, str]:
    path = miniwob_folder() / f"{task}.html"
    text = path.read_text(encoding="utf-8")
    folder = path.parent
    text = _SCRIPT.sub(lambda match: _script(folder / match[1]), text)
    text = _STYLE.sub(lambda match: _style(folder / match[1]), text)
    text = _IMAGE.sub(lambda match: f"{match[1]}{_data(folder / match[2])}{match[3]}", text)
    text = _inline_urls(text, folder)
    before, found, after = text.replace("</head>", f"{STILL}</head>", 1).partition("<head>")
    if not found:
        raise ValueError(f"expected a <head> in the page of {task}")
    return before, after


@functools.cache
def picture(path: str) -> tuple[bytes, str] | None:
    """Return a picture that a page asks for by its path, and its kind; None for anything else."""
    folder = miniwob_folder().parent
    file = (folder / path.lstrip("/")).resolve()
    kind = mimetypes.guess_type(file.name)[0] or ""
    inside = file.is_relative_to(folder.resolve()) and file.is_file()
    return (file.read_bytes(), kind) if inside and kind.startswith("image/") else None


LARGE, COMMON = 50_000, 10
"""A script of more bytes that more pages load is sent to a context once, not with every page."""


@functools.cache
def library() -> str:
    """Return a script that gives a page the large common scripts, as texts by their names."""
    value = json.dumps({name: path.read_text(encoding="utf-8") for path, name in _common().items()})
    return f'Object.defineProperty(globalThis, "__miniwobLibrary", {{ value: {value} }});'


@functools.cache
def _common() -> dict[Path, str]:
    uses: Counter[Path] = Counter()
    for task in task_names():
        page = miniwob_folder() / f"{task}.html"
        names = _SCRIPT.findall(page.read_text(encoding="utf-8"))
        uses.update({(page.parent / name).resolve() for name in names})
    large = [path for path in uses if path.stat().st_size > LARGE and uses[path] > COMMON]
    root = miniwob_folder().parent.resolve()
    return {path: path.relative_to(root).as_posix() for path in sorted(large)}


@functools.cache
def _script(path: Path) -> str:
    name = _common().get(path.resolve())
    if name is not None:  # an indirect eval runs it as a script of the page's own
        return f'<script>(0, eval)(__miniwobLibrary["{name}"])</script>'
    text = path.read_text(encoding="utf-8").replace("</script", "<\\/script")
    return f"<script>{text}\n</script>"


@functools.cache
def _style(path: Path) -> str:
    return f"<style>{_inline_urls(path.read_text(encoding='utf-8'), path.parent)}\n</style>"


def _inline_urls(text: str, folder: Path) -> str:
    return _URL.sub(lambda match: f'url("{_data(folder / match[1])}")', text)


@functools.cache
def _data(path: Path) -> str:
    if not path.is_file():
        return "data:,"
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
