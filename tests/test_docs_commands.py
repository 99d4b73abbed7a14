"""Every command that README and docs show is read by its own parser; those that can are run, at small size."""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import re
import runpy
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

from app.cli import COMMANDS
from app.cli import main as afterimage
from brain.console import flags
from brain.errors import AfterimageError
from decode.api import simulate
from evaluation.__main__ import main as evaluation
from tests.doc_commands import Shown, commands, pieces, shown

ROOT = Path(__file__).resolve().parents[1]
EVERY = tuple(dict.fromkeys(shown(ROOT)))
PARSERS = ("evaluation.__main__", "encoders.pretrain", "pipelines.finetune")
"""Modules that hold the house's reader of flags under a name of their own."""
WITHOUT_FLAGS = ("tests.notebooks",)
"""Programs that take no words, so that nothing would be read."""

# Capital words of a page -> what a reader would put there.
VALUES = {
    "DATA": "data/simulated", "RUN": "runs/first", "RUN_OR_FOLDER": "runs/first", "OUT": "made",
    "FILE": "responses.npy", "NAME": "takagi-miniature", "NAME_OR_FOLDER": "miniature-image", "KIND": "mappings",
    "DIR": "shown/", "STIMULUS": "nsd01300", "list|check|fetch": "list", "build|check": "build", "2+": "2",
}  # fmt: skip
# Why a command is not run here. The first that matches says it.
REASONS = {
    r"^make (?!help)": "installs from a package index, or runs what runs here already",
    r"stacks fetch": "needs the network",
    r"^afterimage app": "a server that ends when it is stopped; tests/test_demo_server.py starts it",
    r"^encoders\.pretrain|^pipelines\.": "trains a network; tests of its own run its steps",
    r"^benchmarks\.": "a benchmark",
    r"^tests\.notebooks": "writes into the checkout; tests/test_front_door.py holds that against the examples",
    r"^evaluation\.export\.human": "needs the answers of people; tests/test_evaluation_export.py has some",
    r"residual-miniature|shared-miniature|mindvis": "trains a network, over a minute; tests of its own run small ones",
    r"compare RUN RUN": "names runs of the reader's own; runs/first_strong is compared in their place",
    r"synthesize": "needs a run of a hundred stimuli, over a minute with it; golden tests and the gallery run it",
    r"heard/|lag_s=|mels": "needs a listener's run, over a minute with it; golden tests and the gallery run it",
    r"bayes-miniature --out runs/bayes": "the tutorial's study once more",
    r"bank check|captions_train2017": "needs a bank, or COCO's captions; tests/test_encoders_banks.py has some",
    r"bank build": "builds on a bundled stack, half a minute; tests/test_encoders_banks.py builds on a small one",
    r"--subjects 4": "over a minute: four subjects",
    r"--curves": "over a minute; tests/test_decode_curves.py runs it",
    r"data/Kamitani|miyawaki|theirs\.npz": "needs data of others",
    r"(inspect|study) data\.h5|NAME --out runs/mine": "names a file of the reader's own; mine.npz is run in its place",
}
SMALL = {
    "afterimage simulate": "--sessions 1 --trials 60",
    "afterimage study": "--bootstrap 100 --permutations 99",
    "afterimage evaluate": "--bootstrap 100 --permutations 99",
    "evaluation": "--bootstrap 100 --permutations 99",
}
# By what a study asks for: less of it.
LESS = {
    "bayes-miniature": "--steps 2 --rows decoded shuffled", "takagi-miniature": "--steps 2 --rows decoded shuffled",
    "pixels-ridge": "--refits 19 --pixels grey-10x10",
}  # fmt: skip


class ReadSoFar(BaseException):
    """The words were read, and nothing has begun."""


@pytest.fixture
def parsing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every parser reads its words and stops before the command's own work."""
    read = flags.parse

    def only(function: Callable[..., Any], **more: Any) -> Any:
        @functools.wraps(function)
        def begin(*_: Any, **__: Any) -> NoReturn:
            raise ReadSoFar

        return read(begin, **more)

    plain = argparse.ArgumentParser.parse_args

    def read_plainly(self: argparse.ArgumentParser, *words: Any) -> NoReturn:
        plain(self, *words)
        raise ReadSoFar

    monkeypatch.setattr(flags, "parse", only)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read_plainly)
    for name in PARSERS:
        monkeypatch.setattr(importlib.import_module(name), "parse", only)


