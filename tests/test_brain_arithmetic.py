"""What computed: the facts, what differs between two of them, and how runs and trainings keep and say it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from brain.errors import InputError
from brain.machine.arithmetic import arithmetic, changes
from decode.run.folder import RunFolder
from encoders.settings import Plan
from encoders.storage import read_tensors
from encoders.training import Job, train


def test_the_facts_are_plain_json_of_this_process() -> None:
    facts = arithmetic()
    assert json.loads(json.dumps(facts)) == facts and changes(facts, arithmetic()) == []
    assert facts["threads"] == torch.get_num_threads()
    assert facts["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert {one["library"] for one in facts["libraries"]} and "accelerator" not in facts
    assert str(Path.home()) not in json.dumps(facts)


def test_the_facts_follow_the_environment(checkout: Path) -> None:
    """In a process of its own, for libraries choose when they start; taskset takes a core away."""
    code = "import json; from brain.machine.arithmetic import arithmetic; print(json.dumps(arithmetic()))"
    import os

    more = {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["cores"] == 1 and found["variables"]["ATEN_CPU_CAPABILITY"] == "default"
    assert found["instructions"] not in ("AVX2", "AVX512")


def test_changes_name_what_only_one_of_them_has() -> None:
    assert changes({"a": 1, "b": 2, "cores": 3}, {"a": 1, "b": 3, "cores": 4}) == ["b 2, now 3"]
    assert changes({"a": "x" * 50}, {"a": 1}) == ["a"]
    one, both = {"a": 1}, {"a": 1, "accelerator": {}}
    assert changes(both, one) == ["accelerator {}, now None"] and changes(one, both) == ["accelerator None, now {}"]


def test_a_run_that_goes_on_elsewhere_and_comes_back_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, here, there = (
        RunFolder(tmp_path),
        {"instructions": "AVX2", "threads": 2},
        {"instructions": "AVX512", "threads": 2},
    )
    for facts in (here, here, there, here):
        run.add_arithmetic("decode", facts)
    run.add_arithmetic("fit", there)
    assert run.card_facts()["arithmetic"] == {"decode": [here, there, here], "fit": [there]}
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and all("decode began with other instructions" in line for line in said)


@pytest.mark.parametrize("strange", [3, [3], {"decode": "AVX2"}, {"decode": [3]}])
def test_a_card_whose_facts_are_none_is_refused(tmp_path: Path, strange: Any) -> None:
    (tmp_path / "card.json").write_text(json.dumps({"arithmetic": strange}))
    with pytest.raises(InputError, match="card.json: .*a list of facts under arithmetic, decode"):
        RunFolder(tmp_path).add_arithmetic("decode", {"threads": 2})
    (tmp_path / "card.json").write_text("{}")  # a run made before there were any
    RunFolder(tmp_path).add_arithmetic("decode", {"threads": 2})


def test_a_training_that_goes_on_with_other_threads_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def job() -> Job:
        def loss(model: torch.nn.Module, key: Any, rows: Any) -> torch.Tensor:
            return model(torch.ones(len(rows), 3)).square().mean(1)

        return Job(
            batch=lambda step: (step, [0, 1]), loss=loss, check=[(0, [0])], identity={"family": "toy"}
        )

    plan, before = Plan(steps=4, validate=2, save=2, warm=1, patience=0), torch.get_num_threads()
    torch.manual_seed(0)
    whole = train(torch.nn.Linear(3, 2), plan, folder=tmp_path, job=job(), accelerator=Accelerator(cpu=True))
    assert len(whole.arithmetic) == 1
    (tmp_path / "checkpoints/step-00000004.safetensors").unlink()
    capsys.readouterr()
    try:
        torch.set_num_threads(before + 1)
        done = train(torch.nn.Linear(3, 2), plan, folder=tmp_path, job=job(), accelerator=Accelerator(cpu=True))
    finally:
        torch.set_num_threads(before)
    assert "training began with other threads" in capsys.readouterr().out
    assert [one["threads"] for one in done.arithmetic] == [before, before + 1]
    _, card = read_tensors(tmp_path / "checkpoints/step-00000004.safetensors", kind="checkpoint")
    assert card["progress"]["arithmetic"] == done.arithmetic
    assert np.isfinite(done.best)
