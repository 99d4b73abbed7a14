"""Every command that README and docs show: where it stands, its words, ready for its own parser.

    for one in shown(ROOT): print(one.where, one.words)

A command is a line of a code block, or a piece of inline code, that begins like one of STARTS. What follows two blanks
or a # is said of it; [OPTIONAL] parts are left out, and capital words stand for values (VALUES).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STARTS = {("afterimage",): "afterimage", ("make",): "make"}
"""How a command begins -> whose parser reads the rest; `... -m MODULE` is read by that module's."""
OURS = ("app", "brain", "decode", "encoders", "evaluation", "pipelines", "benchmarks", "tests")
FENCE = re.compile(r"^ *(```+|~~~+)")


@dataclass(frozen=True)
class Shown:
    """One command: file and line, the program whose parser reads it, and its words."""

    where: str
    program: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.program, *self.words))


def pages(root: Path) -> list[Path]:
    """README, CONTRIBUTING, and every page that is written by hand."""
    made = {root / "docs" / "reference" / "commands.md"}
    found = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]
    return [path for path in found if path not in made and "gallery" not in path.parts]


def shown(root: Path) -> Iterator[Shown]:
    """Every command of every page, in order."""
    for page in pages(root):
        for number, code in pieces(page.read_text("utf-8")):
            for found in commands(code):
                yield Shown(f"{page.relative_to(root)}:{number}", *found)


def pieces(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of every line of code, continued lines joined, and of every piece of inline code."""
    inside, held, start, prose = "", "", 0, list[tuple[int, str]]()
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence:
            inside = "" if inside else fence[1]
            continue
        if inside or line.startswith("    "):
            held, start = (held + line.strip(), start) if held else (line.strip(), number)
            if held.endswith("\\"):
                held = held[:-1].rstrip() + " "
                continue
            yield start, held
            held = ""
        else:
            prose.append((number, line))
    # inline code may go over the end of a line
    whole, starts, at = "", [], 0
    for number, line in prose:
        starts.append((at, number))
        whole += line + "\n"
        at = len(whole)
    for found in re.finditer(r"(?<!`)`([^`]+)`(?!`)", whole):
        number = next(number for place, number in reversed(starts) if place <= found.start())
        yield number, " ".join(found[1].split())


def commands(code: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Program and words of every command of ours in a line of code: `cd x && A; B` has two."""
    for part in re.split(r" && |; ", code.removeprefix("$ ")):
        text = re.split(r" {2,}| +#", part)[0]
        text = re.sub(r"\[[^\]]*\]", "", text)  # optional parts
        try:
            words = [word for word in shlex.split(text) if word != "..."]
        except ValueError:
            continue  # prose with an apostrophe
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)  # a variable before the command
        if not words:
            continue
        words[0] = words[0].removeprefix(".venv/bin/")
        module = words.index("-m") + 1 if "-m" in words else 0
        if 0 < module < len(words) and words[module].partition(".")[0] in OURS:
            yield words[module], tuple(words[module + 1 :])
        for start, program in STARTS.items():
            if tuple(words[: len(start)]) == start:
                yield program, tuple(words[len(start) :])
