"""Names that others gave: they stand in sentences, in tables and on a terminal, and each is one line.

    one_line("x\\n=cmd", f"{path}, subject")      an InputError; a name without an end of a line comes back as it is
"""

from __future__ import annotations

import re

from brain.errors import InputError, expected

ENDS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""What ends a line, of a text or of a terminal."""


def one_line(name: str, where: object) -> str:
    """`name`, if it is one line; else an InputError about `where`: the next line could pass for a sentence of ours."""
    if ENDS.search(name):
        raise InputError(expected(where, "a name of one line", f"{name[:60]!r}", "rename it"))
    return name
