"""The demo's tab for data of one's own: who may send and fetch what, hostile files, limits, one real small study."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import os
import pickle
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from app.cli import main
from app.demo.guard import DOWNLOAD, TOKEN, UPLOAD, allowed
from app.demo.interface import scripts
from app.demo.pages import page
from app.demo.serve import How
from app.demo.session import House, Visitor
from app.demo.uploads import processes, receive, routes
from app.demo.uploads.archive import members
from app.demo.uploads.limits import CHECK, STUDY
from app.demo.uploads.processes import Child
from app.demo.uploads.recipes import candidate, fitted_to
from app.demo.uploads.routes import Routes
from app.demo.uploads.upload import BUSY, Upload
from app.demo.uploads.work import NO_FILE, UploadView, check, checked_of, study
from brain.data.pack import write_arrays
from brain.errors import InputError, StorageError, UsageError
from brain.readers import open_recording
from decode.recipes import CATALOGUE
from tests.served import LEFT_OPEN, served
from tests.test_brain_files import bomb, external_link, external_storage, loop, soft_link

pytestmark = LEFT_OPEN
MIB = 2**20
LIMIT = 4
MARKUP = "<img src=x onerror=alert(1)>"
HDF5 = b"\x89HDF\r\n\x1a\n"


def pack_small(out: Path) -> Path:
    """60 stimuli of 16 x 16 pixels shown twice, 80 voxels that see them; names and captions are full of markup."""
    chance = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16] / 16
    waves = [np.sin(2 * np.pi * (a * x + b * y) + c) for a, b, c in chance.uniform(0, 2, (60, 3))]
    images = (127.5 + 127.5 * np.stack(waves)).astype(np.uint8)
    seen = images.reshape(60, -1) / 255
    ids = [f"it's {{{{7+7}}}} &amp;{number:02d}" for number in range(60)]
    trials = np.repeat(np.arange(60), 2)
    responses = ((seen - seen.mean(0)) @ chance.normal(size=(256, 80)))[trials] + chance.normal(size=(120, 80))
    return write_arrays(
        out, responses=responses.astype(np.float32), stimulus=[ids[trial] for trial in trials], images=images,
        image_ids=ids, regions={MARKUP: np.arange(80) < 40}, fields={"subject": MARKUP},
        captions={name: (f"<script>alert({at})</script>",) for at, name in enumerate(ids)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_small(tmp_path_factory.mktemp("own") / "own.h5")


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[House, int]]:
    """A demo without runs that serves, and takes small files."""
    with served([], max_upload=LIMIT) as found:
        yield found


@pytest.fixture
def house() -> Iterator[House]:
    found = House({})
    yield found
    found.close()


def bring(visitor: Visitor, path: Path, name: str = "data.h5") -> Upload:
    """The visitor's upload with that file in it."""
    upload = visitor.upload
    shutil.copy(path, upload.open_inbox() / name)
    upload.received()
    return upload


def last(views: Iterator[UploadView]) -> UploadView:
    *_, view = views
    return view


def asked(
    port: int, path: str, *, method: str = "GET", body: Any = None, chunked: bool = False, **headers: str
) -> tuple[int, str, bytes]:
    """Status, type and bytes of an answer; underscores in names of headers are dashes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers=named, encode_chunked=chunked)
    found = connection.getresponse()
    data = found.read()
    connection.close()
    return found.status, found.headers.get("content-type", ""), data


def sent(port: int, token: str, body: Any, **headers: str) -> tuple[int, str]:
    """Status and sentence of the answer to an upload."""
    status, _, data = asked(port, UPLOAD, method="POST", body=body, **{TOKEN.replace("-", "_"): token, **headers})
    return status, data.decode().strip()


def in_folder(folder: Path) -> list[int]:
    """The processes that stand in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "cwd") == str(folder):
                found.append(int(process.name))
    return found


