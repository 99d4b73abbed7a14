"""The NSD reader: the same columns by either road, trials by (session, place), and every fault named in a sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from brain.data.averages import count_repeats
from brain.errors import InputError, UsageError
from brain.readers import CATALOGUE, open_recording, reader_of
from brain.readers._nsd.trials import Trials
from brain.readers.nsd import splits_of
from brain.simulated.layouts.tiny import TinyBrain, tiny_nsd
from tests.rounding import largest, rounding

B3 = "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"
ROI = "nsddata/ppdata/subj01/func1pt8mm/roi"
TSV = "nsddata/ppdata/subj01/behav/responses.tsv"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> TinyBrain:
    return tiny_nsd(tmp_path_factory.mktemp("nsd"), sessions=3, formats=("hdf5", "nii.gz"))


@pytest.fixture
def broken(written: TinyBrain, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    root = tmp_path / "naïve dir"
    shutil.copytree(written.root, root, ignore=shutil.ignore_patterns("*.csv"))
    return root


def edit_betas(root: Path, session: int, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Rewrite a session's HDF5 betas as the (trial, Z, Y, X) that `change` returns."""
    path = root / B3 / f"betas_session{session:02d}.hdf5"
    with h5py.File(path) as file:
        betas = change(file["betas"][:])
    with h5py.File(path, "w") as file:
        file["betas"] = betas


def test_the_columns_are_the_masks_voxels_and_the_values_are_percent_signal_change(written: TinyBrain) -> None:
    recording = open_recording(written.root)
    space = recording.responses.space
    np.testing.assert_array_equal(space.ijk, np.argwhere(written.mask))
    # NIfTI keeps an affine as float32
    bound = rounding(sums=1, scale=largest(written.affine))
    np.testing.assert_allclose(space.affine, written.affine, atol=bound, rtol=0)
    assert recording.masked == ()
    facts = (space.subject, space.name, space.betas, space.unit, space.shape)
    assert facts == ("subj01", "func1pt8mm", "betas_fithrf_GLMdenoise_RR", "psc", (12, 14, 10))
    image = nibabel.loadsave.load(written.root / B3 / "betas_session02.nii.gz")
    volume = np.asanyarray(image.dataobj)[tuple(space.ijk.T)].T.astype(np.float32) / np.float32(300)
    np.testing.assert_array_equal(recording.responses.values[30:60], volume)
    np.testing.assert_array_equal(recording.ncsnr, written.ncsnr)


def test_hdf5_and_nifti_give_identical_columns(written: TinyBrain, broken: Path) -> None:
    for path in (broken / B3).glob("*.hdf5"):
        path.unlink()
    one, other = open_recording(written.root).responses, open_recording(broken).responses
    assert one.values.tobytes() == other.values.tobytes() and one.space.sha256 == other.space.sha256


def test_a_file_that_is_not_chunked_by_voxel_gives_the_same_columns(written: TinyBrain, broken: Path) -> None:
    edit_betas(broken, 2, lambda betas: betas)
    one, other = open_recording(broken).responses, open_recording(written.root).responses
    np.testing.assert_array_equal(one.values, other.values)


def test_float_betas_are_taken_as_they_are(written: TinyBrain, broken: Path) -> None:
    edit_betas(broken, 1, lambda betas: betas.astype(np.float32) / np.float32(300))
    one, other = open_recording(broken).responses, open_recording(written.root).responses
    np.testing.assert_array_equal(one.values, other.values)


def test_float_betas_that_were_never_divided_are_refused(broken: Path) -> None:
    edit_betas(broken, 1, lambda betas: betas.astype(np.float32))
    with pytest.raises(InputError, match="percent signal change"):
        open_recording(broken)


def test_each_trial_has_the_image_the_design_gave_it(written: TinyBrain) -> None:
    responses = open_recording(written.root).responses
    assert responses.stimulus.tolist() == [f"nsd{nsd:05d}" for nsd in written.schedule.shown(1)]
    assert responses.session.tolist() == sorted([1, 2, 3] * 30)
    last = dict(zip(responses.stimulus.tolist(), responses.repeat.tolist(), strict=True))
    assert set(last.values()) == {2}


