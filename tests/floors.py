"""Constraints of the oldest releases that pyproject.toml admits: every direct requirement at its floor.

    python tests/floors.py > lowest.txt           name==floor, a line each; pip reads it with --constraint
    python tests/floors.py torch                  only what is excepted, at the tested version

torch is excepted: its floor, 2.10, is a CUDA build of about 3 GB wherever no index of processors' builds is at hand.
It is held at the version of constraints/tested.txt instead.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("app",)
"""Extras whose floors are reached too; those for tests and pages are tools of ours and stay new."""
EXCEPTED = ("torch",)


def floors(project: dict[str, Any]) -> dict[str, str]:
    """Name -> lowest release that the project's own requirements, and those of EXTRAS, admit.

    A requirement without one is a ValueError that names it.
    """
    extras = project["optional-dependencies"]
    found = {}
    for text in [*project["dependencies"], *(one for extra in EXTRAS for one in extras[extra])]:
        asked = Requirement(text)
        lowest = [one.version for one in asked.specifier if one.operator in (">=", "==", "~=")]
        if len(lowest) != 1:
            raise ValueError(f"pyproject.toml: {text}: expected one lowest release, NAME>=RELEASE; add it")
        found[asked.name] = lowest[0]
    return found


def tested(name: str) -> str:
    """The pinned line of constraints/tested.txt."""
    lines = (ROOT / "constraints" / "tested.txt").read_text().splitlines()
    return next(line for line in lines if line.lower().startswith(f"{name}=="))


if __name__ == "__main__":
    known = floors(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])
    lowest = [f"{name}=={floor}" for name, floor in known.items() if name not in EXCEPTED]
    print("\n".join([*(tested(name) for name in EXCEPTED), *([] if sys.argv[1:] else lowest)]))
