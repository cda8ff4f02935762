"""Java and JavaScript literals, read from their source text and written back, by BFCL's rules.

BFCL's Java and JavaScript answers give every argument as source text (`"50L"`, `"new int[]{1}"`);
its scorer reads a value out of it by the type that the function's documentation names. Text that is
no literal of that type stays text, and so fails the comparison of types. As there, the texts in a
Java array keep their quotes.
"""

from __future__ import annotations

import re
from typing import Any

JAVA_TYPES: dict[str, type] = {
    "byte": int,
    "short": int,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": bool,
    "char": str,
    "String": str,
    "any": str,
    "Array": list,
    "ArrayList": list,
    "Queue": list,
    "Stack": list,
    "Set": set,
    "HashMap": dict,
    "Hashtable": dict,
}
JAVASCRIPT_TYPES: dict[str, type] = {
    "String": str,
    "any": str,
    "integer": int,
    "Bigint": int,
    "float": float,
    "Boolean": bool,
    "array": list,
    "dict": dict,
}

_INTEGER, _DECIMAL = r"-?\d+", r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_JAVA_LITERALS = {
    "byte": _INTEGER,
    "short": _INTEGER,
    "integer": _INTEGER,
    "long": rf"({_INTEGER})[lL]",
    "float": rf"({_DECIMAL})[fF]",
    "double": _DECIMAL,
    "boolean": "true|false",
}
_JAVASCRIPT_LITERALS = {
    "integer": _INTEGER,
    "float": r"-?\d+(?:\.\d+)?",
    "Bigint": rf"({_INTEGER})n",
    "Boolean": "true|false",
}


MOST_CHARACTERS = 2000
"""Of a collection's source text; the patterns that read it take their time over a longer one."""

_LONG_SPACE = re.compile(r"\s{3,}")


def read_java(text: str, kind: str, inner: str | None = None) -> Any:
    """Return the value of a Java literal of type `kind`, its elements of type `inner`."""
    if kind in _JAVA_LITERALS:
        return _read_plain(text, _JAVA_LITERALS[kind], JAVA_TYPES[kind])
    if len(text) > MOST_CHARACTERS:
        return text
    text = _LONG_SPACE.sub("  ", text) if kind in ("Array", "ArrayList", "HashMap") else text
    if kind == "ArrayList":
        found = re.search(r"new\s+ArrayList<\w*>\(Arrays\.asList\((.+?)\)\)", text)
        if found:
            return [_java_element(part, inner) for part in found[1].split(",")]
        found = re.search(r"new\s+ArrayList<\w*>\(\)\s*\{\{\s*(.+?)\s*\}\}", text, re.DOTALL)
        if found:
            return [_java_element(part, inner) for part in re.findall(r"add\((.+?)\)", found[1])]
        return [] if re.search(r"new\s+ArrayList<\w*>\(\)", text) else text
    if kind == "Array":
        found = re.search(r"new\s+\w+\[\]\s*\{(.*?)\}", text)
        if not found:
            return text
        parts = [part.strip() for part in found[1].split(",") if part.strip()]
        return [read_java(part, inner) if inner else _guess(part, "java") for part in parts]
    if kind == "HashMap":
        frame = r"new\s+HashMap<.*?>\s*\(\)"
        found = re.search(frame + r"\s*\{\s*\{?\s*(.*?)\s*\}?\s*\}", text, re.DOTALL)
        if found:
            pairs = re.findall(r"put\(\"(.*?)\",\s*(.*?)\)", found[1])
            return {key: _guess(value.strip(), "java") for key, value in pairs}
        return {} if re.search(frame, text) else text
    return text


def read_javascript(text: str, kind: str, inner: str | None = None) -> Any:
    """Return the value of a JavaScript literal of type `kind`, its elements of type `inner`."""
    if kind in _JAVASCRIPT_LITERALS:
        return _read_plain(text, _JAVASCRIPT_LITERALS[kind], JAVASCRIPT_TYPES[kind])
    if kind == "String":
        return text[1:-1] if _is_quoted(text) else text
    if kind not in ("array", "dict") or len(text) > MOST_CHARACTERS:
        return text
    text = _LONG_SPACE.sub("  ", text.strip())
    return _javascript_array(text, inner) if kind == "array" else _javascript_object(text)