def test_permuted_voxels_of_the_right_count_are_put_in_order_and_foreign_ones_refused(written: TinyBrain) -> None:
    responses = open_recording(written.root).responses
    shuffled = np.random.default_rng(0).permutation(len(responses.space))
    there = responses.voxels(shuffled)
    columns = there.space.columns_of(responses.space)
    np.testing.assert_array_equal(there.values[:, columns], responses.values)
    naive = np.argwhere(written.mask.transpose(2, 1, 0))
    permuted = type(responses.space)(**{**vars_of(responses.space), "ijk": naive})
    assert len(permuted) == len(responses.space) and permuted.sha256 != responses.space.sha256
    with pytest.raises(InputError, match="are not in these data"):
        responses.space.columns_of(permuted)


def vars_of(space: object) -> dict[str, object]:
    return {name: getattr(space, name) for name in ("subject", "name", "betas", "unit", "shape", "affine", "ijk")}


def test_regions_are_labels_and_unions_and_never_what_lies_outside_the_ribbon(written: TinyBrain) -> None:
    recording = open_recording(written.root)
    names = {region.name for region in recording.regions}
    assert {"V1v", "V1d", "V1", "V2", "V3", "hV4", "OFA", "FFA-1", "FFA", "EBA", "PPA", "VWFA-1", "VWFA"} <= names
    assert {"early", "ventral", "food", "nsdgeneral", "prf-visualrois", "floc-faces"} <= names
    assert not names & {"RSC", "mTL-faces", "Unknown"}
    np.testing.assert_array_equal(
        recording.region("V1").mask, recording.region("V1v").mask | recording.region("V1d").mask
    )
    volume = np.asanyarray(nibabel.loadsave.load(written.root / ROI / "floc-faces.nii.gz").dataobj)
    faces = recording.responses.space.ijk[recording.region("OFA").mask]
    assert (volume[tuple(faces.T)] == 1).all() and len(faces) == (volume == 1).sum()
    with pytest.raises(UsageError, match="did you mean"):
        recording.region("FFA-3")


def test_without_nsdgeneral_the_voxels_with_a_label_are_read_and_nothing_else(written: TinyBrain, broken: Path) -> None:
    (broken / ROI / "nsdgeneral.nii.gz").unlink()
    recording = open_recording(broken)
    ijk = recording.responses.space.ijk
    assert recording.masked == () and written.mask[tuple(ijk.T)].all() and 0 < len(ijk) <= written.mask.sum()


def test_a_name_that_two_atlases_use_stays_with_the_first(broken: Path) -> None:
    shutil.copy(broken / ROI / "prf-visualrois.nii.gz", broken / ROI / "Kastner2015.nii.gz")
    label = broken / "nsddata/freesurfer/subj01/label"
    (label / "Kastner2015.mgz.ctab").write_text("0 Unknown 0 0 0 0\n1 V1v 10 20 30 0\n2 IPS0 1 2 3 0\n")
    recording = open_recording(broken)
    assert recording.region("V1v").atlas == "prf-visualrois"
    assert recording.region("Kastner2015:V1v").atlas == "Kastner2015" and recording.region("IPS0").mask.any()


def test_without_colour_tables_the_official_names_hold_and_inspect_says_so(broken: Path) -> None:
    shutil.rmtree(broken / "nsddata/freesurfer")
    assert open_recording(broken).region("V1v").mask.any()
    assert "its ctab was not fetched" in "\n".join(reader_of(broken).inspect(broken).lines)


def test_shared_images_are_the_test_set(written: TinyBrain) -> None:
    recording = open_recording(written.root)
    split = recording.split("nsd-shared1000")
    assert split.test == tuple(f"nsd{nsd:05d}" for nsd in written.schedule.shared()) and len(split.test) == 4
    assert set(split.train) | set(split.test) == set(recording.stimuli.ids)
    assert recording.split() is split and len(split.sha256) == 64
    with pytest.raises(UsageError, match="nsd-shared1000"):
        recording.split("nsd-shared100")


