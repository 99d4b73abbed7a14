"""What every reader of the catalogue promises, and what a catalogue itself does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from brain.catalogue import Card, Catalogue, facts, unknown
from brain.errors import AfterimageError, InputError, UsageError
from brain.readers import CATALOGUE, Reader, open_recording, reader_of
from brain.simulated.layouts.tiny import tiny_nsd
from brain.simulated.layouts.tiny_listener import tiny_listener
from brain.splits import CATALOGUE as SPLITS


def write_tiny_arrays(folder: Path) -> Path:
    path = folder / "data.npz"
    numbers = np.random.default_rng(0).normal(size=(12, 5))
    np.savez(path, responses=numbers, stimulus=np.arange(12) % 4, images=np.arange(4 * 9).reshape(4, 3, 3))
    return path


def write_tiny_mindvis(folder: Path) -> Path:
    numbers = np.random.default_rng(0).normal(size=(14, 5))
    parts = {"arr_0": numbers[:6], "arr_1": numbers[6:12], "arr_2": numbers[6:12:2] / 2 + numbers[7:12:2] / 2}
    np.savez(folder / "sbj_3.npz", **parts, arr_3=np.arange(6), VC=np.ones(5, bool))
    np.savez(folder / "images_256.npz", train_images=np.zeros((6, 3, 3, 3)), test_images=np.zeros((3, 3, 3, 3)))
    return folder


EXAMPLES: dict[str, Callable[[Path], Path]] = {
    "nsd": lambda folder: tiny_nsd(folder / "nsd").root,
    "arrays": write_tiny_arrays,
    "bdata": lambda folder: tiny_listener(folder / "listener").root,
    "series": lambda folder: tiny_listener(folder / "listener").root / "bids",
    "mindvis": write_tiny_mindvis,
}
"""Reader -> a function that writes an example of its format into a folder."""


@pytest.fixture(scope="module", params=CATALOGUE.names())
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Reader, Path]:
    """A reader and data of its format; a new reader needs one line in EXAMPLES."""
    folder = tmp_path_factory.mktemp(request.param)
    return CATALOGUE[request.param], EXAMPLES[request.param](folder)


def test_a_reader_recognises_its_own_data_and_no_other_does(example: tuple[Reader, Path]) -> None:
    reader, path = example
    assert [other.name for other in CATALOGUE if other.recognises(path)] == [reader.name]
    assert reader_of(path) is reader and reader.title


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"])
@pytest.mark.parametrize("name", CATALOGUE.names())
def test_a_reader_meets_nonsense_with_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "nonsense.npz"
    path.write_bytes(content)
    reader = CATALOGUE[name]
    reader.recognises(path)
    with pytest.raises(AfterimageError) as caught:
        reader.read(path, subject="", sessions=(), betas="", fields={})
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_recording_is_whole(example: tuple[Reader, Path]) -> None:
    reader, path = example
    subjects = reader.subjects(path)
    recording = reader.read(path, subject=subjects[0], sessions=(), betas="", fields={})
    responses = recording.responses
    assert recording.reader == reader.name and recording.source == str(path)
    assert responses.space.subject == subjects[0] and np.isfinite(responses.values).all()
    assert set(responses.stimulus.tolist()) <= set(recording.stimuli.ids)
    assert recording.regions and recording.splits and recording.stimuli.open(recording.stimuli.ids[0])
    for stimulus in set(responses.stimulus.tolist()):
        repeats = responses.repeat[responses.stimulus == stimulus]
        assert sorted(repeats.tolist()) == list(range(len(repeats)))
    for split in recording.splits:
        assert set(split.train) | set(split.test) <= set(recording.stimuli.ids)
    again = open_recording(path)
    assert again.responses.values.tobytes() == responses.values.tobytes()
    assert again.responses.space.sha256 == responses.space.sha256
    assert [split.sha256 for split in again.splits] == [split.sha256 for split in recording.splits]


def test_a_session_read_alone_is_as_it_is_among_the_others(example: tuple[Reader, Path]) -> None:
    _, path = example
    whole = open_recording(path).responses
    last = int(whole.session.max())
    alone = open_recording(path, sessions=[last]).responses
    np.testing.assert_array_equal(alone.values, whole.values[whole.session == last])
    assert alone.stimulus.tolist() == whole.stimulus[whole.session == last].tolist()


def test_an_inspection_is_lines_and_json(example: tuple[Reader, Path]) -> None:
    reader, path = example
    found = reader.inspect(path)
    assert found.lines and all("\n" not in line for line in found.lines)
    json.dumps(found.facts)


def test_a_catalogue_answers_an_unknown_name_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no reader is called 'array'; did you mean arrays"):
        CATALOGUE["array"]
    assert unknown("reader", "zzz", ("a", "b")).endswith("known are a, b")


def test_a_catalogue_refuses_two_entries_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "twins"
    package.mkdir()
    (package / "__init__.py").write_text("")
    source = "class Entry:\n    name = 'twin'\n\nENTRIES = (Entry(),)\n"
    for module in ("one", "two"):
        (package / f"{module}.py").write_text(source)
    (package / "_private.py").write_text("raise RuntimeError('an underscore keeps a module out')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"twins: expected one entry 'twin', found twins\.one and twins\.two; rename"):
        Catalogue("twins", "twin").names()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("ENTRIES = (", r"SyntaxError in one\.py, line 1: '\(' was never closed"),
        ("import a_package_nobody_has\n", r"ModuleNotFoundError in one\.py, line 1: No module named 'a_package"),
        ("import json\njson.loads('{')\n", r"JSONDecodeError in line 2, by .*json.decoder\.py, line \d+: .*"),
        ("raise SystemExit\n", r"SystemExit in one\.py, line 1"),
        ("raise OSError('no such library')\n", r"OSError in one\.py, line 1: no such library"),
        ("a = '\0'\n", r"SyntaxError in one\.py"),
        ("x = 1\nENTRIES = (y,)\n", r"NameError in one\.py, line 2: name 'y' is not defined"),
        ("ENTRIES = [1]\n", r"ENTRIES, a tuple of entries with a name, found '\[1\]'"),
        ("ENTRIES = (1,)\n", r"ENTRIES, a tuple of entries with a name, found '\(1,\)'"),
    ],
)
def test_a_file_that_adds_nothing_usable_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    name = f"colours_{tmp_path.name}"  # what was imported once under a name is not imported again
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=rf"^{name}\.one: expected .*{said}.*[;,] mend the file, or take it away$"):
        Catalogue(name, "colour").names()


def test_a_card_that_lacks_a_text_is_a_sentence() -> None:
    bare: Any = SimpleNamespace(name="bare", title="Bare")
    with pytest.raises(InputError, match="types, bare: expected a card of four texts, found no description and no cit"):
        facts(bare)


def test_data_that_are_no_file_are_said_before_they_are_opened(tmp_path: Path) -> None:
    (tmp_path / "dead.h5").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.h5").symlink_to(tmp_path / "loop.h5")
    os.mkfifo(tmp_path / "pipe.h5")
    for name, said in (
        ("dead.h5", "a link to a file that has not been fetched; run `datalad get` on it"),
        ("loop.h5", "a link that leads to itself"),
        ("pipe.h5", "a pipe, a device or a socket"),
        ("a" * 300, "a path that cannot be read"),
        ("absent.h5", "no such file"),
    ):
        with pytest.raises(InputError, match=f"expected a file or a folder of data, found {said}"):
            open_recording(tmp_path / name)


# cards


@pytest.mark.parametrize("catalogue", [CATALOGUE, SPLITS], ids=["readers", "splits"])
def test_an_entry_carries_its_card(catalogue: Catalogue[Card]) -> None:
    for entry in catalogue:
        card = facts(entry)
        assert set(card) - {"licence", "terms"} == {"name", "title", "description", "citation"}
        assert card["name"] == entry.name
        assert all(isinstance(text, str) and "\n" not in text for text in card.values())
        assert card["title"] and card["description"]
    assert facts(CATALOGUE["nsd"])["licence"] == "NSD Terms and Conditions"


def test_a_reader_says_whether_stimuli_may_be_passed_on() -> None:
    """Terms stand only where a licence is named, in one clause that goes into a sentence."""
    assert all(isinstance(reader.terms, str) and (reader.licence or not reader.terms) for reader in CATALOGUE)
    assert "nsd" in [reader.name for reader in CATALOGUE if reader.terms]
    terms = facts(CATALOGUE["nsd"])["terms"]
    assert "pass its data on" in terms and not terms.endswith(".") and "terms" not in facts(CATALOGUE["arrays"])


def test_the_cards_are_read_without_anything_heavy(checkout: Path) -> None:
    code = (
        "import json, sys\nfrom brain.catalogue import facts\nfrom brain.readers import CATALOGUE\n"
        "[facts(entry) for entry in CATALOGUE]\nprint(json.dumps(sorted(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True)
    assert not {"torch", "h5py", "nibabel", "pandas", "scipy"} & set(json.loads(result.stdout))