def until(ready: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come")


# who may send and fetch


def test_the_two_requests_are_answered_where_uploads_are_on_and_by_no_other_method() -> None:
    assert allowed("POST", UPLOAD, uploads=True) and allowed("GET", DOWNLOAD, uploads=True)
    assert not allowed("POST", UPLOAD) and not allowed("GET", DOWNLOAD)
    for method, path in (("GET", UPLOAD), ("PUT", UPLOAD), ("POST", DOWNLOAD), ("HEAD", DOWNLOAD), ("OPTIONS", UPLOAD)):
        assert not allowed(method, path, uploads=True)
    for path in ("/gradio_api/upload", "/upload", f"{UPLOAD}/", f"{UPLOAD}/data.h5", f"{UPLOAD}\0", f"/..{UPLOAD}"):
        assert not allowed("POST", path, uploads=True)


def test_a_file_comes_into_a_folder_of_its_sender_s_own_under_a_name_of_ours(
    place: tuple[House, int], packed: Path
) -> None:
    house, port = place
    upload, other = house.visitor("one").upload, house.visitor("two").upload
    head = {"content_disposition": 'attachment; filename="../../evil.h5"'}
    assert sent(port, upload.token, packed.read_bytes(), **head)[0] == 200
    (kept,) = upload.folder.rglob("*.*")
    assert kept == upload.inbox / "data.h5" and kept.read_bytes() == packed.read_bytes()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and not other.folder.exists()
    assert stat.S_IMODE(upload.folder.stat().st_mode) == stat.S_IMODE(upload.inbox.stat().st_mode) == 0o700
    for path in (UPLOAD, f"/afterimage/{upload.folder.name}/in/data.h5", f"/gradio_api/file={kept}", f"/file={kept}"):
        assert asked(port, path, **{"x_afterimage_token": upload.token})[0] == 404
    house.leave("one")
    assert not upload.folder.exists() and sent(port, upload.token, packed.read_bytes())[0] == 403


@pytest.mark.parametrize("token", ["", "x", "session", "\xe9"])
def test_who_does_not_know_the_secret_sends_and_fetches_nothing(place: tuple[House, int], token: str) -> None:
    house, port = place
    upload = house.visitor("session").upload
    assert sent(port, token, HDF5)[0] == 403
    assert asked(port, f"{DOWNLOAD}?token={upload.token}", x_afterimage_token=token)[0] == 403
    assert not upload.folder.exists()


def test_a_secret_is_given_out_once() -> None:
    upload = Upload(Path("nowhere"))
    assert upload.give_token() == upload.token and upload.give_token() == ""
    assert len({Upload(Path("nowhere")).token for _ in range(50)}) == 50 and len(upload.token) >= 40


def test_only_pages_of_this_server_send(place: tuple[House, int]) -> None:
    house, port = place
    token = house.visitor("one").upload.token
    assert sent(port, token, HDF5, origin="http://evil.example")[0] == 403
    assert sent(port, token, HDF5, sec_fetch_site="cross-site")[0] == 401
    assert sent(port, token, HDF5, host="evil.example")[0] == 421


def test_behind_a_password_nobody_else_sends_whatever_they_know(tmp_path: Path) -> None:
    auth = tmp_path / "auth"
    auth.write_text("me:word\n")
    auth.chmod(0o600)
    with served([], How(port=0, auth=auth), max_upload=LIMIT) as (house, port):
        token = house.visitor("one").upload.token
        assert sent(port, token, HDF5 * 3)[0] == 401 and sent(port, token, HDF5, cookie="access-token-x=1")[0] == 401
        assert asked(port, DOWNLOAD, x_afterimage_token=token)[0] == 401
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        form = {"content-type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/login", body="username=me&password=word", headers=form)
        cookie = connection.getresponse().headers["set-cookie"].partition(";")[0]
        connection.close()
        assert sent(port, token, HDF5 * 3, cookie=cookie)[0] == 200
        assert asked(port, DOWNLOAD, x_afterimage_token=token, cookie=cookie)[0] == 409  # there is no run yet


def test_without_uploads_there_is_neither_tab_nor_request() -> None:
    with served([], uploads=False) as (house, port):
        assert sent(port, house.visitor("one").upload.token, HDF5)[0] == 404
        assert asked(port, DOWNLOAD, x_afterimage_token=house.visitor("one").upload.token)[0] == 404
        assert "Your data" not in json.dumps(json.loads(asked(port, "/config")[2]))
        assert house.upload_of(house.visitor("one").upload.token) is None and "upload" not in scripts(house)


def test_the_flag_takes_no_size_below_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "--max-upload", "-1", "--no-browser"]) == 2
    assert "--max-upload: expected 0 or more, found -1" in capsys.readouterr().err
    assert main(["app", "--public", "--max-upload", "64", "--no-browser"]) == 2
    assert "--public: expected no uploads, for it takes nothing in, found --max-upload 64" in capsys.readouterr().err


