"""Flags: a function's parameters, and the fields of settings among them, become a command line by tyro.

    def asked(data: Path, /, *, out: Path, settings: Settings = Settings()): return data, out, settings
    data, out, settings = parse(asked, program="afterimage fit", words=sys.argv[1:])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")


def parse(function: Callable[..., Result], *, program: str, words: Sequence[str]) -> Result:
    """Calls `function` with what `words` say; a wrong flag leaves with exit code 2 and the nearest right one."""
    import tyro

    config = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)
    return tyro.cli(function, prog=program, args=list(words), config=config)
