"""Data that no reader opens as they lie: what they are and the next command, in one short sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from brain.errors import InputError
from brain.readers import open_recording


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["x.csv"], r"found an array or a table; .*`afterimage pack data\.h5 --responses \S*x\.csv --stimulus"),
        (["x.npy"], r"found an array or a table; .*--responses \S*x\.npy"),
        (["x.mat"], r"found a MATLAB file; read it with scipy\.io\.loadmat, .*`afterimage pack"),
        (["x.nii.gz"], r"found a NIfTI file; .*under 'From NIfTI' in docs/howto/own_data\.md"),
        (["a.nii", "b.nii.gz"], r"found a folder of 2 such files as b\.nii\.gz, a NIfTI file"),
        (["a.csv", "long.npy"], r"found a folder of 2 such files as long\.npy, .*--responses \S*long\.npy"),
        (["a.csv", "b.doc"], "no reader recognises these data; known are arrays"),
    ],
)
def test_what_people_have_is_named_with_the_next_command(tmp_path: Path, names: list[str], said: str) -> None:
    for name in names:
        (tmp_path / name).write_text("1\n" * len(name))
    path = tmp_path / names[0] if len(names) == 1 else tmp_path
    with pytest.raises(InputError, match=said) as error:
        open_recording(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("there", [[], ["c.nii.gz"], ["README", "c.csv"]])
def test_a_folder_of_links_that_were_not_fetched_says_so(tmp_path: Path, there: list[str]) -> None:
    for name in there:
        (tmp_path / name).write_text("1\n")
    for name in ("a.nii.gz", "b.nii.gz"):
        (tmp_path / name).symlink_to(f"../.git/annex/objects/{name}")
    said = r"a\.nii\.gz: expected data, found a link to a file that has not been fetched; run `datalad get` on it$"
    with pytest.raises(InputError, match=said):
        open_recording(tmp_path)


def test_a_part_of_a_data_set_names_the_whole(tmp_path: Path) -> None:
    (tmp_path / "nsddata").mkdir()
    (tmp_path / "nsddata_betas" / "ppdata").mkdir(parents=True)
    for part in (tmp_path / "nsddata_betas", tmp_path / "nsddata_betas" / "ppdata"):
        with pytest.raises(InputError, match=rf"expected a whole data set, found a part of one; .* above: {tmp_path}$"):
            open_recording(part)


def test_the_lines_for_nifti_in_the_documentation_make_data_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nibabel
    import numpy as np
    from PIL import Image

    text = (Path(__file__).parents[1] / "docs" / "howto" / "own_data.md").read_text("utf-8")
    section = text.partition("## From NIfTI\n")[2].partition("\n## ")[0]
    lines = [line.removeprefix("    ") for line in section.splitlines() if line.startswith("    ")]
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    affine = np.diag([2.0, 2, 2, 1])
    mask = np.zeros((4, 5, 3), np.uint8)
    mask[1:3, 1:4, 1] = 1
    Path("betas").mkdir()
    Path("images").mkdir()
    nibabel.save(nibabel.Nifti1Image(mask, affine), "mask.nii.gz")
    nibabel.save(nibabel.Nifti1Image(mask * (np.arange(4) < 2)[:, None, None].astype(np.uint8), affine), "V1.nii.gz")
    volumes = rng.normal(size=(12, *mask.shape)).astype(np.float32)
    for number, volume in enumerate(volumes):
        nibabel.save(nibabel.Nifti1Image(volume, affine), f"betas/trial{number:03d}.nii.gz")
    names = [f"s{number % 4}" for number in range(12)]
    Path("ids.txt").write_text("\n".join(names))
    for number in range(4):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(f"images/s{number}.png")
    exec("\n".join(lines), {})
    recording = open_recording(Path("data.npz"))
    assert np.array_equal(recording.responses.values, volumes[:, mask > 0])
    assert recording.responses.stimulus.tolist() == names and recording.region("V1").mask.sum() == 3
    assert np.array_equal(recording.responses.space.affine, affine)