# how much comes in


def zeros(count: int) -> Iterator[bytes]:
    yield HDF5
    for _ in range(count):
        yield bytes(MIB)


@contextlib.contextmanager
def flat(most: int) -> Iterator[None]:
    """The process is at no moment larger than it was before by more than so many MiB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < most * 1024


def test_two_gigabytes_are_refused_before_a_byte_of_them_comes(place: tuple[House, int]) -> None:
    house, port = place
    upload = house.visitor("one").upload
    began = time.monotonic()
    with flat(16), socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(head_of(upload.token, f"content-length: {2**31}"))
        assert line.recv(64).split()[1] == b"413"
    assert time.monotonic() - began < 5 and not upload.has_file


def head_of(token: str, *more: str) -> bytes:
    lines = [f"POST {UPLOAD} HTTP/1.1", "host: 127.0.0.1", f"{TOKEN}: {token}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_body_that_never_says_its_length_is_cut_off_at_the_limit(place: tuple[House, int]) -> None:
    """Of 2 GB in chunks no more is taken than the limit, and what was written is gone."""
    house, port = place
    upload = house.visitor("one").upload
    with flat(48), socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(head_of(upload.token, "transfer-encoding: chunked"))
        for part in zeros(LIMIT):
            line.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        assert line.recv(64).split()[1] == b"413"  # though nobody said that it is over
    assert not upload.has_file and not upload.folder.exists()
    assert upload.serial == 0


@pytest.mark.parametrize("length", ["-5", "abc", "1e3", "5, 6"])
def test_a_length_that_is_none_is_no_request(place: tuple[House, int], length: str) -> None:
    house, port = place
    upload = house.visitor(f"of {length}").upload
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(head_of(upload.token, f"content-length: {length}") + HDF5)
        assert line.recv(64).split()[1] == b"400"
    assert not upload.has_file


def test_a_body_shorter_than_it_says_leaves_nothing_and_shuts_nothing(place: tuple[House, int], packed: Path) -> None:
    house, port = place
    upload = house.visitor("broken").upload
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(head_of(upload.token, "content-length: 100000") + HDF5 + bytes(1000))
        until(lambda: (upload.inbox / "part").exists(), "the beginning")
        assert sent(port, upload.token, packed.read_bytes()) == (409, BUSY)  # one at a time
    until(lambda: not (upload.inbox / "part").exists(), "the end")
    assert not upload.has_file
    until(lambda: sent(port, upload.token, packed.read_bytes())[0] == 200, "the next one")
    assert sent(port, upload.token, b"no data")[0] == 415 and upload.has_file  # a refused one takes nothing away


def test_a_sender_who_leaves_while_they_send_leaves_no_folder(place: tuple[House, int]) -> None:
    house, port = place
    upload = house.visitor("leaving").upload
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(head_of(upload.token, "content-length: 100000") + HDF5)
        until(lambda: (upload.inbox / "part").exists(), "the beginning")
        house.leave("leaving")
        line.sendall(bytes(5000))
        assert line.recv(64).split()[1] == b"400"
    until(lambda: not upload.folder.exists(), "the end")


def test_who_stands_still_is_given_up(place: tuple[House, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "IDLE", 0.2)
    house, port = place
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(head_of(house.visitor("slow").upload.token, "content-length: 100000") + HDF5)
        assert b"too slowly" in line.recv(4096) + line.recv(4096)


def test_a_disk_that_is_nearly_full_is_left_to_others(
    place: tuple[House, int], monkeypatch: pytest.MonkeyPatch, packed: Path
) -> None:
    house, port = place
    monkeypatch.setattr(receive, "KEPT_FREE", 2**60)
    status, says = sent(port, house.visitor("full").upload.token, packed.read_bytes())
    assert status == 507 and says.startswith("the server's disk: expected room for 1 MiB, found 0 MiB")


def npz_of(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def npy(values: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, values)
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (pickle.dumps({"responses": [1]}), "a Python pickle"), (npy(np.array([{}], object)), "an npy file"),
        (b"", "an empty file"), (b"<!doctype html><script>alert(1)</script>", "a web page"),
        (b"\x1f\x8b\x08\0", "a gzip file"), (b"\x89PNG\r\n\x1a\n", "a PNG image"), (bytes(6000), "a file of zeros"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_neither_hdf5_nor_npz_is_one_sentence(place: tuple[House, int], body: bytes, found: str) -> None:
    house, port = place
    visitor = house.visitor("other")
    status, says = sent(port, visitor.upload.token, body)
    assert status == 415 and says.count("\n") == 0 and f"found {found}" in says
    until(lambda: visitor.idle, "who has brought nothing")
    assert not visitor.upload.folder.exists()
    assert says.startswith("your file: expected an HDF5 or npz file of responses and pictures")


# what a check says


def test_a_check_says_what_is_there_and_which_recipes_take_it(house: House, packed: Path) -> None:
    visitor = house.visitor("one")
    bring(visitor, packed)
    view = last(check(visitor))
    assert view.progress.state == "done" and view.checked is visitor.upload.checked is not None
    facts = dict(view.checked.facts)
    assert facts["trials"] == "120 in 1 session" and facts["stimuli"] == "60 images" and facts["voxels"] == "80"
    assert facts["regions"] == f"{MARKUP} (40), all (80)" and "tenth-by-hash: 1 fold of 54" in facts["splits"]
    able = {one.name: one for one in view.checked.able}
    assert {"pixels-ridge", "takagi-miniature", "bayes-miniature"} <= set(able) and "c2f-miniature" not in able
    assert able["pixels-ridge"].words == () and "early" in able["takagi-miniature"].notes[0]
    html = page("uploaded", view=view)
    assert MARKUP not in html and "<script" not in html and "&lt;img src=x onerror=alert(1)&gt;" in html


def test_regions_that_the_data_name_are_kept_and_others_are_every_voxel() -> None:
    settings, words, notes = fitted_to(CATALOGUE["takagi-miniature"].settings(), {"ventral", "all"})
    assert settings.maps.maps == ("vae-latent=*", "clip-text=ventral")
    assert words == ("--maps", "vae-latent=*", "clip-text=ventral")
    assert notes == (
        "vae-latent is read from every voxel, for these data name no region early",
        "clip-text is read from ventral alone, for these data name no region lateral",
    )
    assert fitted_to(CATALOGUE["takagi-miniature"].settings(), {"early", "ventral", "lateral"})[1:] == ((), ())
    _, words, _ = fitted_to(CATALOGUE["mindvis-miniature"].settings(), {"all"})
    assert words[-2:] == ("--voxels", "*")


def test_a_recipe_is_tried_by_the_checks_of_a_study(packed: Path) -> None:
    recording = open_recording(packed)
    assert candidate(CATALOGUE["pixels-ridge"], recording).refusal == ""
    assert "these data are of images" in candidate(CATALOGUE["c2f-miniature"], recording).refusal


HOSTILE = {
    "an external link": external_link, "a soft link": soft_link, "external storage": external_storage,
    "a group that holds itself": loop, "8000000000000 bytes claimed": bomb,
}  # fmt: skip


@pytest.mark.parametrize("says", HOSTILE)
def test_a_hostile_file_is_one_sentence_and_reaches_nothing(house: House, tmp_path: Path, says: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"a secret that must not be read, ever")
    path = tmp_path / "hostile.h5"
    with h5py.File(path, "w") as file:
        HOSTILE[says](file, secret)
        file.move("data", "responses")
        file["stimulus"] = np.arange(3)
    visitor = house.visitor("one")
    bring(visitor, path)
    view = last(check(visitor))
    assert view.checked is not None and not view.checked.recipes
    (problem,) = view.checked.problems
    assert says in problem and problem.startswith("your file") and "secret" not in problem and "in/" not in problem


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (npz_of(responses=np.array([{}], object)), "Python objects (a pickle)"),
        (npz_of(other=np.zeros(3)), "expected the field 'responses'"),
    ],
    ids=["pickled", "without responses"],
)
def test_an_archive_of_something_else_is_one_sentence(house: House, tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "x").write_bytes(data)
    visitor = house.visitor("one")
    bring(visitor, tmp_path / "x", "data.npz")
    view = last(check(visitor))
    assert view.checked is not None and any(says in one for one in view.checked.problems) and not view.checked.able


def test_an_archive_without_arrays_names_what_is_accepted(house: House, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("../../evil.sh", "exit 1")
    visitor = house.visitor("one")
    bring(visitor, tmp_path / "x", "data.npz")
    view = last(check(visitor))
    assert view.progress.state == "failed" and "found a zip archive of other files" in view.progress.what
    assert "docs/howto/own_data.md" in view.progress.what


def test_a_file_that_unpacks_to_more_than_the_memory_is_one_sentence(house: House, tmp_path: Path) -> None:
    """Of a megabyte that claims, and holds, four gigabytes, the child's memory is the end and not the server's."""
    path = tmp_path / "large.h5"
    with h5py.File(path, "w") as file:
        rows = file.create_dataset("responses", (32_000, 32_000), "f4", chunks=(1000, 32_000), compression="gzip")
        rows[:1000] = 0
        _, chunk = rows.id.read_direct_chunk((0, 0))
        for first in range(1000, 32_000, 1000):
            rows.id.write_direct_chunk((first, 0), chunk)
        file["stimulus"] = np.arange(32_000)
    assert path.stat().st_size < 8 * MIB and CHECK.memory < 32_000**2 * 4
    visitor = house.visitor("one")
    bring(visitor, path)
    with flat(64):
        view = last(check(visitor))
    assert view.progress.state == "failed" and "memory" in view.progress.what and "\n" not in view.progress.what


def test_a_child_that_is_killed_is_one_sentence_and_the_next_goes_on(house: House, packed: Path) -> None:
    visitor = house.visitor("one")
    upload = bring(visitor, packed)
    views = check(visitor)
    next(views)
    (process,) = until(lambda: in_folder(upload.folder), "the child")
    os.kill(process, signal.SIGKILL)
    view = last(views)
    assert view.progress.state == "failed" and "found one that ended it (SIGKILL)" in view.progress.what
    assert last(check(visitor)).progress.state == "done"


def test_there_is_nothing_to_check_or_study_without_a_file(house: House) -> None:
    visitor = house.visitor("one")
    assert last(check(visitor)).progress.what == NO_FILE
    with pytest.raises(UsageError, match="has to be checked first"):
        next(study(visitor, "pixels-ridge"))


@pytest.mark.parametrize("out", [b"", b"[]", b"{}", b'{"notes": [], "problems": [], "recipes": [{}]}', b"[" * 5000])
def test_what_a_child_prints_is_not_trusted(out: bytes) -> None:
    with pytest.raises(InputError, match="pack it anew"):
        checked_of(out)


# what a child may take


def within_limits(code: str) -> str:
    """What a child that does this under small limits prints."""
    whole = f"""
        import os, resource, socket
        from app.demo.uploads.limits import Limits, bound, cut_off
        apart = cut_off()
        bound(Limits(memory=2**29, cpu=1, seconds=9, file=1000, files=32))
        try:
            {code}
        except BaseException as error:
            print(type(error).__name__, error)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(whole)], capture_output=True, text=True, check=False
    ).stdout


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("bytearray(2**30)", "MemoryError"), ("open('/dev/null'); [open('/dev/null') for _ in range(40)]", "Too many"),
        ("import tempfile; f = tempfile.TemporaryFile(buffering=0); f.write(bytes(1000)); f.write(b'x')", "too large"),
        ("socket.socket()", "unreachable"), ("socket.getaddrinfo('localhost', 80)", "unreachable"),
        ("resource.setrlimit(resource.RLIMIT_NOFILE, (999, 999))", "not allowed"),
        ("print(resource.getrlimit(resource.RLIMIT_CORE))", "(0, 0)"),
    ],
)  # fmt: skip
def test_a_child_gets_no_more_than_its_limits(code: str, says: str) -> None:
    assert says in within_limits(code)