def words_of(one: Shown) -> list[str]:
    """Its words, with values for what capital letters stand for."""
    found = [VALUES.get(word.strip("()"), word) for word in one.words]
    judged = "mine/" if "--references" in found else "runs/first"
    for place, word in enumerate(found):
        if word == "FOLDER":
            before = found[place - 1] if place else ""
            found[place] = f"aside{before}" if before in ("--to", "--out") else judged
        elif word == "ID":
            found[place] = next(iter(stimuli_tested()), word)
        elif word == "made" and "sound" in found:
            found[place] = "made_sound"
        elif word == "made" and found[0] == "pack":
            found[place] = "made.h5"
        elif word == "responses.npy" and found[place - 1] == "--stimulus":
            found[place] = "ids.txt"
    return found


def stimuli_tested() -> list[str]:
    """The test stimuli of the desk's own run."""
    card = Path("runs/first/card.json")
    facts = json.loads(card.read_text())["tested"] if card.is_file() else {}
    return [name for names in facts.values() for name in names]


def read(one: Shown) -> None:
    """Reads the words; what is wrong with them is an AfterimageError, or the end of the process by --help."""
    words = words_of(one)
    if one.program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        variables = re.findall(r"^([A-Z_]+) \?=", (ROOT / "Makefile").read_text(), re.M)
        assert all(word in targets or word.partition("=")[0] in variables for word in words), words
        return
    if one.program == "afterimage":
        assert words[0] in COMMANDS, words
        if len(words) > 1 or words[0] == "list":
            importlib.import_module(f"app.commands.{words[0]}").run(words[1:])
        return
    if one.program in WITHOUT_FLAGS:
        assert not words and importlib.util.find_spec(one.program) is not None
        return
    if one.program in PARSERS or f"{one.program}.__main__" in PARSERS:
        name = one.program if one.program in PARSERS else f"{one.program}.__main__"
        importlib.import_module(name)._run(words)
        return
    before, sys.argv = sys.argv, [one.program, *words]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # another test has imported the module already
            runpy.run_module(one.program, run_name="__main__")
    finally:
        sys.argv = before
    raise AssertionError(f"{one.program} has read no words")


def alone(one: Shown) -> bool:
    """Whether a command's name stands in the text without what it needs, as a name."""
    return not one.words or (one.program == "afterimage" and len(one.words) == 1 and one.words[0] != "list")


def test_there_are_commands_on_many_pages() -> None:
    assert len(EVERY) > 80 and len({one.where.partition(":")[0] for one in EVERY}) > 12
    programs = {"afterimage", "evaluation", "encoders.pretrain", "pipelines.finetune", "make", "benchmarks.noise"}
    assert programs < {one.program for one in EVERY}


