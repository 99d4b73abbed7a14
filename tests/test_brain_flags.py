"""Words that do not fit a command line are one sentence, whichever command it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import pytest

import encoders.pretrain
import evaluation.__main__
import pipelines.finetune
from app import cli
from brain.console.flags import flags_of, parse, refusal
from brain.errors import UsageError

SEE = "see `afterimage study --help`"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Knobs:
    """Settings."""

    steps: int = 3
    places: tuple[int, ...] = ()
    strength: float = 0.5
    maps: Path | None = None
    export: bool = False


def asked(data: Path, kind: Literal["image", "sound"] = "image", /, *, out: Path, how: Knobs = Knobs()) -> Any:  # noqa: B008
    """A command."""
    return data, kind, out, how


def said(*words: str) -> str:
    with pytest.raises(UsageError) as refused:
        parse(asked, program="afterimage study", words=words)
    return str(refused.value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["d"], f"command line: expected --out, found none; add what is missing, {SEE}"),
        (["--steps", "3"], f"command line: expected DATA and --out, found none; add what is missing, {SEE}"),
        (["--out", "o", "d", "image", "x", "y"],
         f"command line: expected DATA and KIND and no more, found also x y; {SEE}"),
        (["d", "--out", "o", "--step", "4"],
         f"--step: expected a flag of `afterimage study`, found one that it does not have; write --steps, or {SEE}"),
        (["d", "--out", "o", "-q"],
         f"-q: expected a flag of `afterimage study`, found one that it does not have; {SEE}"),
        (["d", "--out", "o", "--steps", "many"], f"--steps: expected a whole number, found many; {SEE}"),
        (["d", "--out", "o", "--steps=3.5"], f"--steps: expected a whole number, found 3.5; {SEE}"),
        (["d", "--out", "o", "--places", "1", "2", "x"], f"--places: expected whole numbers, found x; {SEE}"),
        (["d", "--out", "o", "--strength", "a lot"], f"--strength: expected a number, found a lot; {SEE}"),
        (["d", "--out", "o", "--strength"], f"--strength: expected a number, found none; {SEE}"),
        (["d", "--out"], f"--out: expected a file or folder, found none; {SEE}"),
        (["d", "--out", "o", "--export=yes"],
         "--export: expected no value, found yes; write --export or --no-export"),
        (["d", "sonud", "--out", "o"], f"KIND: expected image or sound, found sonud; write sound, or {SEE}"),
    ],
)  # fmt: skip
def test_words_that_do_not_fit_are_one_sentence(words: list[str], sentence: str) -> None:
    assert said(*words) == sentence


def test_words_that_fit_are_taken() -> None:
    words = ["d", "sound", "--out=o", "--steps", "-2", "--places", "1", "-3", "--strength", "1e-3", "--no-export"]
    got = parse(asked, program="x", words=[*words, "--maps", "m"])
    assert got == (Path("d"), "sound", Path("o"), Knobs(steps=-2, places=(1, -3), strength=0.001, maps=Path("m")))


def test_what_the_reader_alone_refuses_is_its_own_words_on_one_line() -> None:
    box = "\u256d\u2500 Parsing error \u2500\u256e\n\u2502 two things \u2502\n\u2502 at once     \u2502\n"
    assert refusal(asked, program="afterimage study", words=["d", "--out", "o"], said=box) == (
        f"command line: expected what the flags allow, found something else (Parsing error two things at once); {SEE}"
    )


def test_what_the_work_prints_and_raises_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    def work(*, number: int = 1) -> int:
        import sys

        print("working", file=sys.stderr)
        raise ValueError("no")

    with pytest.raises(ValueError, match="^no$"):
        parse(work, program="x", words=[])
    assert capsys.readouterr().err == "working\n"


MODULES = {
    "evaluation": evaluation.__main__.main, "pretrain": encoders.pretrain.main, "finetune": pipelines.finetune.main
}  # fmt: skip


@pytest.mark.parametrize("command", [*(name for name in cli.COMMANDS), *MODULES])
def test_every_command_says_it_so(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main = MODULES.get(command, lambda words: cli.main([command, *words]))
    assert main(["--zzzyx", "3"]) == 2
    out, err = capsys.readouterr()
    head = f"{command}: " if command in MODULES else "afterimage: "
    assert not out and err.count("\n") == 1 and err.startswith(f"{head}--zzzyx: expected a flag of `"), err
    assert "--help`" in err


def test_flags_of_nested_settings_are_found() -> None:
    names = {flag.name: flag for flag in flags_of(asked)}
    assert set(names) == {"DATA", "KIND", "--out", "--steps", "--places", "--strength", "--maps", "--export"}
    assert names["DATA"].needed and names["--out"].needed and not names["KIND"].needed
