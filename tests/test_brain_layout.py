"""The simulated brain lies on disk as NSD's own files do, readable by anyone's code."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from scipy.io import loadmat

from brain.data.nsd_facts import RESPONSE_COLUMNS
from brain.errors import InputError, StorageError, UsageError
from brain.simulated.layouts.nsd import SubjectToWrite, to_int16, write_nsd
from brain.simulated.layouts.nsd_schedule import plan_schedule
from brain.simulated.layouts.tiny import TinyBrain, tiny_nsd
from tests.rounding import largest, rounding

B3 = "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyBrain:
    return tiny_nsd(tmp_path_factory.mktemp("layout"), formats=("hdf5", "nii.gz"))


def test_the_design_is_nsds_whole_design_whatever_part_of_it_exists() -> None:
    schedule = plan_schedule(sessions=4, shared=100, seed=3)
    assert schedule.masterordering.shape == (30000,) and schedule.subjectim.shape == (8, 10000)
    assert (np.bincount(schedule.masterordering)[1:] == 3).all()
    assert len(np.unique(schedule.subjectim)) == 73000
    assert (schedule.subjectim[:, :1000] == schedule.sharedix).all()
    assert schedule.trials == 750 and (schedule.stimpattern.sum(axis=2) == [63, 62] * 6).all()
    shown, counts = np.unique(schedule.shown(5), return_counts=True)
    assert len(shown) == 1000 and (counts == 3).all()
    assert len(schedule.shared()) == 100 and set(schedule.shared()) <= set(shown)


def test_repeats_that_do_not_divide_leave_one_image_short_and_nothing_lost() -> None:
    schedule = plan_schedule(sessions=2, trials=31, shared=3, repeats=2, seed=1)
    counts = np.unique(np.unique(schedule.shown(1), return_counts=True)[1], return_counts=True)
    assert dict(zip(*(part.tolist() for part in counts), strict=True)) == {1: 1, 2: 26, 3: 3}


@pytest.mark.parametrize("ask", [{"sessions": 41}, {"shared": 1001}, {"repeats": 4}, {"shared": 1000}, {"trials": 0}])
def test_a_design_that_nsd_could_not_have_is_refused(ask: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        plan_schedule(**ask)


def test_the_design_file_has_the_official_arrays_counted_from_one(tiny: TinyBrain) -> None:
    design = loadmat(tiny.root / "nsddata/experiments/nsd/nsd_expdesign.mat")
    assert {name: values.shape for name, values in design.items() if name[0] != "_"} == {
        "masterordering": (1, 30000),
        "subjectim": (8, 10000),
        "sharedix": (1, 1000),
        "stimpattern": (40, 12, 75),
        "basiccnt": (3, 40),
    }
    assert design["masterordering"].min() == 1 and design["subjectim"].max() == 73000
    assert design["__header__"].startswith(b"MATLAB 5.0 MAT-file, written by afterimage simulate")  # and no date
    trial = 17
    row = design["subjectim"][0, int(design["masterordering"][0, trial]) - 1] - 1
    assert row == tiny.schedule.shown(1)[trial]


def test_the_tables_have_the_official_columns(tiny: TinyBrain) -> None:
    with open(tiny.root / "nsddata/ppdata/subj01/behav/responses.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert tuple(rows[0]) == RESPONSE_COLUMNS and len(RESPONSE_COLUMNS) == 19 and len(rows) == 60
    first = next(n for n, row in enumerate(rows) if row["ISOLD"] == "1")
    gap = int(rows[first]["MEMORYRECENT"])
    assert rows[first - gap]["73KID"] == rows[first]["73KID"] and rows[first - gap]["MEMORYRECENT"] == "NaN"
    with open(tiny.root / "nsddata/experiments/nsd/nsd_stim_info_merged.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 73000 and sum(row["shared1000"] == "True" for row in table) == 1000
    assert len(table[0]) == 9 + 8 + 24
    seen = int(rows[5]["73KID"]) - 1
    assert "6" in [table[seen][f"subject1_rep{rep}"] for rep in range(3)]


def test_betas_are_int16_trial_z_y_x_in_hdf5_and_x_y_z_trial_in_nifti(tiny: TinyBrain) -> None:
    with h5py.File(tiny.root / B3 / "betas_session02.hdf5") as file:
        betas = file["betas"]
        assert betas.dtype == np.int16 and betas.shape == (30, 10, 14, 12) and betas.chunks == (30, 1, 1, 1)
        assert betas.id.get_num_chunks() == tiny.mask.sum()
        stored = betas[:]
    image = nibabel.loadsave.load(tiny.root / B3 / "betas_session02.nii.gz")
    assert image.shape == (12, 14, 10, 30) and image.get_data_dtype() == np.int16
    # NIfTI keeps an affine as float32
    np.testing.assert_allclose(image.affine, tiny.affine, atol=rounding(sums=1, scale=largest(tiny.affine)), rtol=0)
    np.testing.assert_array_equal(stored.transpose(3, 2, 1, 0), np.asanyarray(image.dataobj))


def test_masks_are_minus_one_outside_the_ribbon_and_split_into_hemispheres(tiny: TinyBrain) -> None:
    folder = tiny.root / "nsddata/ppdata/subj01/func1pt8mm/roi"
    both, left, right = (
        np.asanyarray(nibabel.loadsave.load(folder / f"{side}prf-visualrois.nii.gz").dataobj)
        for side in ("", "lh.", "rh.")
    )
    assert (both[~tiny.mask] == -1).all() and both[tiny.mask].min() == 0
    np.testing.assert_array_equal(np.maximum(left, right), both)
    assert (left[6:] == -1).all() and (right[:6] == -1).all()
    table = (tiny.root / "nsddata/freesurfer/subj01/label/prf-visualrois.mgz.ctab").read_text()
    assert table.splitlines()[:2] == ["0 Unknown", "1 V1v"]
    assert (tiny.root / "nsddata/freesurfer/fsaverage/label/streams.mgz.ctab").is_file()


def test_the_brick_stores_only_the_images_that_exist(tiny: TinyBrain) -> None:
    path = tiny.root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
    with h5py.File(path) as file:
        brick = file["imgBrick"]
        assert brick.shape == (73000, 16, 16, 3) and brick.id.get_num_chunks() == len(tiny.images)
        nsd, image = next(iter(tiny.images.items()))
        np.testing.assert_array_equal(brick[nsd], image)
    assert path.stat().st_size < 200_000


def test_int16_holds_at_its_ends_instead_of_turning_over() -> None:
    np.testing.assert_array_equal(to_int16(np.array([1e4, -1e4, 0.5])), [32767, -32768, 150])


def test_data_are_never_written_over(tiny: TinyBrain) -> None:
    with pytest.raises(StorageError, match="choose another folder"):
        tiny_nsd(tiny.root)


def test_a_subject_whose_arrays_do_not_fit_its_mask_is_refused(tmp_path: Path) -> None:
    mask = np.ones((2, 2, 2), bool)
    with pytest.raises(InputError, match="ncsnr"):
        SubjectToWrite(subject=1, mask=mask, affine=np.eye(4), betas=np.zeros, regions={}, ncsnr=np.ones(7))
    subject = SubjectToWrite(
        subject=1, mask=mask, affine=np.eye(4), betas=lambda _: np.zeros((29, 8)), regions={}, ncsnr=np.ones(8)
    )
    with pytest.raises(InputError, match=r"\(30, 8\)"):
        write_nsd(tmp_path, schedule=plan_schedule(sessions=1, trials=30, shared=2), subjects=[subject], brick=iter(()))
