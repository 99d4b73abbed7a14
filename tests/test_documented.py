"""Every public thing has a docstring, and what takes or gives arrays names their axes in it.

Both are read by ast. Public is what does not begin with an underscore, at a module's top or in a public class; members
of a Protocol are described by the Protocol, overloads by what they overload. Axes are named by a bracket whose parts
are all axes, as in `values (trial, voxel) float32` or `(stimulus,)`, or by the words "scalar" or "any shape".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOMS = ("app", "brain", "decode", "encoders", "evaluation", "pipelines")
ARRAYS = {
    "NDArray", "ndarray", "Tensor",
    "Arrays", "Bool", "Bytes", "Double", "Float", "Int", "Pixels", "Wave", "Waveform", "Wide",
}  # fmt: skip
"""What an annotation calls an array: the libraries' names and ours for them."""
AXES = {
    "H", "W", "X", "Y", "Z", "band", "batch", "bin", "candidate", "category", "channel", "class", "clip", "column",
    "component", "dim", "draw", "event", "feature", "fold", "frame", "harmonic", "height", "hemisphere", "image",
    "item",
    "l", "mel", "mode", "n", "pair", "patch", "penalty", "picture", "piece", "pixel", "presentation", "r",
    "readout", "reference", "refit", "repeat", "row", "sample", "scene", "seed", "session", "size", "sound",
    "stimulus", "subject", "target", "text", "time", "token", "trial", "value", "vertex", "volume", "voxel",
    "width", "window", "wording", "x", "y", "z",
}  # fmt: skip
"""What an axis is called, in the singular; an adjective may stand before it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Public:
    """Something public: where it stands, its docstring, and for a member that of its class."""

    where: str
    node: ast.Module | ast.ClassDef | Function
    text: str
    around: str = ""
    protocol: bool = False


def called(nodes: list[ast.expr]) -> set[str]:
    """The names, without what stands before their last dot."""
    found = [part for node in nodes for part in ast.walk(node)]
    names = {part.id for part in found if isinstance(part, ast.Name)}
    return names | {part.attr for part in found if isinstance(part, ast.Attribute)}


def public(path: str, tree: ast.Module) -> Iterator[Public]:
    yield Public(path, tree, ast.get_docstring(tree) or "")
    yield from members(f"{path} ", tree.body)


def members(before: str, body: list[ast.stmt], around: str = "", protocol: bool = False) -> Iterator[Public]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from members(before, node.body + node.orelse, around, protocol)
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        text = ast.get_docstring(node) or ""
        if not {"overload", "setter"} & called(node.decorator_list):
            yield Public(f"{before}{node.name}", node, text, around, protocol)
        if isinstance(node, ast.ClassDef):
            yield from members(f"{before}{node.name}.", node.body, text, "Protocol" in called(node.bases))


def on_arrays(node: ast.AST) -> bool:
    """Whether a function's annotations name an array."""
    if not isinstance(node, Function):
        return False
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    annotations = [one.annotation for one in given if one is not None] + [node.returns]
    return bool(ARRAYS & called([one for one in annotations if one is not None]))


def names_axes(text: str) -> bool:
    brackets = re.findall(r"\(([^()]*,[^()]*)\)", text)
    return any(map(of_axes, brackets)) or bool(re.search(r"\b(scalars?|any shape)\b", text))


def of_axes(bracket: str) -> bool:
    """Whether all between the commas is an axis, a length or `...`, and at least one an axis with a name."""
    if bracket == "4, 4":  # an affine, whose axes have no names
        return True
    parts = [part.strip() for part in bracket.split(",") if part.strip()]
    words = [part for part in parts if not re.fullmatch(r"\d+|\.\.\.", part)]
    return bool(words) and all(is_axis(part) for part in words)


def is_axis(part: str) -> bool:
    """Such as `voxel`, `early voxel`, `target + 1`, `*shape`; of two words the last is what it is."""
    if part.startswith("*"):
        return part[1:].replace(".", "_").isidentifier()
    terms = [term.split() for term in re.split(r" (?:\+|-|//|\*|x|\|) ", part)]
    return all(len(term) in (1, 2) and (term[-1] in AXES or term[-1].isdigit()) for term in terms)


@pytest.fixture(scope="module")
def everything(checkout: Path) -> list[Public]:
    paths = (path for room in ROOMS for path in sorted((checkout / room).rglob("*.py")))
    trees = ((str(path.relative_to(checkout)), ast.parse(path.read_text(encoding="utf-8"))) for path in paths)
    return [one for path, tree in trees for one in public(path, tree)]


def test_everything_public_has_a_docstring(everything: list[Public]) -> None:
    found = [one.where for one in everything if not one.text and not one.protocol]
    assert not found, "\n".join(found)


def test_functions_on_arrays_name_their_axes(everything: list[Public]) -> None:
    functions = [one for one in everything if on_arrays(one.node)]
    found = [one.where for one in functions if not names_axes(f"{one.text}\n{one.around}")]
    assert not found, "\n".join(found)


def test_every_name_for_an_array_is_known(checkout: Path) -> None:
    """An alias such as `Float = NDArray[np.float32]` that is not in ARRAYS would hide what it annotates."""
    array = r"(?:NDArray|np\.ndarray|torch\.Tensor|Tensor)\b"
    pattern = re.compile(rf"^\s*(?:type )?(\w+)(?:: TypeAlias)? = (?:dict\[str, )?{array}(?!\()", re.MULTILINE)
    paths = (path for room in ROOMS for path in (checkout / room).rglob("*.py"))
    found = {name for path in paths for name in pattern.findall(path.read_text(encoding="utf-8"))}
    assert found <= ARRAYS


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Responses, values (trial, voxel) float32.", True),
        ("Means (stimulus,) over repeats.", True),
        ("Weights (target + 1, early voxel, 3).", True),
        ("Conditions (stimulus, *space.shape).", True),
        ("A loss, a scalar.", True),
        ("Rounds values of any shape.", True),
        ("Rounds values (in place).", False),
        ("Rounds values (Lloyd, 1982; in place).", False),
        ("Rounds values (at once, in place).", False),
        ("Rounds values (2, 3).", False),
        ("Rounds values (trial).", False),
        ("Rounds values.", False),
    ],
)
def test_only_axes_count_as_axes(text: str, named: bool) -> None:
    assert names_axes(text) == named