def test_a_child_that_never_ends_is_ended_by_its_processor_time() -> None:
    began = time.monotonic()
    within_limits("exec('while True: pass')")
    assert time.monotonic() - began < 60


def test_where_the_kernel_lets_it_a_child_has_no_network_at_all() -> None:
    """Not even its own machine, and not even for C, which Python's audit hooks do not see."""
    listed = within_limits("print(apart, open('/proc/net/dev').read().count(':'))").split()
    assert listed[0] == "False" or listed == ["True", "1"]  # lo alone, which is down


def test_a_child_knows_nothing_of_the_server_s_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.demo.uploads.limits import environment

    monkeypatch.setenv("A_SECRET", "x")
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "evil.py"))
    found = environment(tmp_path)
    assert not {"A_SECRET", "PYTHONSTARTUP"} & set(found) and found["HOME"] == found["TMPDIR"] == str(tmp_path)
    assert CHECK.memory < STUDY.memory and CHECK.seconds < STUDY.seconds


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(StorageError, match="work of at most 0.01 s"), Child(["check"], folder=tmp_path) as child:
        list(child.lines(0.01))
    assert not in_folder(tmp_path)


def test_a_child_that_lives_on_without_its_pipes_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MODULE", "timeit")
    words = ["-n1", "-r1", "import os, time; os.close(1); os.close(2); time.sleep(60)"]
    seen, began = list[str](), time.monotonic()
    with pytest.raises(StorageError, match="work of at most 1 s"), Child(words, folder=tmp_path) as child:
        seen.extend(iter(child.lines(1.0)))
    assert time.monotonic() - began < 30 and not in_folder(tmp_path)


