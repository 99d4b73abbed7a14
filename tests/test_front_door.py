"""README's example and the notebooks, in fresh kernels; decode.api, in good and in bad hands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from brain import readers
from brain.errors import InputError, UsageError
from decode.api import Judged, Run, Synthesized, draw, fit, judge, open_recording, simulate, synthesize
from encoders.conditions import Conditions
from tests.notebooks import MADE, notebook, text_of

SMALL = {
    r"sessions=2, trials=240": "sessions=1, trials=60", r"steps=\d+": "steps=2", r"permutations=\d+": "permutations=99",
}  # fmt: skip
"""What notebooks ask for -> the same at small size."""
FAST = {"bootstrap": 100, "permutations": 99}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small data, under the names of README and of the notebooks."""
    home = tmp_path_factory.mktemp("door")
    simulate(home / "data" / "simulated", sessions=1, trials=60)
    (home / "data" / "small").symlink_to(home / "data" / "simulated")
    return home


def executed(cells: list[str], place: Path) -> Any:
    """Runs the cells in a fresh kernel in `place`; an error in one is an error here.

    In a process of its own, for the kernel's client leaves event loops and sockets, which other tests would find.
    """
    path = place / "executed.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells]), path)
    room = {
        **{name: value for name, value in os.environ.items() if name != "MPLBACKEND"},
        "JUPYTER_RUNTIME_DIR": str(place / "kernel"),
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    command = [str(Path(sys.executable).with_name("jupyter-execute")), "--inplace", "--timeout=300", str(path)]
    ended = subprocess.run([*command, "--kernel_name=python3"], env=room, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return nbformat.read(path, as_version=4)


def text_printed(made: Any) -> str:
    return "".join(str(out.get("text", "")) for cell in made.cells for out in cell.outputs)


def test_readme_s_example_runs_in_a_fresh_kernel(place: Path) -> None:
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
    found = re.search(r"```python\n(.*?)```", readme, re.S)
    assert found is not None
    lines = [line for line in found[1].splitlines() if line.strip()]
    assert 6 <= len(lines) <= 10 and "decode.api" in lines[0]
    said = text_printed(executed([found[1]], place))
    assert "two pictures was seen" in said and "runs/notebook/report/report.html" in said
    assert (place / "runs" / "notebook" / "report" / "report.html").is_file()


@pytest.mark.parametrize("name", MADE)
def test_a_notebook_is_what_its_example_gives_and_runs(name: str, place: Path) -> None:
    path = Path(__file__).resolve().parents[1] / "notebooks" / f"{name}.ipynb"
    stored = path.read_text("utf-8")
    assert stored == text_of(notebook(name)), "make it again: python -m tests.notebooks"
    cells = ["".join(cell["source"]) for cell in json.loads(stored)["cells"] if cell["cell_type"] == "code"]
    small = "\n# next cell\n".join(cells)
    for large, less in SMALL.items():
        small = re.sub(large, less, small)
    assert "trials=60" in small and "permutations=99" in small
    made = executed(small.split("\n# next cell\n"), place)
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
    assert recording.responses.values.shape == (72, 90) and recording.path == planted.absolute()
    assert "72 trials x 90 voxels, 36 stimuli" in repr(recording) and len(repr(recording).splitlines()) == 4
    again = fit(recording, fitted.path, recipe="pixels-ridge", pixels="rgb-4x4", folds=3)
    assert again == fitted and 0.1 < fitted.accuracy["pixels of held-out"] <= 1
    one, two = sorted(recording.split().test)[:2]
    few = draw(fitted, stimuli=(name for name in (two, one)), rows=["decoded", "mean"])
    assert list(few) == [two, one] and few[one][0].size == (4, 4)
    assert not (fitted.path / "conditions" / "pixels.decoded.safetensors").exists()
    pictures = draw(str(fitted.path), rows=["decoded", "mean"])
    assert len(pictures) == 8 and pictures[one][0].tobytes() == few[one][0].tobytes()
    # other rows do not hide what is decoded, and conditions that were lost come back
    saved = (fitted.path / "conditions" / "pixels.decoded.safetensors").read_bytes()
    (fitted.path / "conditions" / "pixels.decoded.safetensors").unlink()
    assert list(draw(fitted, rows="mean", stimuli=np.array([one]))) == [one]
    assert (fitted.path / "conditions" / "pixels.decoded.safetensors").read_bytes() == saved
    shown, mean = Run(str(fitted.path)).shown(), fitted.drawn("mean")
    assert shown.keys() == pictures.keys() == mean.keys()

    def alike(rows: dict[str, list[Any]]) -> float:
        drawn = np.concatenate([np.asarray(rows[name][0], float).ravel() for name in shown])
        seen = np.concatenate([np.asarray(shown[name].resize((4, 4), 0), float).ravel() for name in shown])
        return float(np.corrcoef(drawn, seen)[0, 1])

    assert alike(pictures) > 0.3 > alike(mean)


def test_a_report_is_what_it_was_when_it_was_made(fitted: Run) -> None:
    draw(fitted, rows=["decoded", "mean"])
    report = judge(fitted, **FAST)
    table = report.table().set_index(["row", "metric"])
    assert report.value("decoded", "two_way") == table.value["decoded", "two_way"]
    assert report.value("decoded", "two_way") > 0.9 > report.value("mean", "two_way")
    assert str(report).endswith("report.html") and report.answer in str(report)
    page = report._repr_html_()
    found = table.loc["decoded", "two_way"]
    assert f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}], p = {found.p:.3f}" in page and "0.500" in page
    assert judge(str(fitted.path), **FAST) == report  # judged already, by the path of the run too
    other = judge(fitted, bootstrap=200, permutations=99)
    assert other != report and report.facts["card"]["evaluation"]["bootstrap"] == 100
    # a report that another call has put into its place is not taken for the run's own
    stranger = judge(fitted.path / "samples", judge="pixels", **FAST, seed=7)
    assert stranger.page == report.page and stranger.facts["card"]["evaluation"]["seed"] == 7
    for lose in (False, True):
        if lose:
            (fitted.path / "report" / "report.json").unlink()
        again = judge(fitted, bootstrap=200, permutations=99)
        assert again.facts["rows"] == other.facts["rows"] and again.facts["card"]["evaluation"]["seed"] == 0
    aside = judge(fitted, out=fitted.path.parent / "aside", **FAST)
    assert aside.page.parent.name == "aside" and aside.value("decoded", "two_way") == report.value("decoded", "two_way")


