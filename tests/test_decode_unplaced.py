"""Voxels of which nobody said where they lie have no maps, and every place that would show one says why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest

from app.cli import main
from brain.readers import open_recording
from evaluation.report.regions import glass_brain, read_regions

FIT = ("--recipe", "pixels-ridge", "--folds", "3", "--refits", "0")


def test_without_places_there_are_no_volumes_and_it_is_said(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data.h5", tmp_path / "run"
    shutil.copy(planted, data)
    with h5py.File(data, "r+") as file:
        del file["packed_sha256"], file["ijk"], file["affine"]
    assert not open_recording(data).responses.space.placed and open_recording(planted).responses.space.placed
    assert main(["fit", str(data), *FIT, "--out", str(out)]) == 0
    why = "no places of voxels (ijk) were given, so there is no map"
    assert why in capsys.readouterr().out
    assert not list(out.rglob("*.nii*")) and not (out / "report/maps").exists()
    facts = json.loads((out / "report/regions.json").read_text())
    assert facts["no_map"] == why and len(facts["regions"]) == 5
    assert glass_brain(out / "report", read_regions(out / "report")) == ("", f"{why.capitalize()}.")


def test_with_places_the_volumes_are_there(planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(planted), *FIT, "--out", str(tmp_path / "run")]) == 0
    assert "no places of voxels" not in capsys.readouterr().out
    names = {one.name for one in (tmp_path / "run").rglob("*.nii.gz")}
    assert names == {"regions.nii.gz", "accuracy.nii.gz", "ceiling.nii.gz", "accuracy_over_ceiling.nii.gz"}
    assert "no_map" not in json.loads((tmp_path / "run/report/regions.json").read_text())
