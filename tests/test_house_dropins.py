"""One file adds a thing, and any file can be taken away: a copy of the checkout, edited nowhere.

`tests/dropins/` mirrors the rooms: a file for each catalogue, with names that stand nowhere else.
"""

from __future__ import annotations

import compileall
import importlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from decode.run.settings import to_json

ROOMS = ("app", "brain", "decode", "encoders", "evaluation", "pipelines")
KINDS = ("recipes", "methods", "mappings", "readers", "splits", "spaces", "towers", "generators", "synthesis",
         "metrics", "judges", "profiles")  # fmt: skip
FEW = ("--bootstrap", "100", "--permutations", "20")
TAKEN = [
    *(f"decode/methods/{name}.py" for name in ("bayes", "double_conditioning", "pixels", "sound_anchored", "sound_c2f",
                                               "sound_direct", "takagi", "unclip")),
    *(f"encoders/mappings/{name}.py" for name in ("prior", "residual", "ridge", "shared")),
    *(f"evaluation/metrics/{name}.py" for name in ("identification", "perceptual", "pixels", "sounds", "verdicts")),
]  # fmt: skip


def linked(source: str, target: str) -> None:
    """A hard link where the file system has them: nothing is edited, so nothing need be copied."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def copy(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rooms, as they stand, compiled once: none of a hundred processes has to do it again."""
    home = tmp_path_factory.mktemp("copy")
    for room in ROOMS:
        shutil.copytree(checkout / room, home / room, copy_function=linked)
        assert compileall.compile_dir(home / room, quiet=1)
    return home