def test_the_splits_of_the_literature_follow_their_definitions() -> None:
    generator = np.random.default_rng(0)
    order = generator.permutation(np.repeat(np.arange(400), 3))
    trials = Trials(
        session=np.repeat(np.arange(1, 41), 30),
        place=np.tile(np.arange(30), 40),
        nsd=order,
        shared=order < 100,
        repeat=count_repeats(order),
    )
    splits = {split.name: split for split in splits_of(trials, trials)}
    assert list(splits) == ["nsd-shared1000", "nsd-shared982-37ses", "nsd-special515"]
    assert len(splits["nsd-shared1000"].test) == 100
    for name, last in (("nsd-shared982-37ses", 37), ("nsd-special515", 30)):
        seen = order[: last * 30]
        thrice = {f"nsd{image:05d}" for image in range(100) if (seen == image).sum() == 3}
        assert set(splits[name].test) == thrice and 0 < len(thrice) < 100
    assert not set(splits["nsd-shared982-37ses"].train) & set(splits["nsd-shared1000"].test)
    early = trials.take(np.flatnonzero(trials.session <= 29))
    assert [split.name for split in splits_of(early, trials)] == ["nsd-shared1000"]


def test_images_are_opened_one_at_a_time_with_captions_and_labels(written: TinyBrain) -> None:
    stimuli = open_recording(written.root).stimuli
    nsd, pixels = sorted(written.images.items())[3]
    name = f"nsd{nsd:05d}"
    image = stimuli.open(name)
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), pixels)
    assert stimuli.captions[name] == (f"picture {nsd}",) and stimuli.labels[name]["category"] in ("even", "odd")
    with pytest.raises(InputError, match="no stimulus is called"):
        stimuli.open("nsd99999")


def test_an_image_that_was_never_written_is_no_black_picture(written: TinyBrain) -> None:
    stimuli = open_recording(written.root).stimuli
    absent = next(row for row in range(73000) if row not in written.images)
    with pytest.raises(InputError, match="never written"):
        stimuli.opener(f"nsd{absent:05d}")


def test_responses_can_be_read_where_the_images_were_not_fetched(broken: Path) -> None:
    (broken / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5").unlink()
    recording = open_recording(broken)
    with pytest.raises(InputError, match="no such file"):
        recording.stimuli.open(recording.stimuli.ids[0])


def test_a_missing_session_is_named_and_moves_nothing_when_it_is_left_out(written: TinyBrain, broken: Path) -> None:
    for ending in ("hdf5", "nii.gz"):
        (broken / B3 / f"betas_session02.{ending}").unlink()
    with pytest.raises(InputError, match=r"without session 2; .*--sessions 1 3"):
        open_recording(broken)
    whole, part = open_recording(written.root).responses, open_recording(broken, sessions=[3, 1]).responses
    kept = whole.trials(np.isin(whole.session, (1, 3)))
    np.testing.assert_array_equal(part.values, kept.values)
    np.testing.assert_array_equal(part.stimulus, kept.stimulus)
    np.testing.assert_array_equal(part.repeat, kept.repeat)
    with pytest.raises(InputError, match="session"):
        open_recording(broken, sessions=[4])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_session_is_told_with_its_size(broken: Path, share: float) -> None:
    path = broken / B3 / "betas_session02.hdf5"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    says = rf"betas_session02.hdf5: expected {len(whole)} bytes.* {int(len(whole) * share)};"
    with pytest.raises(InputError, match=says):
        open_recording(broken)


def test_a_truncated_nifti_is_told(broken: Path) -> None:
    (broken / B3 / "betas_session02.hdf5").unlink()
    path = broken / B3 / "betas_session02.nii.gz"
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match="betas_session02.nii.gz: expected an intact NIfTI file"):
        open_recording(broken)


def test_the_first_row_in_which_behaviour_and_design_differ_is_named(broken: Path) -> None:
    path = broken / TSV
    lines = path.read_text().splitlines()
    cells = lines[42].split("\t")
    cells[4] = str(int(cells[4]) % 73000 + 1)
    path.write_text("\n".join([*lines[:42], "\t".join(cells), *lines[43:]]) + "\n")
    says = rf"responses.tsv, row 42: expected session 2 .* trial 12, found session 2 and 73KID {cells[4]}"
    with pytest.raises(InputError, match=says):
        open_recording(broken)
    path.write_text("\n".join(lines[:-2]) + "\n")
    with pytest.raises(InputError, match="expected 90 rows, found 88"):
        open_recording(broken)


