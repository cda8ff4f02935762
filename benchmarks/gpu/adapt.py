"""`benchmarks/adapt.py` on a GPU: 32 instances on a model of 0.1 billion weights or one's own.

    python benchmarks/gpu/adapt.py [--model FOLDER] [any argument of benchmarks/adapt.py]

The last line is the JSON object of `benchmarks/adapt.py`.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

DEFAULTS = ["--device", "cuda", "--hidden", "768", "--layers", "12", "--vocabulary", "4096"]


def main() -> None:
    script = str(Path(__file__).parent.parent / "adapt.py")
    sys.argv = [script, *DEFAULTS, *sys.argv[1:]]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