@pytest.mark.parametrize("split", ["", "cluster-3"])
def test_embedding_retrieval_of_a_run_is_what_its_conditions_give(split: str, planted: Path, tmp_path: Path) -> None:
    """By hand from the files of a run of one test set and of one in folds, with the refits' own first number."""
    asked = {"recipe": "pixels-ridge", "pixels": "rgb-4x4", "folds": 3, "refits": 19, "split": split}
    run = fit(planted, tmp_path / "run", **asked)
    draw(run, rows=["decoded"])
    report = judge(run, **FAST)
    home = run.path / "conditions"
    decoded = Conditions.load(home / "pixels.decoded.safetensors")
    true = Conditions.load(home / "pixels.true.safetensors").take(decoded.ids)
    one, other = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (part.values.reshape(len(decoded), -1).astype(float) for part in (decoded, true))
    )
    similar, own = one @ other.T, np.arange(len(decoded))
    by_hand = {
        "brain_to_stimulus": float((similar.argmax(1) == own).mean()),
        "stimulus_to_brain": float((similar.argmax(0) == own).mean()),
    }
    found = {line["direction"]: line for line in report.facts["embedding_retrieval"]}
    assert {name: line["value"] for name, line in found.items()} == pytest.approx(by_hand)
    assert by_hand["brain_to_stimulus"] != by_hand["stimulus_to_brain"] or not split
    assert len(report.embedding_retrieval()) == 2
    page = report.page.read_text("utf-8")
    for name, words in (("brain_to_stimulus", "brain → image"), ("stimulus_to_brain", "image → brain")):
        line = found[name]
        assert re.search(f"<tr><td>{words}</td><td>{line['value']:.3f}".replace("0.", r"0?\."), page), words
    if not split:
        assert all(line["chance"] == pytest.approx(1 / 8) and line["p"] == 0.01 for line in found.values())
        return
    null = json.loads((home / "null.json").read_text())["spaces"]["pixels"]["embedding_retrieval"]
    for name, line in found.items():
        lists = null[f"{name}_all"]
        assert len(lists["values"]) == 20 and len(lists["moved"]) >= 19
        assert lists["values"][0] == pytest.approx(line["value"])
        assert line["chance"] == pytest.approx(np.mean(lists["moved"]))
        assert line["p"] == pytest.approx((1 + sum(one >= lists["values"][0] for one in lists["values"][1:])) / 20)