# one real study


@pytest.fixture(scope="module")
def studied(packed: Path) -> Iterator[tuple[House, int, list[UploadView]]]:
    """A demo in which the visitor "one" has studied their data, and what they saw of it."""
    with served([], max_upload=LIMIT) as (house, port):
        visitor = house.visitor("one")
        assert sent(port, visitor.upload.token, packed.read_bytes())[0] == 200
        assert last(check(visitor)).progress.state == "done"
        yield house, port, list(study(visitor, "pixels-ridge"))


def test_a_study_says_how_far_it_is_and_ends_in_a_run_of_its_visitor_alone(
    studied: tuple[House, int, list[UploadView]],
) -> None:
    house, _, views = studied
    seen = {view.progress.what.partition(":")[0] for view in views}
    assert {"stage 1 of 3, fit", "stage 2 of 3, decode", "stage 3 of 3, evaluate"} & seen
    run = views[-1].run
    assert views[-1].progress.state == "done" and run is not None and len(run.stimuli) == 6
    assert run is house.visitor("one").upload.run and house.runs == {} and house.visitor("two").upload.run is None


def test_a_run_is_fetched_by_its_owner_alone_and_holds_no_data(
    studied: tuple[House, int, list[UploadView]], packed: Path
) -> None:
    house, port, _ = studied
    upload = house.visitor("one").upload
    assert asked(port, DOWNLOAD)[0] == 403
    status, _, says = asked(port, DOWNLOAD, x_afterimage_token=house.visitor("two").upload.token)
    assert status == 409 and b"no finished run" in says
    status, kind, data = asked(port, DOWNLOAD, x_afterimage_token=upload.token, accept_encoding="br, gzip")
    assert status == 200 and kind == "application/zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        assert archive.testzip() is None and "report/report.html" in names and "settings.json" in names
        assert not [name for name in names if name.startswith(("/", ".", "in/")) or ".." in name or "data.h5" in name]
        settings = json.loads(archive.read("settings.json"))
        assert {one.filename: one.compress_type for one in archive.infolist()}["settings.json"] == zipfile.ZIP_DEFLATED
    assert not os.path.isabs(settings["data"]) and packed.read_bytes()[:4096] not in data
    assert sorted(one.name for one in upload.folder.iterdir()) == ["in", "run"]  # nothing is left of the archive


