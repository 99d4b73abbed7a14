"""Series with events: alignment in seconds against closed forms, both kinds of series, and every fault one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from brain.data.alignment import lag_sweep, predicted
from brain.errors import AfterimageError, InputError, UsageError
from brain.readers import open_recording, reader_of
from brain.readers._series.windows import Cut, Heard, Timing, cut, levelled, means, timing_of
from brain.simulated.layouts.sound import Event, Voxels, write_series
from brain.simulated.layouts.tiny_listener import REGIONS, TinyListener, tiny_listener
from brain.types import Recording
from tests.rounding import largest, rounding

FUNC = "bids/sub-01/ses-01/func/sub-01_ses-01_task-listen_run-01"
EVENTS, SERIES, SIDECAR = f"{FUNC}_events.tsv", f"{FUNC}_bold.h5", f"{FUNC}_bold.json"


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> TinyListener:
    return tiny_listener(tmp_path_factory.mktemp("listener"), noise=0.05)


@pytest.fixture
def broken(listener: TinyListener, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    root = tmp_path / "naïve dir"
    shutil.copytree(listener.root, root)
    return root


def read(root: Path, **fields: str) -> Recording:
    return open_recording(root / "bids", fields=fields)


def refused(root: Path, **fields: str) -> str:
    with pytest.raises(AfterimageError) as caught:
        read(root, **fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rows_of(path: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    rows = change([line.split("\t") for line in path.read_text().splitlines()])
    path.write_text("".join("\t".join(row) + "\n" for row in rows))


def test_windows_are_the_volumes_taken_from_a_lag_after_their_beginning() -> None:
    events = [
        Heard(row=1, onset_s=10.0, duration_s=5.12, clip="a"),
        Heard(row=2, onset_s=20.3, duration_s=5.12, clip="b"),
    ]
    path = Path("events.tsv")
    timing = Timing(lag_s=4.5, window_s=2.56, hop_s=1.28)
    windows = cut(events, timing, path=path, tr_s=0.8, start_s=0.4, volumes=50)
    assert windows.stimulus.tolist() == [f"{clip}_slide{number}" for clip in "ab" for number in range(3)]
    times = 0.4 + 0.8 * np.arange(50)
    for window, begin in enumerate([14.5, 15.78, 17.06, 24.8, 26.08, 27.36]):
        inside = np.flatnonzero((times >= begin) & (times < begin + 2.56))
        assert (windows.first[window], windows.stop[window]) == (inside[0], inside[-1] + 1)
    later = cut(events, Timing(lag_s=4.5, dummy=4), path=path, tr_s=0.8, start_s=0.4, volumes=54)
    np.testing.assert_array_equal(later.first, windows.first + 4)
    np.testing.assert_array_equal(later.stop, windows.stop + 4)


def test_a_grid_of_volumes_that_falls_on_the_windows_edges_is_not_split_by_rounding() -> None:
    events = [Heard(row=1, onset_s=number * 2.0045 * 4, duration_s=4.009, clip=f"c{number}") for number in range(200)]
    timing = Timing(lag_s=2.0045 * 2, window_s=4.009, hop_s=4.009)
    windows = cut(events, timing, path=Path("e"), tr_s=2.0045, start_s=0.0, volumes=900)
    np.testing.assert_array_equal(windows.first, 2 + 4 * np.arange(200))
    assert set((windows.stop - windows.first).tolist()) == {2}


def test_rows_are_means_of_the_levelled_series() -> None:
    generator = np.random.default_rng(0)
    time = np.arange(300) * 2.0
    drift = 5 + 0.01 * time + 1e-4 * time**2
    signal = generator.normal(size=(300, 3))
    series = (drift[:, None] + signal).astype(np.float32)
    level = levelled(series, tr_s=2.0, dummy=5)
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, 295), 1 + int(590 / 150))
    rest = series[5:].astype(np.float64)
    rest = rest - basis @ np.linalg.lstsq(basis, rest, rcond=None)[0]
    # z-scores are computed in float64 and kept as float32
    kept = rounding(sums=1, scale=largest(level))
    np.testing.assert_allclose(level[5:], rest / rest.std(axis=0), atol=kept, rtol=0)
    assert not level[:5].any()
    windows = Cut(stimulus=np.array(["a", "b"]), first=np.array([5, 90]), stop=np.array([7, 93]))
    expected = [level[5:7].mean(axis=0, dtype=np.float64), level[90:93].mean(axis=0, dtype=np.float64)]
    np.testing.assert_allclose(means(level, windows), expected, atol=kept, rtol=0)
    flat = np.full((20, 2), 7, np.float32)
    flat[3, 1] = np.nan
    still = levelled(flat, tr_s=2.0, dummy=0)
    assert not still[:, 0].any() and np.isnan(still[:, 1]).all()


def test_the_answer_of_the_tiny_listener_comes_back(listener: TinyListener) -> None:
    recording = read(listener.root, lag_s="5.12")
    responses = recording.responses
    truth = np.stack([listener.signal(name) for name in responses.stimulus.tolist()])
    for voxel in range(40):
        assert np.corrcoef(truth[:, voxel], responses.values[:, voxel])[0, 1] > 0.85
    np.testing.assert_array_equal(responses.space.ijk, listener.voxels.ijk)
    for name in REGIONS:
        np.testing.assert_array_equal(recording.region(name).mask, listener.voxels.regions[name])
    assert recording.splits[0].name == "test-clips" and len(recording.splits[0].test) == 6
    assert sorted(set(responses.session.tolist())) == [1, 2] and responses.repeat.max() == 1
    assert responses.space.unit == "run-z" and responses.space.betas.endswith("every 1.28 s, lag 5.12 s")
    assert recording.stimuli.open("clip00_slide1")[0].shape == (40960,)


def test_the_alignment_is_said(listener: TinyListener) -> None:
    notes = read(listener.root).notes
    assert notes[0].startswith("alignment: 144 windows of 48 sounds in 4 runs; TR 1.28 s, mean of 2.56 s windows")
    assert "volumes 4 to 5 (from 0), taken 5.76 to 7.04 s; 2 volumes a window" in notes[1]
    assert "0 of 320 volumes dropped as dummies" in notes[2] and "without regard" in notes[2]
    lines = reader_of(listener.root / "bids").inspect(listener.root / "bids").lines
    assert f"  {notes[0]}" in lines and f"  {notes[1]}" in lines


def test_a_mapping_of_one_lag_meets_no_data_of_another(listener: TinyListener) -> None:
    one, other = (read(listener.root, lag_s=lag).responses.space for lag in ("4.5", "6"))
    with pytest.raises(InputError, match="fitted on betas .*lag 4.5 s"):
        other.columns_of(one)
    with pytest.raises(UsageError, match="betas 'fithrf' was asked for"):
        open_recording(listener.root / "bids", betas="fithrf")


def test_dummy_volumes_shift_the_series_and_nothing_else(broken: Path) -> None:
    whole = read(broken).responses
    for path in broken.glob("bids/sub-01/ses-*/func/*_bold.h5"):
        with h5py.File(path, "r+") as file:
            series = file["data"][:]
            del file["data"]
            file["data"] = np.concatenate([np.full((4, 40), 1e4, np.float32), series])
    later = read(broken, dummy="4").responses
    # the levelled series and its means are kept as float32
    np.testing.assert_allclose(later.values, whole.values, atol=rounding(sums=2, scale=largest(whole.values)), rtol=0)
    assert np.abs(read(broken).responses.values - whole.values).max() > 0.5


def test_images_give_the_same_rows_as_matrices(broken: Path, listener: TinyListener) -> None:
    whole = read(broken).responses
    shape = (5, 6, 4)
    for path in sorted(broken.glob("bids/sub-01/ses-*/func/*_bold.h5")):
        with h5py.File(path) as file:
            series = file["data"][:]
        volume = np.zeros((*shape, len(series)), np.float32)
        volume[tuple(listener.voxels.ijk.T)] = series.T
        image = nibabel.Nifti1Image(volume, listener.voxels.affine)
        image.header.set_zooms((2, 2, 2, 1.28))
        image.header.set_xyzt_units("mm", "sec")
        nibabel.save(image, path.with_name(path.name.replace("_bold.h5", "_space-T1w_desc-preproc_bold.nii.gz")))
        path.unlink()
    np.testing.assert_array_equal(read(broken).responses.values, whole.values)
    folder = broken / "bids/sub-01/rois"
    folder.mkdir()
    (broken / "bids/sub-01/rois.h5").unlink()
    for name, mask in listener.voxels.regions.items():
        volume = np.zeros(shape, np.uint8)
        volume[tuple(listener.voxels.ijk[mask].T)] = 1
        nibabel.save(nibabel.Nifti1Image(volume, listener.voxels.affine), folder / f"{name}.nii.gz")
    masked = read(broken)
    columns = [whole.space.ijk.tolist().index(voxel) for voxel in masked.responses.space.ijk.tolist()]
    np.testing.assert_array_equal(masked.responses.values, whole.values[:, columns])
    assert masked.region("early").mask.sum() == 20 and masked.responses.values.shape[1] == 35
    nibabel.save(nibabel.Nifti1Image(np.ones((5, 6, 5), np.uint8), listener.voxels.affine), folder / "A4.nii.gz")
    assert "expected the grid of sub-01_ses-01" in refused(broken)


def test_two_statements_of_the_tr_must_agree(broken: Path, listener: TinyListener) -> None:
    volume = np.zeros((5, 6, 4, 80), np.float32)
    volume[tuple(listener.voxels.ijk.T)] = np.random.default_rng(0).normal(size=(40, 80))
    image = nibabel.Nifti1Image(volume, listener.voxels.affine)
    image.header.set_zooms((2, 2, 2, 1500))
    image.header.set_xyzt_units("mm", "msec")
    (broken / SERIES).unlink()
    nibabel.save(image, (broken / f"{FUNC}_bold.nii.gz"))
    assert "found 1.28 s in the JSON sidecar and 1.5 s in the NIfTI header" in refused(broken)
    assert read(broken, tr_s="1.28").notes[3:] == (
        "the repetition time is 1.28 s as asked for, against 1.5 s in the NIfTI header of ses-01 run-01",
    )
    (broken / SIDECAR).unlink()
    assert "TR 1.28 and 1.5 s" in read(broken).notes[0]
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, (broken / f"{FUNC}_bold.nii.gz"))
    assert "at most 60 s, found 1500 s (milliseconds?) in the NIfTI header" in refused(broken)


def test_sidecars_of_all_runs_are_asked_about_the_tr_that_was_given(broken: Path) -> None:
    sidecars = sorted(broken.glob("bids/sub-01/ses-*/func/*_bold.json"))
    facts = json.loads(sidecars[-1].read_text())
    sidecars[-1].write_text(json.dumps({**facts, "RepetitionTime": 2.5}))
    says = "the repetition time is 1.28 s as asked for, against"
    last = " ".join(sidecars[-1].name.split("_")[number] for number in (1, 3))
    assert read(broken, tr_s="1.28").notes[3:] == (f"{says} 2.5 s in the JSON sidecar of {last}",)
    for path in sidecars:
        path.write_text(json.dumps({**facts, "RepetitionTime": 2.5}))
    assert read(broken, tr_s="1.28").notes[3:] == (f"{says} 2.5 s in the JSON sidecar",)


def test_timing_faults_are_one_sentence(broken: Path) -> None:
    assert "such as lag_s=4.5" in refused(broken, lag_s="late") and "lag_s=-1" in refused(broken, lag_s="-1")
    assert "such as dummy=4" in refused(broken, dummy="2.5")
    assert "no field is called 'lag'; did you mean lag_s" in refused(broken, lag="4")
    assert "expected a window of one volume or more, found 1 s at a repetition time of 1.28 s" in refused(
        broken, window_s="1"
    )
    assert "give a shorter --fields window_s" in refused(broken, window_s="10.24")
    short = refused(broken, tr_s="0.64")
    assert "row 7: expected a series until" in short or "expected an onset within the series" in short
    assert "events.tsv" in short and "epetition time" in short
    assert "row 1: expected volumes from 0 s on, found a series whose first volume was taken at 3 s" in refused(
        broken, start_s="3", lag_s="0"
    )
    sidecar = json.loads((broken / SIDECAR).read_text())
    (broken / SIDECAR).write_text(json.dumps({**sidecar, "RepetitionTime": "n/a"}))
    assert "expected RepetitionTime in seconds, a number up to 60, found 'n/a'" in refused(broken)
    (broken / SIDECAR).write_text(json.dumps({**sidecar, "RepetitionTime": True}))
    assert "expected RepetitionTime in seconds, a number up to 60, found True" in refused(broken)
    (broken / SIDECAR).write_text(json.dumps({**sidecar, "StartTime": False}))
    assert "sidecar StartTime: expected seconds, found False" in refused(broken)
    (broken / SIDECAR).write_text(json.dumps({**sidecar, "RepetitionTime": 1280}))
    assert "found 1280 (milliseconds?); correct it, or give --fields tr_s=SECONDS" in refused(broken)
    del sidecar["RepetitionTime"]
    (broken / SIDECAR).write_text(json.dumps(sidecar))
    assert "expected a repetition time, found none" in refused(broken)
    (broken / SIDECAR).write_text("[")
    assert "expected a JSON object" in refused(broken)


def test_event_faults_are_one_sentence(broken: Path) -> None:
    path, table = broken / EVENTS, (broken / EVENTS).read_text()

    def put(row: int, column: int, text: str) -> Callable[[list[list[str]]], list[list[str]]]:
        def change(rows: list[list[str]]) -> list[list[str]]:
            rows[row][column] = text
            return rows

        return change

    faults: list[tuple[Callable[[list[list[str]]], list[list[str]]], str]] = [
        (
            put(3, 0, "5000"),
            "row 3: expected an onset within the series (80 volumes of 1.28 s end at 103.04 s), found 5000 s",
        ),
        (put(3, 0, "-2"), "row 3, onset: expected seconds from 0 on, found '-2'"),
        (put(3, 0, "nan"), "row 3, onset: expected seconds from 0 on, found 'nan'"),
        (put(3, 1, "n/a"), "row 3, duration: expected seconds"),
        (put(3, 3, "dog.wav"), "row 3: expected a stim_file that stimuli.tsv knows (24 clips), found 'dog'"),
        (put(0, 0, "time"), "expected the column 'onset', found the columns time, duration"),
        (lambda rows: rows[:1], "expected events that name a sound, found 0 rows"),
        (lambda rows: [rows[0], *[[*row[:3], "n/a"] for row in rows[1:]]], "found 12 rows without one"),
    ]
    for change, said in faults:
        rows_of(path, change)
        assert said in refused(broken) and str(path) in refused(broken)
        path.write_text(table)
    rows_of(path, put(0, 0, "time"))
    for other in broken.glob("bids/sub-01/ses-*/func/*_events.tsv"):
        other.write_text(other.read_text().replace("onset\t", "time\t"))
    assert len(read(broken, onset="time").responses.values) == 144


def test_series_and_regions_that_do_not_fit_are_named(broken: Path, listener: TinyListener) -> None:
    whole = (broken / SERIES).read_bytes()
    (broken / SERIES).write_bytes(whole[: len(whole) // 2])
    assert "a file cut short" in refused(broken)
    with h5py.File(broken / SERIES, "w") as file:
        file["data"] = np.zeros((80, 41), np.float32)
    assert "expected 40 voxels as the regions have, found 41 columns" in refused(broken)
    with h5py.File(broken / SERIES, "w") as file:
        file["series"] = np.zeros((80, 40), np.float32)
    assert "expected the data set 'data'" in refused(broken)
    (broken / SERIES).unlink()
    assert "expected a series sub-01_ses-01_task-listen_run-01_bold.nii.gz or .h5, found none" in refused(broken)
    for name in ("a", "b"):
        (broken / f"{FUNC}_space-{name}_bold.h5").write_bytes(whole)
    assert "choose with --fields series=TEXT" in refused(broken)
    (broken / f"{FUNC}_space-b_bold.h5").unlink()
    assert len(read(broken).responses.values) == 144
    with h5py.File(broken / "bids/sub-01/rois.h5", "r+") as file:
        del file["regions/A1"]
        file["regions/A1"] = np.ones(39, bool)
    assert "expected (40,) booleans" in refused(broken)
    (broken / "bids/sub-01/rois.h5").unlink()
    assert [region.name for region in read(broken).regions] == ["all"]


def test_nan_voxels_are_left_out_in_all_runs(broken: Path) -> None:
    with h5py.File(broken / SERIES, "r+") as file:
        file["data"][10, 3] = np.nan
        file["data"][:, 4] = 7
    recording = read(broken)
    assert recording.responses.values.shape[1] == 39 and "1 of 40 voxels hold NaN" in recording.masked[0]
    assert recording.region("A1").mask.sum() == 9


def test_a_missing_sound_is_named_or_left_out(broken: Path) -> None:
    (broken / "stimuli/clip04.wav").unlink()
    assert "none for 1 of 24 clips (first: clip04)" in refused(broken)
    partial = read(broken, partial="yes")
    assert len(partial.responses.values) == 138 and "23 of 24 clips have a sound file" in partial.notes[3]
    shutil.rmtree(broken / "stimuli")
    with pytest.raises(InputError, match="expected the picture or sound of clip04_slide0, found none"):
        read(broken).stimuli.open("clip04_slide0")


def test_a_run_without_sessions_and_a_name_that_is_none(tmp_path: Path) -> None:
    voxels = Voxels(ijk=np.eye(3, dtype=int), affine=np.eye(4), regions={})
    events = [Event(onset_s=3.0, duration_s=2.56, trial_type="x", stim_file="blues.00001.wav")]
    series = np.random.default_rng(0).normal(size=(20, 3))
    write_series(tmp_path, series, subject="02", run=1, tr_s=1.0, events=events, voxels=voxels)
    recording = open_recording(tmp_path, fields={"window_s": "2.56"})
    assert recording.responses.stimulus.tolist() == ["blues.00001_slide0"]
    assert recording.responses.space.subject == "sub-02" and recording.splits == ()
    with pytest.raises(InputError, match="expected .*events.tsv with series, found none"):
        open_recording(tmp_path / "sub-02", reader="series")


def test_the_lag_sweep_finds_the_delay_and_no_other(listener: TinyListener) -> None:
    sweep = lag_sweep(listener.root, tuple(number * 1.28 for number in range(8)), region="A1")
    assert sweep.best_s == pytest.approx(5.12) and max(sweep.correlation) > 0.8
    others = [score for lag, score in zip(sweep.lags_s, sweep.correlation, strict=True) if abs(lag - 5.12) > 1.3]
    assert max(others) < 0.4 and sweep.voxels == 10 and sweep.windows == 54 * 2
    assert sweep.lines()[-1].startswith("best lag 5.12 s") and json.dumps(sweep.facts())


def test_the_lag_sweep_looks_at_no_test_clip(broken: Path) -> None:
    before = lag_sweep(broken, (3.84, 5.12), region="A1")
    for number in range(18, 24):
        shutil.copy(broken / "stimuli/clip00.wav", broken / f"stimuli/clip{number}.wav")
    assert lag_sweep(broken, (3.84, 5.12), region="A1") == before


def test_the_lag_sweep_names_a_suspicious_lag_and_refuses_too_little(broken: Path, tmp_path: Path) -> None:
    early = lag_sweep(broken, (1.28, 9.0), region="A1")
    assert ("outside 3 to 8 s" in early.lines()[-1]) and len(early.lines()) == 4
    few = tiny_listener(tmp_path / "few", clips=8, tests=2)
    with pytest.raises(InputError, match="expected 8 training clips or more"):
        lag_sweep(few.root, (4.5,))
    with pytest.raises(UsageError, match="no region is called 'A11'"):
        lag_sweep(broken, (4.5,), region="A11")


def test_prediction_is_ridge_regression_on_held_out_folds() -> None:
    from sklearn.linear_model import Ridge

    generator = np.random.default_rng(0)
    features, weights = generator.normal(size=(60, 5)), generator.normal(size=(5, 3))
    responses = features @ weights + generator.normal(size=(60, 3))
    fold = np.arange(60) % 4
    guesses = np.zeros((60, 3))
    for one in range(4):
        train = fold != one
        mean, std = features[train].mean(axis=0), features[train].std(axis=0)
        ridge = Ridge(alpha=0.1 * train.sum()).fit((features[train] - mean) / std, responses[train])
        guesses[~train] = ridge.predict((features[~train] - mean) / std)
    expected = np.mean([np.corrcoef(guesses[:, voxel], responses[:, voxel])[0, 1] for voxel in range(3)])
    # means and products over 45 windows, 5 equations, 5 products of a guess, 60 windows of a correlation, 3 voxels;
    # what the equations are off grows by their condition
    gram = np.corrcoef(features.T) + 0.1 * np.eye(5)
    bound = rounding(sums=2 * 45 + 5 * 5 + 5 + 60 + 3, scale=np.linalg.cond(gram), dtype=np.float64)
    assert predicted(features, responses, fold) == pytest.approx(expected, abs=bound)
    assert predicted(features, np.ones((60, 3)), fold) == 0


def test_timing_of_fields() -> None:
    assert timing_of({}) == Timing(lag_s=4.5, window_s=2.56, hop_s=1.28, dummy=0, tr_s=0, start_s=None)
    assert timing_of({"window_s": "4", "dummy": "3", "start_s": "0.5"}) == Timing(
        lag_s=4.5, window_s=4, hop_s=2, dummy=3, tr_s=0, start_s=0.5
    )


def as_images(root: Path, listener: TinyListener) -> list[Path]:
    """The matrices of a listener as NIfTI series, and its regions as masks; returns the series."""
    for path in sorted(root.glob("bids/sub-01/ses-*/func/*_bold.h5")):
        with h5py.File(path) as file:
            series = file["data"][:]
        volume = np.zeros((5, 6, 4, len(series)), np.float32)
        volume[tuple(listener.voxels.ijk.T)] = series.T
        nibabel.save(nibabel.Nifti1Image(volume, listener.voxels.affine), str(path).replace(".h5", ".nii.gz"))
        path.unlink()
    (root / "bids/sub-01/rois").mkdir()
    for name, mask in listener.voxels.regions.items():
        volume = np.zeros((5, 6, 4), np.uint8)
        volume[tuple(listener.voxels.ijk[mask].T)] = 1
        nibabel.save(nibabel.Nifti1Image(volume, listener.voxels.affine), root / f"bids/sub-01/rois/{name}.nii.gz")
    return sorted(root.glob("bids/sub-01/ses-*/func/*_bold.nii.gz"))


def turn(path: Path) -> None:
    """Saves the file again with its x axis the other way round, array and affine together."""
    image = nibabel.load(path)
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (image.shape[0] - 1)
    affine[:, 0] *= -1
    nibabel.save(nibabel.Nifti1Image(np.flip(np.asanyarray(image.dataobj), 0), affine), path)


def by_place(recording: Recording) -> tuple[np.ndarray, set[tuple[float, ...]]]:
    """(voxel, window) values in the order of millimetres, and the places of A1."""
    space = recording.responses.space
    places = [tuple(one) for one in (space.ijk @ space.affine[:3, :3].T + space.affine[:3, 3]).round(2).tolist()]
    here = recording.region("A1").mask
    order = sorted(range(len(places)), key=places.__getitem__)
    return recording.responses.values[:, order].T, {place for place, own in zip(places, here, strict=True) if own}


@pytest.mark.parametrize("which", ["first run", "last run", "masks", "all", "stored places"])
def test_series_and_masks_saved_again_with_a_turned_axis_are_the_same_brain(
    broken: Path, listener: TinyListener, which: str
) -> None:
    series = as_images(broken, listener)
    masks = sorted(broken.glob("bids/sub-01/rois/*.nii.gz"))
    if which != "stored places":
        (broken / "bids/sub-01/rois.h5").unlink()
    values, places = by_place(read(broken))
    turned = {"first run": series[:1], "last run": series[-1:], "masks": masks, "all": [*series, *masks]}
    for path in turned.get(which, series):
        turn(path)
    again, there = by_place(read(broken))
    assert there == places
    np.testing.assert_array_equal(again, values)


def test_stored_places_of_another_grid_are_refused_with_both_affines(broken: Path, listener: TinyListener) -> None:
    as_images(broken, listener)
    with h5py.File(broken / "bids/sub-01/rois.h5", "r+") as file:
        file["affine"][0, 3] += 1.0
    assert "rois.h5: expected places on the grid of sub-01_ses-01" in refused(broken)
    with h5py.File(broken / "bids/sub-01/rois.h5", "r+") as file:
        del file["affine"]
    assert any("rois.h5 has no affine" in note for note in read(broken).notes)


def test_a_mask_of_labels_is_refused(broken: Path, listener: TinyListener) -> None:
    as_images(broken, listener)
    (broken / "bids/sub-01/rois.h5").unlink()
    path = broken / "bids/sub-01/rois/A1.nii.gz"
    labels = np.arange(120, dtype=np.int16).reshape(5, 6, 4) % 4
    nibabel.save(nibabel.Nifti1Image(labels, listener.voxels.affine), path)
    assert "A1.nii.gz: expected a mask of 0 and 1, found [1, 2, 3]" in refused(broken)


def test_two_masks_of_one_name_or_of_the_brain_are_refused(broken: Path, listener: TinyListener) -> None:
    series = as_images(broken, listener)
    (broken / "bids/sub-01/rois.h5").unlink()
    rois = broken / "bids/sub-01/rois"
    shutil.copyfile(rois / "A1.nii.gz", rois / "atlas.A1.nii.gz")
    assert "rois: expected one region called 'A1', or its left and right halves, found 2, 'A1', 'at" in refused(broken)
    whole = rois / "A1.nii.gz"
    for path in series:
        path.rename(str(path).replace("_bold", "_desc-preproc_bold"))
    first = series[0].name.removesuffix("_bold.nii.gz")
    for name in (f"{first}_desc-brain_mask.nii.gz", f"{first}_space-T1w_desc-brain_mask.nii.gz"):
        shutil.copyfile(whole, series[0].with_name(name))
    shutil.rmtree(rois)
    assert f"expected one mask of the brain beside it, found 2, {first}_desc-brain_mask.nii.gz and" in refused(broken)
    series[0].with_name(f"{first}_space-T1w_desc-brain_mask.nii.gz").unlink()
    assert read(broken).responses.values.shape[1] == 10


@pytest.mark.parametrize("again", ["bids/sub-01/func/{}", "bids/sub-01/ses-01/func/{}"])
def test_a_run_that_is_there_twice_is_refused(broken: Path, again: str) -> None:
    events = broken / f"{FUNC}_events.tsv"
    name = events.name if "ses-01" not in again else events.name.replace("run-01", "run-1")
    (broken / again.format(name)).parent.mkdir(exist_ok=True)
    shutil.copyfile(events, broken / again.format(name))
    says = refused(broken)
    assert "expected one file of the events of sub-1_ses-1_task-listen_run-1, found two, sub-01/" in says


def test_sessions_of_words_and_numbers_are_counted_and_never_merge(broken: Path) -> None:
    folder = broken / "bids/sub-01"
    assert np.unique(read(broken).responses.session).tolist() == [1, 2]
    (folder / "ses-01").rename(folder / "ses-post")
    for path in (folder / "ses-post/func").iterdir():
        path.rename(path.with_name(path.name.replace("ses-01", "ses-post")))
    (folder / "ses-02").rename(folder / "ses-2")
    for path in (folder / "ses-2/func").iterdir():
        path.rename(path.with_name(path.name.replace("ses-02", "ses-2")))
    assert np.unique(read(broken).responses.session).tolist() == [1, 2]


@pytest.mark.parametrize("place", ["bids", "bids/sub-01", "bids/sub-01/ses-01"])
def test_a_sidecar_is_inherited_from_above(broken: Path, place: str) -> None:
    whole = read(broken).responses.values
    facts = json.loads((broken / SIDECAR).read_text())
    for path in broken.glob("bids/sub-01/ses-*/func/*_bold.json"):
        path.unlink()
    for folder in (place, place.replace("ses-01", "ses-02")):
        words = [word for word in folder.split("/")[1:] if place != "bids"]
        (broken / folder / ("_".join([*words, "task-listen_bold"]) + ".json")).write_text(json.dumps(facts))
    (broken / "bids/task-other_bold.json").write_text(json.dumps({"RepetitionTime": 9.0}))
    np.testing.assert_array_equal(read(broken).responses.values, whole)


@pytest.mark.parametrize("seconds", ["5e9", "1e18"])
def test_events_of_years_are_refused_before_they_are_cut(broken: Path, seconds: str) -> None:
    rows_of(broken / EVENTS, lambda rows: [*rows[:1], [rows[1][0], seconds, *rows[1][2:]], *rows[2:]])
    assert "row 1: expected a series until" in refused(broken)
    rows_of(broken / EVENTS, lambda rows: [*rows[:1], [seconds, *rows[1][1:]], *rows[2:]])
    assert "an onset within the series" in refused(broken)


def test_an_unfetched_link_is_not_an_absent_file(broken: Path) -> None:
    for name in ("rois.h5", "../task-listen_bold.json"):
        path = broken / "bids/sub-01" / name
        kept = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        path.symlink_to("../.git/annex/objects/none")
        assert "a link to a file that has not been fetched; run `datalad get` on it" in refused(broken)
        path.unlink()
        if kept:
            path.write_bytes(kept)


def test_companions_of_a_mac_are_no_data(broken: Path) -> None:
    whole = read(broken).responses.values
    for path in [path for path in broken.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(78))
    np.testing.assert_array_equal(read(broken).responses.values, whole)
