"""README's example and the notebooks, in fresh kernels; decode.api, in good and in bad hands."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import numpy as np
import pytest

from brain import readers
from brain.errors import InputError, UsageError
from decode.api import Judged, Run, draw, fit, judge, open_recording, simulate
from tests.notebooks import MADE, notebook, text_of

SMALL = {
    r"sessions=2, trials=240": "sessions=1, trials=90", r"steps=\d+": "steps=2", r"permutations=\d+": "permutations=99",
}  # fmt: skip
"""What notebooks ask for -> the same at small size."""
FAST = {"bootstrap": 100, "permutations": 99}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small data, under the names of README and of the notebooks."""
    home = tmp_path_factory.mktemp("door")
    simulate(home / "data" / "simulated", sessions=1, trials=90)
    (home / "data" / "small").symlink_to(home / "data" / "simulated")
    return home


def executed(cells: list[str], place: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the cells in a fresh kernel in `place`; an error in one is an error here."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(place / "kernel"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    resources = {"metadata": {"path": str(place)}}
    nbclient.NotebookClient(made, timeout=300, kernel_name="python3", resources=resources).execute()
    return made


def text_printed(made: Any) -> str:
    return "".join(str(out.get("text", "")) for cell in made.cells for out in cell.outputs)


def test_readme_s_example_runs_in_a_fresh_kernel(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
    found = re.search(r"```python\n(.*?)```", readme, re.S)
    assert found is not None
    lines = [line for line in found[1].splitlines() if line.strip()]
    assert 6 <= len(lines) <= 10 and "decode.api" in lines[0]
    said = text_printed(executed([found[1]], place, monkeypatch))
    assert "two pictures was seen" in said and "runs/notebook/report/report.html" in said
    assert (place / "runs" / "notebook" / "report" / "report.html").is_file()


@pytest.mark.parametrize("name", MADE)
def test_a_notebook_is_what_its_example_gives_and_runs(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(__file__).resolve().parents[1] / "notebooks" / f"{name}.ipynb"
    stored = path.read_text("utf-8")
    assert stored == text_of(notebook(name)), "make it again: python -m tests.notebooks"
    cells = ["".join(cell["source"]) for cell in json.loads(stored)["cells"] if cell["cell_type"] == "code"]
    small = "\n# next cell\n".join(cells)
    for large, less in SMALL.items():
        small = re.sub(large, less, small)
    assert "trials=90" in small and "permutations=99" in small
    made = executed(small.split("\n# next cell\n"), place, monkeypatch)
    outputs = [out for cell in made.cells for out in cell.outputs]
    shown = [out.data for out in outputs if out.output_type in ("display_data", "execute_result")]
    assert any("image/png" in one for one in shown)
    page = next(one["text/html"] for one in shown if "two pictures" in one.get("text/html", ""))
    assert "<table" in page and "decoded" in page


@pytest.fixture(scope="module")
def fitted(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(planted, tmp_path_factory.mktemp("api") / "run", recipe="pixels-ridge", pixels="rgb-4x4", folds=3)


def test_four_calls_are_a_study(fitted: Run, planted: Path) -> None:
    recording = open_recording(planted)
    assert recording.responses.values.shape == (72, 90) and recording.path == planted
    again = fit(recording, fitted.path, recipe="pixels-ridge", pixels="rgb-4x4", folds=3)
    assert again == fitted and 0.1 < fitted.accuracy["pixels of held-out"] <= 1
    one, two = sorted(open_recording(planted).split().test)[:2]
    few = draw(fitted, stimuli=[two, one], rows=["decoded", "mean"])
    assert list(few) == [two, one] and few[one][0].size == (4, 4)
    pictures = draw(fitted, rows=["decoded", "mean"])
    assert len(pictures) == 8 and pictures[one][0].tobytes() == few[one][0].tobytes()
    shown, mean = fitted.shown(), fitted.drawn("mean")
    assert shown.keys() == pictures.keys() == mean.keys()

    def alike(rows: dict[str, list[Any]]) -> float:
        one, other = (np.concatenate([np.asarray(of(name), float).ravel() for name in shown]) for of in (
            lambda name: rows[name][0], lambda name: shown[name].resize((4, 4), 0)))  # fmt: skip
        return float(np.corrcoef(one, other)[0, 1])

    assert alike(pictures) > 0.3 > alike(mean)
    report = judge(fitted, **FAST)
    table = report.table().set_index(["row", "metric"])
    assert report.value("decoded", "two_way") == table.value["decoded", "two_way"]
    assert report.value("decoded", "two_way") > 0.9 > report.value("mean", "two_way")
    assert str(report).endswith("report.html") and report.answer in str(report)
    assert "<script" not in report._repr_html_() and "decoded" in report._repr_html_()
    ways = {(one["direction"], one["pool"]): one for one in report.facts["retrieval"]}
    assert set(ways) == {("brain_to_stimulus", 8), ("stimulus_to_brain", 8)}
    assert all(one["value"] > 0.5 and one["p"] <= 0.05 for one in ways.values())
    assert judge(fitted, **FAST) == report  # judged already
    folder = judge(fitted.path / "samples", judge="pixels", out=fitted.path.parent / "aside", **FAST)
    assert folder.value("decoded", "two_way") == report.value("decoded", "two_way")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda run, data: open_recording(data, subj="a"), "no keyword of open_recording .*did you mean subject"),
        (lambda run, data: fit(data, "runs/x", steps=3), "no keyword of fit is called 'steps'"),
        (lambda run, data: fit(data, "runs/x", folds="5"), r"fit\(\.\.\., folds=\): expected int, found '5'"),
        (lambda run, data: fit(data, "runs/x", folds=1), "folds: expected 2 or more, found 1"),
        (lambda run, data: fit(data, "runs/x", folds=True), "expected int, found True"),
        (lambda run, data: fit(data, "runs/x", recipe="takagi"), "no recipe is called 'takagi'"),
        (lambda run, data: fit(data, "runs/x", maps="pixels=*"), "maps: expected a list of texts"),
        (lambda run, data: fit(data, "runs/x", mapping=3), "mapping: expected a name"),
        (lambda run, data: fit(readers.open_recording(data), "runs/x"), "what open_recording of decode.api returns"),
        (lambda run, data: draw(run, stimuli="s01"), r"write \['s01'\]"),
        (lambda run, data: draw(run, stimuli=["none"]), "no test stimulus is called 'none'"),
        (lambda run, data: draw(run, test_repeats="all"), "expected int, found 'all'"),
        (lambda run, data: run.drawn("oracl"), "no row is called 'oracl'"),
        (lambda run, data: judge(run, references="x"), "references: expected none beside a run"),
        (lambda run, data: judge(run, profil="clean"), "did you mean profile"),
        (lambda run, data: judge(run.path, seed="a"), "expected int, found 'a'"),
        (lambda run, data: simulate("x", modality="video"), "no modality is called 'video'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_before_any_work(
    call: Any, said: str, fitted: Run, planted: Path, tmp_path: Path
) -> None:
    draw(fitted, rows=["decoded", "mean"])
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with pytest.raises(UsageError, match=said):
            call(fitted, planted)
    finally:
        os.chdir(before)
    assert not any(tmp_path.iterdir())


def test_what_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_recording(tmp_path / "nowhere")
    with pytest.raises(InputError, match="expected a run"):
        draw(Run(tmp_path))
    with pytest.raises(InputError):
        _ = Judged(tmp_path / "report.html").facts
