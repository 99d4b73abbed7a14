"""The field's words, everywhere a stranger reads them: no private word in a public name, a flag or a first line.

Looked for by ast, never by a text search: what is plain English stays in prose. A name is a function, class, parameter
or dataclass field of one of the rooms that does not begin with an underscore; its words are its parts ("lane_width" has
"lane" and "width"). `docs/reference/glossary.md` has the field's words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOMS = ("app", "brain", "decode", "encoders", "evaluation", "pipelines")
NAMES = {
    "guess": "prediction", "guesses": "predictions", "hand": "decoding method", "hands": "decoding methods",
    "painter": "generator", "painters": "generators", "wish": "objective", "wishes": "objective",
    "wanted": "objective, request", "asks": "terms of an objective", "ask": "term of an objective",
    "lane": "micro-batch", "lanes": "micro-batches", "eye": "feature network", "eyes": "feature networks",
    "walk": "sampling, denoising loop", "walks": "sampling", "walked": "sampled", "moving": "non-constant",
    "still": "constant", "lender": "source subject", "lenders": "source subjects", "lent": "pretrained",
    "sitting": "session", "sittings": "sessions", "studio": "synthesis context", "lab": "fitted run",
    "moment": "sampler state", "course": "trajectory", "courses": "trajectories", "way": "method", "ways": "methods",
    "likest": "most similar", "prompter": "conditioning encoder", "told": "conditioned, reported", "sure": "interval",
    "firm": "above the null", "restoration": "rescaling", "says": "description", "does": "description",
    "came": "found",
}  # fmt: skip
"""A private word -> the field's."""
LINES = (
    "guess", "guesses", "painter", "wishes", "lane", "lanes", "eye", "eyes", "walk", "walks", "lenders", "sitting",
    "sittings", "studio", "likest", "prompter", "told", "restoration", "ways", "course", "courses", "stands twice",
    "its way", "without better validation",
)  # fmt: skip
"""What no first line of a public docstring says; words that are English besides are not here."""
MESSAGES = (
    "stands twice", "stand twice", "guessing", "guesses", "lanes", "painter", "walk", "wished", "lenders", "sitting",
)  # fmt: skip
"""What no error says."""
ALLOWED = {
    "TwoWay": "two-way identification is the field's",
    "TwoWayOtherRecons": "the same",
    "TwoWayWithinCategory": "the same",
    "two_way": "the same",
    "two_way_by": "the same",
    "two_way_marks": "the same",
    "two_way_of": "the same",
    "two_way_other_recons_by": "the same",
    "moved_two_way": "the same, and a key of a file",
    "NWay": "n-way classification is the field's",
    "n_way": "the same",
    "ways": "the number of classes of n-way classification",
    "walker": "a person who walks, in a drawn scene",
    "prompter": "the name of a component of weights and checkpoints",
    "told_apart": "distinguished: plain English",
}
"""Public name -> why a private word in it is none."""


def words_of(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower())


def modules(checkout: Path) -> Iterator[tuple[Path, ast.Module]]:
    for room in ROOMS:
        for path in sorted((checkout / room).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def names_of(tree: ast.Module) -> Iterator[str]:
    """Functions, classes, parameters and fields that are public; of a private function or class none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node.name
            arguments = node.args
            yield from (one.arg for one in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs])
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
            fields = [one.target for one in node.body if isinstance(one, ast.AnnAssign)]
            yield from (one.id for one in fields if isinstance(one, ast.Name) and not one.id.startswith("_"))


def first_lines(tree: ast.Module) -> Iterator[str]:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, kinds) and not getattr(node, "name", "module").startswith("_"):
            text = ast.get_docstring(node)
            if text:
                yield text.splitlines()[0]


def messages(tree: ast.Module) -> Iterator[str]:
    """Texts inside of what is raised."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            parts = (one for one in ast.walk(node.exc) if isinstance(one, ast.Constant))
            yield from (one.value for one in parts if isinstance(one.value, str))


def test_no_private_word_in_a_public_name(checkout: Path) -> None:
    found = [
        f"{path.relative_to(checkout)}: {name} ({NAMES[word]})"
        for path, tree in modules(checkout)
        for name in names_of(tree)
        for word in words_of(name)
        if word in NAMES and name not in ALLOWED
    ]
    assert not found, "\n".join(found)


def test_no_private_word_in_a_first_line(checkout: Path) -> None:
    pattern = re.compile(rf"\b({'|'.join(LINES)})\b", re.IGNORECASE)
    quoted = re.compile(r"`[^`]*`|\"[^\"]*\"")  # names of parameters, stages and files
    found = [
        f"{path.relative_to(checkout)}: {line}"
        for path, tree in modules(checkout)
        for line in first_lines(tree)
        if pattern.search(quoted.sub("", line))
    ]
    assert not found, "\n".join(found)


def test_no_private_word_in_a_message(checkout: Path) -> None:
    pattern = re.compile(rf"\b({'|'.join(MESSAGES)})\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(checkout)}: {text}"
        for path, tree in modules(checkout)
        for text in messages(tree)
        if pattern.search(text)
    ]
    assert not found, "\n".join(found)


def test_every_exception_is_used(checkout: Path) -> None:
    """A name that is gone takes its exception along."""
    known = {name for _, tree in modules(checkout) for name in names_of(tree)}
    assert not [name for name in ALLOWED if name not in known]