def _read_plain(text: str, pattern: str, kind: type) -> Any:
    found = re.fullmatch(pattern, text.removesuffix("\n"), re.ASCII)
    if not found:
        return text
    if kind is bool:
        return text.startswith("true")
    digits = found[found.lastindex or 0]
    return text if len(digits) > 400 else kind(digits)  # no type holds so many


def _java_element(part: str, inner: str | None) -> Any:
    part = part.strip()
    if inner in ("char", "String"):
        return part[1:-1]
    return read_java(part, inner) if inner else _guess(part, "java")


def _javascript_array(text: str, inner: str | None) -> Any:
    found = re.match(r"\[\s*\[.*\]\s*\]|new\s+Array\(\s*\[.*\]\s*\)", text)
    if found:
        inside = re.findall(r"\[(.*?)\]", found[0])
        return [[_guess(part.strip()) for part in row.strip(" [").split(",")] for row in inside]
    found = re.match(r"\[(.*?)\]|\bnew\s+Array\((.*?)\)", text)
    if not found:
        return text
    content = (found[1] if found[1] is not None else found[2]).strip()
    parts = [part.strip() for part in content.split(",")] if content else []
    return [read_javascript(part, inner) if inner else _guess(part) for part in parts]


def _javascript_object(text: str) -> Any:
    if text == "{}":
        return {}
    found = re.match(r"\{(.*?)\}", text)
    if not found:
        return text
    entries = {}
    for key, value in re.findall(r"([^:]+):\s*(.*?)(?:,\s*(?=[^,]+:)|$)", found[1]):
        value = value.strip()
        if value.startswith("[") and value.endswith("]"):
            entries[key.strip().strip("'\"")] = _javascript_array(value, None)
        elif value.startswith("{") and value.endswith("}"):
            entries[key.strip().strip("'\"")] = _javascript_object(value)
        else:
            entries[key.strip().strip("'\"")] = _guess(value.strip("'\""))
    return entries


def _guess(text: str, language: str = "javascript") -> Any:
    """Return the value of a literal whose type nobody named."""
    if text in ("true", "false"):
        return text == "true"
    if _is_quoted(text) and (language == "javascript" or text[0] == '"'):
        return text[1:-1]
    if language == "java" and re.fullmatch(rf"{_INTEGER}[lL]|{_DECIMAL}[fF]", text, re.ASCII):
        text = text[:-1]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _is_quoted(text: str) -> bool:
    return len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"


def write_literal(value: Any, kind: str, inner: str | None, language: str) -> str:
    """Return source text that the readers above read back to `value`, where there is such text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        suffixes = {"long": "L", "Bigint": "n", "float": "f" if language == "java" else ""}
        return f"{value}{suffixes.get(kind, '')}"
    if isinstance(value, list):
        entries = ", ".join(_write_element(entry, kind, inner, language) for entry in value)
        if kind == "Array":
            return f"new {inner or 'Object'}[]{{{entries}}}"
        if kind == "ArrayList":
            return f"new ArrayList<>({f'Arrays.asList({entries})' if entries else ''})"
        return f"[{entries}]"
    if isinstance(value, dict):
        pairs = [(key, _write_element(entry, "", None, language)) for key, entry in value.items()]
        if language == "java":
            puts = "; ".join(f'put("{key}", {entry})' for key, entry in pairs)
            return f"new HashMap<>() {{{{ {puts} }}}}"
        return "{" + ", ".join(f'"{key}": {entry}' for key, entry in pairs) + "}"
    return str(value)


def _write_element(value: Any, kind: str, inner: str | None, language: str) -> str:
    quoted = inner in (None, "String", "char") and not (kind == "Array" and inner)
    if isinstance(value, str) and quoted:
        return f'"{value}"'
    return write_literal(value, inner or "", None, language)