@pytest.fixture(scope="module")
def grown(checkout: Path, copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rooms with one more file in each catalogue."""
    home = tmp_path_factory.mktemp("grown")
    shutil.copytree(copy, home, copy_function=linked, dirs_exist_ok=True)
    for file in sorted((checkout / "tests/dropins").rglob("*.py")):
        target = home / file.relative_to(checkout / "tests/dropins")
        assert target.parent.is_dir() and not target.exists(), target
        shutil.copy2(file, target)
    return home


def ask(home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """One command of that checkout."""
    environment = {**os.environ, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}
    command = [sys.executable, "-m", "app.cli", *map(str, words)]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)


def said(home: Path, *words: object) -> str:
    """What a command prints that has to succeed."""
    done = ask(home, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the reader that nobody knows: 24 pictures shown twice."""
    rng = np.random.default_rng(5)
    pictures = rng.integers(0, 256, (24, 2, 2, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    ids = np.array([f"t{one:02d}" for one in range(24)])
    answers = pictures[:, ::8, ::8].reshape(24, 12) / 255 @ rng.normal(size=(12, 30))
    trials = np.concatenate([answers, answers]) + 0.2 * rng.normal(size=(48, 30))
    path = tmp_path_factory.mktemp("toy") / "data.toy"
    with path.open("wb") as file:
        np.savez(file, responses=trials, pictures=pictures, ids=ids, shown=np.tile(ids, 2),
                 repeat=np.repeat([0, 1], 24))  # fmt: skip
    return path


@pytest.fixture(scope="module")
def study(grown: Path, toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "toy"
    said(grown, "study", toy, "--recipe", "toy-recipe", "--out", run, "--tint", "0.2", *FEW)
    return run


def test_every_new_file_is_listed_by_its_card(grown: Path) -> None:
    for kind in KINDS:
        cards = {one["name"]: one for one in json.loads(said(grown, "list", kind, "--json"))}
        new = [name for name in cards if name.startswith(("toy", "every-fourth"))]
        assert len(new) == 1 and cards[new[0]]["title"] and cards[new[0]]["description"], kind


def test_a_study_of_new_things_alone_ends_in_a_report(study: Path) -> None:
    report = json.loads((study / "report/report.json").read_text(encoding="utf-8"))
    order = ["Decoded", "Blocks inverted", "Shuffled brain", "Mean condition", "Nearest training image",
             "True condition"]  # fmt: skip
    page = (study / "report/report.html").read_text(encoding="utf-8")
    ladder = page[page.index("<main>") :]  # pictures stand before it
    places = [ladder.index(f">{title}<") for title in order]
    assert places == sorted(places) and "the decoded colours turned around" in page
    assert "Redness" in page and "how alike sample and reference are in red, as nobody has asked before" in page
    assert {row["metric"] for row in report["rows"]} >= {"toy_redness", "two_way"}
    value = {(row["row"], row["metric"]): row["value"] for row in report["rows"]}
    assert value["decoded", "two_way"] > 0.8 > value["shuffled", "two_way"]
    card = json.loads((study / "card.json").read_text(encoding="utf-8"))
    assert card["learned"] == {"learned/toy-blocks/card.json": {"trained on": 18}}
    assert card["data"]["reader"] == "toy" and card["decode"]["tint"] == 0.2
    assert report["card"]["evaluation"]["judge"]["name"] == "toy-averages"


def test_a_knob_stands_in_the_help_of_the_recipe_that_reads_it_and_nowhere_else(grown: Path) -> None:
    own = said(grown, "study", "--recipe", "toy-recipe", "--help")
    assert "--tint NUMBER" in own and "How much is added to each colour" in own and "--shrinkage NUMBER" in own
    assert "--steps" not in own and "--alphas" not in own
    other = said(grown, "study", "--recipe", "takagi-miniature", "--help")
    assert "--tint" not in other and "--shrinkage" not in other and "--steps" in other
    assert ask(grown, "study", "x", "--out", "y", "--recipe", "toy-recipe", "--tint", "2").returncode == 2


def test_help_of_a_recipe_fits_one_screen(copy: Path) -> None:
    assert len(said(copy, "study", "--recipe", "takagi-miniature", "--help").splitlines()) <= 60
    shown = said(copy, "study", "--recipe", "mindvis-miniature", "--help")
    assert all(flag in shown for flag in ("--voxels", "--paths", "--start", "--encoder", "--tune-steps"))
    assert "--voxels" not in said(copy, "study", "--recipe", "unclip-miniature", "--help")


@pytest.fixture(scope="module")
def stored(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished run of plain regression and its data."""
    home = tmp_path_factory.mktemp("stored")
    rng = np.random.default_rng(3)
    pictures = (rng.random((12, 8, 8)) * 255).astype(np.uint8)
    answers = pictures.reshape(12, -1)[:, :40] / 255 - 0.5 + 0.2 * rng.normal(size=(2, 12, 40))
    names = np.array([f"f{one:02d}" for one in range(12)])
    data = home / "figures.npz"
    np.savez(data, responses=answers.reshape(24, 40).astype(np.float32), stimulus=np.tile(names, 2), images=pictures,
             image_ids=names, group=np.tile(np.arange(12) // 3, 2))  # fmt: skip
    run = home / "run"
    words = ("study", data, "--recipe", "pixels-ridge", "--out", run, "--refits", "0", "--folds", "3", *FEW)
    said(copy, *words)
    return run, data


@pytest.fixture
def without(copy: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The rooms without one file."""
    file = copy / request.param
    aside = file.with_suffix(".taken")
    file.rename(aside)
    try:
        yield copy
    finally:
        aside.rename(file)


WARM = """
import builtins, os, sys, traceback
import jinja2, scipy.stats, torch
plain, wanted = builtins.__import__, set()

def noted(name, globals=None, *more, **also):
    if (globals or {{}}).get("__name__", "").partition(".")[0] in {rooms}:  # others look for what is loaded
        wanted.add(name.partition(".")[0])
    return plain(name, globals, *more, **also)

for line in sys.stdin:
    run, out = line.rstrip().split("\\t")
    child = os.fork()
    if not child:
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        builtins.__import__, code = noted, 1
        try:
            exec(LOOK)
            code = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
LOOK = """
import shutil
from pathlib import Path
from app.cli import main
for kind in {kinds}:
    assert main(["list", kind]) == 0, kind
assert not {{"accelerate", "torch", "diffusers", "transformers"}} & wanted, "cards import torch"
for words in (["study", "--help"], ["fit", "--help"], ["decode", "--help"], ["evaluate", "--help"],
              ["decode", run, "--help"]):
    try:
        main(words)
    except SystemExit as left:
        assert left.code == 0
assert not {{"accelerate", "torch", "diffusers", "transformers"}} & wanted, "help imports torch"
shutil.rmtree(Path(run) / "report")
assert main(["evaluate", run]) == 0
assert (Path(run) / "report/report.html").is_file() and "torch" in wanted
"""


@pytest.fixture(scope="module")
def warm(copy: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has loaded what takes seconds, and none of the rooms; it forks for each line RUN<tab>LOG."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    code = f"LOOK = {LOOK.format(kinds=KINDS)!r}\n{WARM.format(rooms=ROOMS)}"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=copy, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


def asked_of(file: Path, gone: Path) -> None:
    """Settings of a run that names the methods, or the mapping, of this file of the checkout."""
    home = ".".join(gone.parts[:-1])
    entries = importlib.import_module(f"{home}.{gone.stem}").ENTRIES
    stored = json.loads(file.read_text(encoding="utf-8"))
    asked = stored["asked"]
    if home == "decode.methods":
        names = [one.name for one in entries if one.name != asked["sampling"]["method"]]
        asked["sampling"]["beside"] = names
        asked["methods"] |= {one.name: to_json(one.settings) for one in entries if one.name in names}
    if home == "encoders.mappings":
        asked["maps"]["mapping"] = entries[0].name
        asked["mappings"] = {one.name: to_json(one.settings) for one in entries}
    file.write_text(json.dumps(stored), encoding="utf-8")


def test_every_bundled_file_is_tried(copy: Path) -> None:
    homes = ("decode/methods", "encoders/mappings", "evaluation/metrics")
    there = [f"{home}/{file.name}" for home in homes for file in (copy / home).glob("*.py")]
    assert sorted(TAKEN) == sorted(name for name in there if not name.endswith("__init__.py"))


@pytest.mark.parametrize("without", TAKEN, indirect=True)
def test_any_file_can_be_taken_away(
    without: Path, stored: tuple[Path, Path], warm: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Lists, help and the page of a stored run work, also where that run's settings name what the file brought."""
    run = shutil.copytree(stored[0], tmp_path / "run")
    (gone,) = without.rglob("*.taken")
    asked_of(run / "settings.json", gone.relative_to(without))
    assert warm.stdin is not None and warm.stdout is not None
    print(run, tmp_path / "log", sep="\t", file=warm.stdin, flush=True)
    assert warm.stdout.readline() == "0\n", (tmp_path / "log").read_text()[-3000:]


@pytest.mark.parametrize(
    ("without", "kind"),
    [("decode/methods/pixels.py", "decoding method is called 'pixels'"),
     ("encoders/mappings/ridge.py", "mapping is called 'ridge'")],
    indirect=["without"],
)  # fmt: skip
def test_going_on_with_a_run_whose_file_was_taken_is_one_sentence(
    without: Path, kind: str, stored: tuple[Path, Path], tmp_path: Path
) -> None:
    run, data = shutil.copytree(stored[0], tmp_path / "run"), stored[1]
    shutil.rmtree(run / "samples")
    commands: list[Sequence[object]] = [
        ("study", data, "--recipe", "pixels-ridge", "--out", run, "--refits", "0", "--folds", "3", *FEW),
        ("decode", run, "--data", data),
    ]
    for words in commands:
        done = ask(without, *words)
        assert done.returncode in (2, 3) and kind in done.stderr and done.stderr.count("\n") == 1, done.stderr


LOT = random.Random(26).sample([name for name in TAKEN if name.split("/")[-1] not in ("pixels.py", "ridge.py")], 2)


@pytest.mark.parametrize("without", LOT, indirect=True)
def test_another_recipe_s_study_runs_without_it(without: Path, stored: tuple[Path, Path], tmp_path: Path) -> None:
    words = ("study", stored[1], "--recipe", "pixels-ridge", "--out", tmp_path / "run", "--refits", "0", "--folds", "3")
    assert said(without, *words, *FEW).splitlines()[-1] == str(tmp_path / "run/report/report.html")