def test_a_session_of_the_wrong_length_or_space_is_refused(broken: Path) -> None:
    edit_betas(broken, 2, lambda betas: betas[:29])
    with pytest.raises(InputError, match=r"expected betas of shape \(30, 10, 14, 12\), found \(29, 10, 14, 12\)"):
        open_recording(broken)


@pytest.mark.parametrize("kind", ["S5", "bool"])
def test_betas_that_are_no_numbers_are_refused(broken: Path, kind: str) -> None:
    """Text of numbers would be read as floats, and an int16 so stored not be divided by 300."""
    edit_betas(broken, 2, lambda betas: betas.astype(kind))
    with pytest.raises(InputError, match=r"session02.hdf5, betas: expected integers or floats, found type"):
        open_recording(broken)


@pytest.mark.parametrize("brick", [np.uint8(3), np.full(4, b"x"), np.zeros((4, 8, 8), np.uint8)])
def test_images_of_another_form_are_told_by_inspect_too(broken: Path, brick: np.ndarray) -> None:
    with h5py.File(broken / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5", "w") as file:
        file["imgBrick"] = brick
    with pytest.raises(InputError, match=r"imgBrick: expected uint8 \(image, P, P, 3\) with row 0, found"):
        reader_of(broken).inspect(broken)


def test_a_mask_of_another_grid_is_refused(broken: Path) -> None:
    image = nibabel.nifti1.Nifti1Image(np.ones((24, 28, 20), np.int16), np.diag([0.9, 0.9, 0.9, 1]))
    nibabel.loadsave.save(image, broken / ROI / "streams.nii.gz")
    with pytest.raises(InputError, match="streams.nii.gz: expected the grid of prf-visualrois"):
        open_recording(broken)


def test_nan_and_constant_voxels_are_left_out_and_reported(written: TinyBrain, broken: Path) -> None:
    voxels = np.argwhere(written.mask)

    def spoil(betas: np.ndarray) -> np.ndarray:
        values = betas.astype(np.float32) / 300
        for i, j, k in voxels[[3, 7]]:
            values[4, k, j, i] = np.nan
        i, j, k = voxels[11]
        values[:, k, j, i] = 0
        return values

    edit_betas(broken, 2, spoil)
    recording = open_recording(broken)
    kept = np.delete(np.arange(len(voxels)), [3, 7, 11])
    np.testing.assert_array_equal(recording.responses.space.ijk, voxels[kept])
    whole = open_recording(written.root)
    values = whole.responses.values[:, kept]
    # the integers are divided here and by the reader, each time rounded once
    np.testing.assert_allclose(recording.responses.values, values, atol=rounding(sums=1, scale=largest(values)), rtol=0)
    np.testing.assert_array_equal(recording.ncsnr, written.ncsnr[kept])
    np.testing.assert_array_equal(recording.region("V1").mask, whole.region("V1").mask[kept])
    assert len(recording.masked) == 2
    assert "2 of" in recording.masked[0] and "NaN" in recording.masked[0] and "session 2" in recording.masked[0]
    assert "constant" in recording.masked[1] and "3 voxels are left out" in recording.masked[1]


def test_a_stimulus_table_of_another_data_set_is_refused(written: TinyBrain, broken: Path) -> None:
    relative = "nsddata/experiments/nsd/nsd_stim_info_merged.csv"
    path = broken / relative
    path.write_text((written.root / relative).read_text().replace(",True,", ",False,"))
    with pytest.raises(InputError, match="shared1000 True, found shared1000 False"):
        open_recording(broken)


@pytest.mark.parametrize(
    ("relative", "content", "says"),
    [
        ("nsddata/experiments/nsd/nsd_expdesign.mat", b"<html>403</html>", "NSD's design file, found a web page"),
        (f"{B3}/betas_session01.hdf5", b"<!DOCTYPE html><html>", "a web page"),
        (f"{B3}/betas_session01.hdf5", b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        (f"{ROI}/nsdgeneral.nii.gz", b"/annex/objects/MD5E-s1", "git-annex pointer"),
        ("nsddata_stimuli/stimuli/nsd/captions.json", b'["no table"]', "captions.json"),
        (TSV, b"SESSION\tTRIAL\n1\t1\n", "the column '73KID', found the columns SESSION, TRIAL"),
        (TSV, b"SESSION\t73KID\n1\tnan\n", "whole numbers"),
        ("nsddata/freesurfer/subj01/label/floc-faces.mgz.ctab", b"OFA 1\n", "a number and a name"),
    ],
)
def test_a_foreign_file_is_named_for_what_it_is(broken: Path, relative: str, content: bytes, says: str) -> None:
    (broken / relative).write_bytes(content)
    with pytest.raises(InputError, match=says):
        open_recording(broken)


def test_a_link_that_was_not_fetched_is_told(broken: Path) -> None:
    path = broken / TSV
    path.unlink()
    path.symlink_to(broken / "nowhere")
    with pytest.raises(InputError, match="datalad get"):
        open_recording(broken)


def test_unknown_subjects_versions_and_data_are_refused_by_name(written: TinyBrain, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose one of subj01"):
        open_recording(written.root, subject="subj09")
    with pytest.raises(UsageError, match="betas_fithrf_GLMdenoise_RR"):
        open_recording(written.root, betas="betas_assumehrf")
    with pytest.raises(UsageError, match="fixed names"):
        open_recording(written.root, fields={"stimulus": "x"})
    with pytest.raises(InputError, match=r"no reader recognises these data; known are arrays .*; nsd"):
        open_recording(tmp_path)
    with pytest.raises(InputError, match="expected a file or a folder of data, found no such file; check the path"):
        open_recording(tmp_path / "absent")
    with pytest.raises(UsageError, match="reader"):
        open_recording(written.root, reader="nds")


def test_inspect_lists_what_is_there_and_what_is_missing(broken: Path) -> None:
    reader = CATALOGUE["nsd"]
    (broken / B3 / "betas_session03.hdf5").unlink()
    (broken / B3 / "betas_session03.nii.gz").unlink()
    (broken / B3 / "ncsnr.nii.gz").unlink()
    found = reader.inspect(broken)
    text = "\n".join(found.lines)
    assert "MISSING session 3" in text and "MISSING ncsnr.nii.gz" in text and "empty, left out:" in text
    subject = found.facts["subjects"]["subj01"]
    assert subject["trials"] == 90 and "RSC" in subject["empty"] and subject["regions"]["V1"] > 0
    json.dumps(found.facts)


def test_nothing_is_written_inside_the_data(written: TinyBrain) -> None:
    before = sorted((str(path), path.stat().st_mtime_ns) for path in written.root.rglob("*"))
    recording = open_recording(written.root)
    recording.stimuli.open(recording.stimuli.ids[0])
    reader_of(written.root).inspect(written.root)
    assert sorted((str(path), path.stat().st_mtime_ns) for path in written.root.rglob("*")) == before


def test_a_voxel_that_was_never_written_in_a_session_is_no_constant_one(written: TinyBrain, tmp_path: Path) -> None:
    root = tmp_path / "nsd"
    shutil.copytree(written.root, root)
    path = next(root.glob("nsddata_betas/ppdata/subj01/*/*/betas_session01.hdf5"))
    with h5py.File(path) as file:
        whole = file["betas"]
        betas, shape, chunks = whole[:], whole.shape, whole.chunks
        stored = [whole.id.get_chunk_info(number).chunk_offset for number in range(whole.id.get_num_chunks())]
    path.unlink()
    with h5py.File(path, "w") as file:
        rest = file.create_dataset("betas", shape, betas.dtype, chunks=chunks)
        for _, k, j, i in stored[: len(stored) // 2]:
            rest[:, k, j, i] = betas[:, k, j, i]
    with pytest.raises(InputError, match=r"betas of voxel \(\d+, \d+, \d+\): expected values, found none that were"):
        open_recording(root)


def test_trials_that_were_never_written_are_no_zeros_in_a_file_chunked_along_them(broken: Path) -> None:
    path = broken / B3 / "betas_session01.hdf5"
    with h5py.File(path) as file:
        betas = file["betas"][:]
    with h5py.File(path, "w") as file:
        half = file.create_dataset("betas", betas.shape, betas.dtype, chunks=(15, 1, 1, 1))
        half[:15] = betas[:15]
    with pytest.raises(InputError, match=r"betas of voxel \(\d+, \d+, \d+\): expected values, found none that were"):
        open_recording(broken)
    with h5py.File(path, "a") as file:
        file["betas"][15:] = betas[15:]
    assert len(open_recording(broken).responses.values) == 3 * len(betas)
