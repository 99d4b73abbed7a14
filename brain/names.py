"""Names that others gave: they stand in sentences, in tables and on a terminal, and each is one line.

    one_line("x\\n=cmd", f"{path}, subject")      an InputError; a name without an end of a line comes back as it is
    unseen("z\\x1b[2J")                          True: no name in a recording holds what cannot be seen

Whatever has a name is one line. What nobody uses, such as another array of a file, may be called anything else: it is
written out where it is printed (brain.console.terminal) and makes no file unreadable.
"""

from __future__ import annotations

import re
import unicodedata

from brain.errors import InputError, expected

ENDS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""What ends a line, of a text or of a terminal."""
UNSEEN = ("Cc", "Cs", "Zl", "Zp")
"""Categories of letters that no name in a recording holds: control characters, lone surrogates, separators of lines."""
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""What turns the letters after it around, so that a line reads as another."""


def one_line(name: str, where: object) -> str:
    """`name`, if it is one line; else an InputError about `where`: the next line could pass for a sentence of ours."""
    if ENDS.search(name):
        raise InputError(expected(where, "a name of one line", f"{name[:60]!r}", "rename it"))
    return name


def unseen(name: str) -> bool:
    """Does the name hold a letter that cannot be seen, or that a terminal obeys?"""
    # what Python calls printable is none of it: most names are told by one call
    return not name.isprintable() and any(
        unicodedata.category(letter) in UNSEEN or letter in TURNS for letter in name
    )  # fmt: skip