def test_who_stands_still_gets_no_more_of_a_run(
    studied: tuple[House, int, list[UploadView]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "IDLE", 0.2)
    upload, parts = studied[0].visitor("one").upload, list[bytes]()

    async def stalled(message: Any) -> None:
        if body := message.get("body"):
            parts.append(body)
            await asyncio.sleep(60)

    async def nobody(*_: Any) -> None:
        raise AssertionError("handed on")

    ours = Routes(nobody, house=studied[0])
    asyncio.run(ours._send_run(upload, stalled))
    held = [os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    assert len(parts) == 1 and not [one for one in held if str(studied[0].folder) in one and "deleted" in one]
    monkeypatch.setattr(routes, "AT_ONCE", 0)
    with pytest.raises(StorageError, match="runs are being sent already"):
        asyncio.run(ours._send_run(upload, stalled))


def test_an_archive_follows_no_link_and_holds_nothing_hidden(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("{}")
    (tmp_path / ".lock").touch()
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    (tmp_path / "etc").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    assert members(tmp_path) == [tmp_path / "kept.json"]


@pytest.mark.parametrize("how", ["stop", "leave"])
def test_a_study_that_is_stopped_or_left_ends_within_two_seconds_and_leaves_nothing(
    packed: Path, how: str
) -> None:
    house = House({})
    visitor = house.visitor("one")
    upload = bring(visitor, packed)
    assert last(check(visitor)).checked is not None
    views: list[UploadView] = []
    thread = threading.Thread(target=lambda: views.extend(study(visitor, "pixels-ridge")))
    thread.start()
    until(lambda: upload.place.exists() and in_folder(upload.folder), "a run that has begun")
    began = time.monotonic()
    if how == "stop":
        visitor.stop("upload")
    else:
        house.leave("one")
    until(lambda: not in_folder(upload.folder), "the end", seconds=2)
    thread.join(10)
    assert time.monotonic() - began < 4 and views[-1].progress.state == "stopped" and upload.run is None
    assert not upload.place.exists() and upload.folder.exists() == (how == "stop")
    if how == "stop":  # nothing is half open: it can be begun anew
        upload.open_inbox()
        with upload.alone():
            assert upload.has_file
    house.close()
    assert not upload.folder.exists()


def test_one_visitor_s_child_waits_for_another_s_and_a_closing_server_ends_both(packed: Path) -> None:
    house = House({})
    visitors = [house.visitor(name) for name in ("one", "two")]
    uploads = [bring(one, packed) for one in visitors]
    seen: dict[int, list[UploadView]] = {0: [], 1: []}
    threads = [threading.Thread(target=lambda at=at: seen[at].extend(check(visitors[at]))) for at in (0, 1)]
    threads[0].start()
    until(lambda: in_folder(uploads[0].folder), "the first child")
    threads[1].start()
    while in_folder(uploads[0].folder):
        assert not in_folder(uploads[1].folder)
        time.sleep(0.05)
    until(lambda: in_folder(uploads[1].folder), "the second child")
    house.close()
    for thread in threads:
        thread.join(10)
    assert not in_folder(uploads[1].folder) and not house.folder.exists()
    assert seen[0][-1].progress.state == "done" and seen[1][-1].progress.state == "stopped"


def test_a_child_ends_with_a_server_that_is_killed(tmp_path: Path, packed: Path) -> None:
    """Its end of stdin closes, however the parent went."""
    (tmp_path / "in").mkdir()
    shutil.copy(packed, tmp_path / "in" / "data.h5")
    code = f"""
        import time
        from pathlib import Path
        from app.demo.uploads.processes import Child
        with Child(["study", "pixels-ridge"], folder=Path({str(tmp_path)!r})):
            time.sleep(60)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    until(lambda: (tmp_path / "run").exists(), "a run that has begun")
    assert in_folder(tmp_path)
    parent.kill()
    parent.wait()
    until(lambda: not in_folder(tmp_path), "the end", seconds=5)