def test_a_notebook_draws_beside_a_run(fitted: Run, tmp_path: Path) -> None:
    draw(fitted, rows=["decoded", "mean"])
    found = draw(fitted, to=tmp_path / "beside", rows=["decoded"], stimuli=[min(fitted.shown())])
    assert len(found) == 1 and (tmp_path / "beside" / "card.json").is_file()


def test_fit_reads_what_the_recording_says(planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions and fields of the opened recording, from another folder too; a changed recording is refused."""
    monkeypatch.chdir(planted.parent)
    recording = open_recording(planted.name, sessions=1)
    monkeypatch.chdir(tmp_path)
    run = fit(recording, "run", recipe="pixels-ridge", pixels=Path("rgb-4x4"), folds=np.int64(3))
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["data"]["trials"] == 36 and card["data"]["sessions"] == [1] and run.accuracy
    half = replace(recording, responses=recording.responses.trials(np.arange(30)))
    with pytest.raises(UsageError, match="a changed recording"):
        fit(half, "half", recipe="pixels-ridge")
    assert not (tmp_path / "half").exists()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda run, data: open_recording(data, subj="a"), "no keyword of open_recording .*did you mean subject"),
        (lambda run, data: open_recording(3), "open_recording: expected a path, found 3"),
        (lambda run, data: fit(data, "runs/x", steps=3), "no keyword of fit is called 'steps'"),
        (lambda run, data: fit(data, "runs/x", folds="5"), r"fit\(\.\.\., folds=\): expected int, found '5'"),
        (lambda run, data: fit(data, "runs/x", folds=1), "folds: expected 2 or more, found 1"),
        (lambda run, data: fit(data, "runs/x", folds=True), "expected int, found True"),
        (lambda run, data: fit(data, "runs/x", alphas=["a"]), "expected a list of float"),
        (lambda run, data: fit(data, None), "fit: out: expected a path"),
        (lambda run, data: fit(data, "runs/x", recipe="takagi"), "no recipe is called 'takagi'"),
        (lambda run, data: fit(data, "runs/x", recipe=None), "recipe: expected a name"),
        (lambda run, data: fit(data, "runs/x", maps="pixels"), "maps=: expected SPACE=REGION"),
        (lambda run, data: fit(data, "runs/x", mapping=3), "mapping: expected a list of texts"),
        (lambda run, data: fit(readers.open_recording(data), "runs/x"), "one that does not know its place"),
        (lambda run, data: draw(run, stimuli=["none"]), "no test stimulus is called 'none'"),
        (lambda run, data: draw(run, stimuli=3), "stimuli: expected a list of texts"),
        (lambda run, data: draw(run, test_repeats="all"), "expected int, found 'all'"),
        (lambda run, data: Run(3), "Run: expected a path"),
        (lambda run, data: run.drawn("oracl"), "no row is called 'oracl'"),
        (lambda run, data: judge(run, references="x"), "references: expected none beside a run"),
        (lambda run, data: judge(run, profil="clean"), "did you mean profile"),
        (lambda run, data: judge(run.path / "samples", curves=True), "curves=: expected a run as it was made"),
        (lambda run, data: judge(run.path / "samples", seed="a"), "expected int, found 'a'"),
        (lambda run, data: simulate("x", modality="video"), "no modality is called 'video'"),
        (lambda run, data: simulate("x", trials="90"), "expected int, found '90'"),
        (lambda run, data: simulate("x", sessions=1.5), "expected int, found 1.5"),
        (lambda run, data: synthesize(run, "early", n="8"), "expected int, found '8'"),
        (lambda run, data: synthesize(run, "early", against="early"), "region=.*once"),
        (lambda run, data: synthesize(run, 3), "region: expected a list of texts"),
        (lambda run, data: synthesize(run, "early", voxel="1,2,3"), "no keyword of synthesize"),
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


def test_what_is_not_there_is_an_input_error(planted: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_recording(tmp_path / "nowhere")
    with pytest.raises(InputError, match="expected a run"):
        draw(Run(tmp_path))
    with pytest.raises(InputError, match="expected a run"):
        _ = Run(tmp_path / "none").accuracy
    fresh = fit(planted, tmp_path / "fresh", recipe="pixels-ridge", pixels="rgb-4x4", folds=3)
    with pytest.raises(InputError, match=r"draw\(run\)"):
        judge(fresh)
    with pytest.raises(InputError, match="a report"):
        Judged.read(tmp_path / "report.html")
    with pytest.raises(InputError, match="synthesized pictures"):
        Synthesized(tmp_path / "report.html").pictures()


@pytest.mark.parametrize(
    "damage",
    [{"rows": None}, {"rows": ["a"]}, {"rows": [{"row": "a", "metric": ["b"]}]}, {"answer": "text"}, {"said": [3]},
     {"rows": [{"row": "a", "metric": "b", "value": "0.99"}]}],
)  # fmt: skip
def test_a_stranger_s_report_is_refused_or_shown_plainly(damage: dict[str, Any], fitted: Run, tmp_path: Path) -> None:
    draw(fitted, rows=["decoded", "mean"])
    report = judge(fitted, **FAST)
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**report.facts, **damage}))
    with pytest.raises(InputError, match=r"report\.json: expected a report of this version"):
        Judged.read(tmp_path / "report.html")
    told = {**report.facts, "answer": ["<b>\x1b]0;x\x07"], "said": ["<script>"]}
    path.write_text(json.dumps(told))
    strange = Judged.read(tmp_path / "report.html")
    assert "\x1b" not in str(strange) and "<script" not in strange._repr_html_()


def test_samples_of_a_link_are_refused(fitted: Run, tmp_path: Path) -> None:
    draw(fitted, rows=["decoded", "mean"])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "samples").symlink_to(fitted.path / "samples")
    with pytest.raises(InputError, match="link"):
        Run(tmp_path / "run").drawn()


def test_conditions_of_other_settings_are_not_taken_for_this_drawing_s(planted: Path, tmp_path: Path) -> None:
    """A drawing that was killed before its first sample leaves conditions: of all repeats, where one is asked for."""
    asked = {"recipe": "pixels-ridge", "pixels": "rgb-4x4", "folds": 3}
    kept = []
    for name in ("killed", "straight"):
        run = fit(planted, tmp_path / name, **asked)
        if name == "killed":
            draw(run, rows="decoded")
            kept.append((run.path / "conditions" / "pixels.decoded.safetensors").read_bytes())
            shutil.rmtree(run.path / "samples")
        for stimuli in ([min(open_recording(planted).split().test)], []):
            draw(run, rows="decoded", test_repeats=1, stimuli=stimuli)
        kept.append((run.path / "conditions" / "pixels.decoded.safetensors").read_bytes())
    whole, killed, straight = kept
    assert killed == straight != whole
