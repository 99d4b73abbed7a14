"""Whatever is written: whole or not at all, by one opener, never through a link, and swept after a kill."""

from __future__ import annotations

import ast
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest

from brain.errors import InputError, StorageError
from brain.writing.locks import claim, lock, sweep
from brain.writing.opener import (
    _Held,
    appending,
    write_bytes,
    write_text,
    write_volume,
    writing,
    writing_folder,
    writing_hdf5,
)
from brain.writing.places import inside, only_files
from encoders.storage import write_json, write_tensors

ROOMS = ("brain", "encoders", "pipelines", "evaluation", "decode", "app")
OPENERS = ("brain/writing/opener.py", "brain/writing/locks.py")
APART = {
    "app/demo/folders.py": "the lock of a demo's own folder",
    "app/demo/uploads": "a visitor's folder, and the kernel's own files",
    "evaluation/report/costs.py": "the kernel's own file",
    "pipelines/images/tiny.py": "a small stack for tests, made in a new folder",
    "pipelines/sounds/tiny.py": "a small stack for tests, made in a new folder",
    "pipelines/miniature": "the recipes that train the bundled networks, run by those who build the package",
    "encoders/towers/classifier.py": "a small network for tests, made in a new folder",
    "encoders/spaces/loa.py": "a small network for tests, made in a new folder",
    "encoders/spaces/openclip_image.py": "a small network for tests, made in a new folder",
}
"""Files and folders that write by themselves, and why they may."""
ANOTHER = 2**22 + 1
"""A number that no process of Linux has."""


def text(path: Path) -> None:
    write_text(path, "one\n")


def tensors(path: Path) -> None:
    write_tensors(path, {"a": np.zeros(3)}, kind="test", card={})


def card(path: Path) -> None:
    write_json(path, {"a": 1})


def volume(path: Path) -> None:
    write_volume(path, nibabel.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4)))


def hdf5(path: Path) -> None:
    with writing_hdf5(path) as file:
        file["a"] = np.arange(4)


WRITERS = (text, tensors, card, volume, hdf5)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("write", WRITERS)
def test_every_file_has_the_rights_that_the_umask_leaves(
    write: Callable[[Path], None], tmp_path: Path, umask: None
) -> None:
    write(tmp_path / "made" / "x.nii.gz")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["x.nii.gz"]
    assert stat.S_IMODE((tmp_path / "made/x.nii.gz").stat().st_mode) == 0o640


@pytest.mark.parametrize("write", WRITERS)
def test_a_link_in_the_way_is_refused_and_what_it_points_to_stays(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "x.nii.gz").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match=r"x\.nii\.gz: expected a file or folder of this place itself, found a link"):
        write(tmp_path / "x.nii.gz")
    assert (tmp_path / "precious").read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def test_a_link_planted_under_the_temporary_s_name_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / f".x.{os.getpid()}.part").symlink_to(tmp_path / "precious")
    write_text(tmp_path / "x", "new")
    assert (tmp_path / "precious").read_text() == "mine" and (tmp_path / "x").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", "x"]


def test_what_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(InputError, match="no"), writing(tmp_path / "x") as part:
        part.write_text("half")
        raise InputError("no")
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_text() == "old"
    with pytest.raises(StorageError, match="room and rights to write, found File exists"):
        write_text(tmp_path / "x" / "y", "")


def test_a_name_as_long_as_names_can_be_is_written(tmp_path: Path) -> None:
    for name in ("n" * 255, "ä" * 127):
        write_text(tmp_path / name, name)
        assert (tmp_path / name).read_text() == name


def test_a_volume_is_the_bytes_that_nibabel_writes(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(60, dtype=np.float32).reshape(3, 4, 5), np.diag([2.0, 2.0, 2.0, 1.0]))
    write_volume(tmp_path / "ours.nii.gz", image)
    nibabel.save(image, tmp_path / "theirs.nii.gz")
    assert (tmp_path / "ours.nii.gz").read_bytes() == (tmp_path / "theirs.nii.gz").read_bytes()