@pytest.mark.usefixtures("parsing_alone")
def test_every_command_is_read_by_its_own_parser() -> None:
    wrong = []
    for one in EVERY:
        if not one.words:
            continue  # a name in the text
        try:
            read(one)
        except ReadSoFar:
            continue
        except SystemExit as end:
            if end.code not in (None, 0) or "--help" not in one.words:
                wrong.append(f"{one.where}: {one}: exit code {end.code}")
        except (AfterimageError, AssertionError) as fault:
            wrong.append(f"{one.where}: {one}: {fault}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("parsing_alone")
def test_a_flag_that_nobody_has_would_be_found() -> None:
    with pytest.raises(AfterimageError, match="--fancy"):
        read(Shown("here", "afterimage", ("study", "DATA", "--out", "RUN", "--fancy", "3")))
    with pytest.raises(AfterimageError, match="--refs"):
        read(Shown("here", "evaluation", ("mine/", "--refs", "shown/")))
    with pytest.raises(SystemExit):
        read(Shown("here", "benchmarks.noise", ("--seed", "3", "--colour", "pink")))
    for words in (("make", "tea"), ("make", "decode", "TEA=1"), ("afterimage", "frobnicate")):
        with pytest.raises(AssertionError):
            read(Shown("here", words[0], words[1:]))


def test_commands_are_found_wherever_they_stand() -> None:
    assert list(commands("cd x && make lint; .venv/bin/afterimage list  and what it is")) == [
        ("make", ("lint",)), ("afterimage", ("list",)),
    ]  # fmt: skip
    assert list(commands("OMP_NUM_THREADS=1 .venv/bin/python -m evaluation [--out X] mine/  # judged")) == [
        ("evaluation", ("mine/",))
    ]
    assert list(commands("torchrun --nproc_per_node 2 -m encoders.pretrain data")) == [("encoders.pretrain", ("data",))]
    assert not list(commands("python -m pytest tests")) and not list(commands("don't"))
    text = "a `make\nlint` b\n\n    afterimage list \\\n      mappings\n\n```\nmake test\n```\n"
    assert [code for _, code in pieces(text)] == ["afterimage list mappings", "make test", "make lint"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as a reader of the pages has it: small data under the pages' own names."""
    home, before = tmp_path_factory.mktemp("desk"), Path.cwd()
    os.chdir(home)
    try:
        simulate("data/simulated", sessions=1, trials=60)
        page = (ROOT / "docs" / "tutorials" / "own_arrays.md").read_text()
        text = re.search(r"```python\n(.*?)```", page, re.S)
        assert text is not None
        exec(compile(text[1].replace("(40, 10, 10)", "(12, 10, 10)").replace("arange(40)", "arange(12)")
                     .replace("[1, 2, 3], 40", "[1, 2, 3], 12").replace("(40, -1)", "(12, -1)")
                     .replace("(120, 300)", "(36, 300)"), "own_arrays.md", "exec"), {})  # fmt: skip
        rng = np.random.default_rng(0)
        for folder in ("mine", "shown", "trained", "pictures"):
            Path(folder).mkdir()
            for number in range(12):
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(f"{folder}/s{number:02d}.png")
        np.save("responses.npy", rng.standard_normal((24, 30)).astype(np.float32))
        Path("ids.txt").write_text("".join(f"s{trial % 12:02d}\n" for trial in range(24)))
        yield home
    finally:
        os.chdir(before)


def reason(one: Shown) -> str:
    """Why it is not run; "" where it is."""
    if alone(one):
        return "a name in the text, no whole command"
    return next((why for pattern, why in REASONS.items() if re.search(pattern, str(one))), "")


def small(one: Shown) -> list[str]:
    """Its words at small size."""
    words = words_of(one)
    kind = " ".join((one.program, *one.words[:1])) if one.program == "afterimage" else one.program
    more = SMALL.get(kind, "")
    if kind == "afterimage study":
        recipe = next((word for word in words if word in LESS), "bayes-miniature")
        more += f" {LESS[recipe]}"
    given = {word for word in words if word.startswith("--")}
    found: list[str] = []
    for flag in re.findall(r"--\S+(?: [^-]\S*)*", more):
        if flag.split()[0] not in given:
            found += shlex.split(flag)
    # two pages may fit the same file by other settings into a run of one name
    if "pixels-ridge" in words and "session=run" not in " ".join(words):
        words[words.index("--out") + 1] += "-again"
    return [*words, *([] if "--help" in words or "--audit" in words else found)]


def test_what_can_be_run_in_a_minute_is_run(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Tutorials first, whose runs the other pages speak of; what says the same at small size is run once."""
    order = sorted(EVERY, key=lambda one: ("tutorials" not in one.where, "--out runs/first" not in str(one)))
    left, wrong, done = dict[str, str](), list[str](), set[tuple[str, ...]]()
    for one in order:
        why = reason(one)
        if why:
            left.setdefault(str(one), why)
            continue
        words = small(one)
        if (key := (one.program, *words)) in done:
            continue
        done.add(key)
        try:
            code = {"afterimage": afterimage, "evaluation": evaluation}[one.program](words)
        except SystemExit as end:
            code = int(end.code or 0)
        if code:
            said = capfd.readouterr().err[-600:]
            wrong.append(f"{one.where}: {one.program} {' '.join(words)}: exit code {code}\n{said}")
    with capfd.disabled():
        print(f"\n{len(done)} commands of the pages were run, {len(left)} were not:")
        for text, why in sorted(left.items(), key=lambda item: (item[1], item[0])):
            print(f"  {text}: {why}")
    assert not wrong, "\n".join(wrong)
    assert len(done) >= 15 and (desk / "runs" / "first_strong" / "samples").is_dir()
