"""The guest as a command line.

Its modules' source travels in an argument, so that any image with a Python can be a box, whether
its root can be written or not and wherever its engine runs.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import json
import zlib
from collections.abc import Mapping
from pathlib import Path

PACKAGE = "agentgym_si.sandboxes.guest"
MODULES = ("frames", "files", "confine", "interpreter", "children", "running", "agent")
"""In the order in which they need each other."""

BOOT = (
    "import base64,json,sys,types,zlib\n"
    "for n,s in json.loads(zlib.decompress(base64.b85decode(sys.argv[1]))):\n"
    " m=types.ModuleType(n);m.__file__=n;sys.modules[n]=m;exec(compile(s,n,'exec'),m.__dict__)\n"
    "m.main()"
)


def guest_command(python: str, settings: Mapping[str, object]) -> list[str]:
    """Return the command that starts the guest (see `guest.children.Settings`)."""
    return [python, "-s", "-P", "-c", BOOT, _bundle(), json.dumps(settings)]


@functools.cache
def _bundle() -> str:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent
    parts = PACKAGE.split(".")
    packages = [(".".join(parts[: end + 1]), "__path__ = []") for end in range(len(parts))]
    modules = [
        (f"{PACKAGE}.{name}", (folder / f"{name}.py").read_text(encoding="utf-8"))
        for name in MODULES
    ]
    return base64.b85encode(zlib.compress(json.dumps(packages + modules).encode(), 9)).decode()