FULL = """
import sys
from pathlib import Path
import numpy as np
from brain.errors import AfterimageError
from brain.writing.opener import writing_hdf5
try:
    with writing_hdf5(Path(sys.argv[1])) as file:
        for number in range(40):
            file.create_dataset(f"{number}", data=np.arange(40_000.0) + number, fletcher32=True)
        file.create_dataset("packed", data=np.random.default_rng(0).normal(size=10_000), compression="gzip")
except AfterimageError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("limit", [100, 5_000, 1_000_000])
def test_hdf5_on_a_full_disk_ends_in_a_sentence_and_not_in_a_crash(limit: int, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "x.h5")], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (4, "")
    assert "x.h5: expected room and rights to write, found File too large" in result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("anew", [False, True])
def test_a_lock_that_its_holder_removes_meanwhile_is_taken_anew(
    anew: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our opening of the file and our lock on it another ends, and perhaps a third begins."""
    file, truly, left = tmp_path / ".x.lock", fcntl.flock, [True]

    def flock(handle: int, how: int) -> None:
        if left and left.pop():
            file.unlink()
            if anew:
                file.touch()
        truly(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with claim(tmp_path / "x"):
        assert file.read_text() == f"process {os.getpid()}"
        with pytest.raises(StorageError, match=f"x: process {os.getpid()} is working here"), claim(tmp_path / "x"):
            pass
    assert not file.exists()


def test_what_hdf5_reads_behind_the_end_of_its_file_is_zeros(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    buffer = bytearray(b"\xff" * 8)
    with (tmp_path / "x").open("r+b", buffering=0) as raw:
        assert _Held(raw).readinto(buffer) == 8
    assert bytes(buffer) == b"abc\0\0\0\0\0"


def test_temporaries_of_the_dead_are_swept_and_those_of_the_living_kept(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    dead = [f".a.{ANOTHER}.part", f"below/.b.json.{ANOTHER}.tmp", f".a.{os.getpid()}.part", ".tmpAb3dEf"]
    kept = [f".a.{os.getppid()}.part", ".a.part", f"a.{ANOTHER}.part", "a"]
    for name in (*dead, *kept):
        (tmp_path / name).write_text("")
    sweep(tmp_path, name="b.json")
    assert all((tmp_path / name).exists() for name in (*dead, *kept))
    sweep(tmp_path, name="a")
    assert [(tmp_path / name).exists() for name in dead] == [False, True, False, True]
    with lock(tmp_path):
        pass
    assert [(tmp_path / name).exists() for name in dead] == [False, True, False, True]
    sweep(tmp_path, below=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {*kept, "below", ".lock"}


@pytest.mark.parametrize("hold", [lock, claim])
def test_a_place_is_held_by_one_and_the_other_is_told_by_whom(hold: Callable, tmp_path: Path) -> None:
    place = tmp_path / "out"
    said = rf"out: process {os.getpid()} is working here; wait for it"
    with hold(place), pytest.raises(StorageError, match=said), hold(place):
        pass
    with hold(place):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == (["out", ".lock"] if hold is lock else [])


@pytest.mark.parametrize("hold", [lock, claim])
def test_a_lock_that_is_a_link_is_refused_and_what_it_points_to_stays(hold: Callable, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out").mkdir()
    planted = tmp_path / ("out/.lock" if hold is lock else ".out.lock")
    planted.symlink_to(tmp_path / "precious")
    said = r"lock: expected a file or folder of this place itself, found a link"
    with pytest.raises(InputError, match=said), hold(tmp_path / "out"):
        pass
    assert (tmp_path / "precious").read_text() == "mine" and planted.is_symlink()


def test_a_folder_of_ours_may_be_a_link_and_hold_none(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "maps").mkdir(parents=True)
    (tmp_path / "run").symlink_to(home)
    with lock(tmp_path / "run"):
        write_text(tmp_path / "run/maps/a", "a")
    assert inside(tmp_path / "run", tmp_path / "run/maps/a").read_text() == "a"
    (home / "report").symlink_to(tmp_path)
    with pytest.raises(InputError, match="report: expected a file or folder of this place itself, found a link"):
        only_files(tmp_path / "run")
    with pytest.raises(InputError, match="found a link"):
        inside(home, home / "report" / "home")
    (home / "report").unlink()
    os.mkfifo(home / "maps/pipe")
    with pytest.raises(InputError, match="pipe: expected .*, found a device or pipe"):
        only_files(tmp_path / "run")


def test_lines_are_added_to_a_file_and_not_through_a_link(tmp_path: Path) -> None:
    with appending(tmp_path / "log") as file:
        file.write(b"a\n")
    (tmp_path / "link").symlink_to(tmp_path / "log")
    with pytest.raises(InputError, match="found a link"):
        appending(tmp_path / "link")
    assert (tmp_path / "log").read_bytes() == b"a\n"


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError), writing_folder(tmp_path / "data") as part:
        write_bytes(part / "a", b"a")
        raise InputError("no")
    assert not list(tmp_path.iterdir())
    (tmp_path / ".data.part").mkdir()
    (tmp_path / ".data.part/left by a kill").write_text("")
    with writing_folder(tmp_path / "data") as part:
        write_bytes(part / "a", b"a")
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["data", "data/a"]


KILLED = """
import os, signal, sys
from pathlib import Path
from brain.writing.locks import claim
from brain.writing.opener import writing
out = Path(sys.argv[1])
with claim(out), writing(out) as part:
    part.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_kill_leaves_is_gone_after_the_next_command(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = subprocess.run([sys.executable, "-c", KILLED, str(out)])
    assert result.returncode == -signal.SIGKILL and len(list(tmp_path.iterdir())) == 2 and not out.exists()
    with claim(out):
        write_text(out, "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_but_the_opener_writes_files(checkout: Path) -> None:
    found = []
    for room in ROOMS:
        for file in sorted((checkout / room).rglob("*.py")):
            name = file.relative_to(checkout).as_posix()
            if name in OPENERS or any(name == one or name.startswith(f"{one}/") for one in APART):
                continue
            found += [f"{name}:{line} {call}" for line, call in writing_calls(file)]
    assert found == []


def test_every_exception_is_still_one(checkout: Path) -> None:
    for name in APART:
        files = [checkout / name] if name.endswith(".py") else sorted((checkout / name).rglob("*.py"))
        assert any(list(writing_calls(file)) for file in files), name


def writing_calls(file: Path) -> Iterator[tuple[int, str]]:
    """Line and call of what writes a file by itself; what writes into `part`, which the opener gave, does not."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and _writes(node):
            yield node.lineno, ast.unparse(node)[:80]


SAVERS = ("save_file", "savez", "savez_compressed", "savetxt", "np.save", "nibabel.save", "torch.save", "write_text",
          "write_bytes", "rename")  # fmt: skip


def _writes(call: ast.Call) -> bool:
    called = ast.unparse(call.func)
    last = called.rsplit(".", 1)[-1]
    if called.startswith("part.") or any(ast.unparse(one) == "part" for one in call.args):
        return False
    if called == "os.open":
        said = ast.unparse(call)
        return "os.devnull" not in said and any(flag in said for flag in ("O_WRONLY", "O_RDWR", "O_CREAT"))
    if last in ("open", "fdopen", "File"):
        return any(_is_writing_mode(one) for one in (*call.args[:2], *(word.value for word in call.keywords)))
    return called in (*SAVERS, "os.replace", "os.rename") and called not in OURS or ("." in called and last in SAVERS)


OURS = ("write_text", "write_bytes")
"""The opener's own functions, by their names alone."""


def _is_writing_mode(one: ast.expr) -> bool:
    mode = one.value if isinstance(one, ast.Constant) else ""
    return isinstance(mode, str) and bool(set(mode) & set("wax+")) and set(mode) <= set("rwaxbt+")


def test_a_folder_that_was_made_for_a_refusal_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InputError), lock(tmp_path / "run"):
        raise InputError("refused")
    assert not (tmp_path / "run").exists()
    (tmp_path / "own").mkdir()
    with pytest.raises(InputError), lock(tmp_path / "own"):
        raise InputError("refused")
    assert (tmp_path / "own" / ".lock").read_bytes() == b""
    with lock(tmp_path / "run"):
        write_text(tmp_path / "run" / "kept", "x")
    assert (tmp_path / "run" / "kept").is_file()
