"""The demo's server: who may ask for what. Only its pages are answered, to nobody but this machine unless told so."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from app.demo.guard import HEADERS, LARGEST, Guard, allowed, plain
from app.demo.runs import find_runs, open_found
from app.demo.serve import How, check, read_auth
from app.demo.session import PREFIX, House
from app.demo.views import judge_view
from brain.errors import InputError, UsageError
from tests.served import LEFT_OPEN, served
from tests.test_decode_study import words

pytestmark = LEFT_OPEN
OPEN = ("/", "/config", "/theme.css", "/assets/index-1.js", "/static/fonts/a.woff2", "/gradio_api/heartbeat/abc",
        "/gradio_api/queue/data")  # fmt: skip
SHUT = (
    "/gradio_api/file=/etc/passwd", "/gradio_api/file=http://169.254.169.254/latest", "/file=/etc/passwd",
    "/gradio_api/upload", "/gradio_api/upload_progress", "/gradio_api/proxy=http://a.org", "/gradio_api/deep_link",
    "/gradio_api/stream/a/b/c", "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/component_server",
    "/gradio_api/vibe-code", "/gradio_api/process_recording", "/monitoring", "/monitoring/summary", "/docs",
    "/gradio_api/runs", "/assets/../gradio_api/file=/etc/passwd", "/static//etc/passwd", "/assets/..\\..\\secret",
    "/gradio_api/call/anything", "/gradio_api/mcp/sse", "/custom_component/x/y/z", "/svelte/svelte.js",
)  # fmt: skip


@pytest.mark.parametrize("path", OPEN)
def test_what_pages_ask_for_is_answered(path: str) -> None:
    assert allowed("GET", path) and not allowed("PUT", path) and not allowed("DELETE", path)


@pytest.mark.parametrize("path", SHUT)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT"])
def test_everything_else_is_not(path: str, method: str) -> None:
    assert not allowed(method, path)


def answered(guard: Guard, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> int:
    """The status that the guard, or what stands behind it, answers with."""
    sent: list[dict[str, Any]] = []
    pairs = [(name.encode(), value.encode()) for name, value in {"host": "localhost:7860", **(headers or {})}.items()]

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    asyncio.run(guard({"type": "http", "method": method, "path": path, "headers": pairs}, receive, send))
    return int(sent[0]["status"])


async def behind(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"behind"})


@pytest.mark.parametrize("prefix", ["", "/user/me/proxy/7860"])
def test_a_proxy_s_prefix_is_taken_off_whether_it_is_sent_or_not(prefix: str) -> None:
    guard = Guard(behind, root_path="/user/me/proxy/7860", hosts=())
    assert answered(guard, f"{prefix}/") == 200 and answered(guard, f"{prefix}/config") == 200
    assert answered(guard, f"{prefix}/gradio_api/file=/etc/passwd") == 404
    assert answered(guard, "/user/me/proxy/78600/config") == 404


@pytest.mark.parametrize(
    "host",
    [
        "LOCALHOST:7860",
        "localhost.:1",
        "localhost:7860",
        "127.0.0.1:7860",
        "localhost",
        "127.0.0.1",
        "[::1]:7860",
        "[::1]",
    ],
)
def test_this_machine_is_called_by_its_own_names(host: str) -> None:
    assert answered(Guard(behind), "/", headers={"host": host}) == 200


@pytest.mark.parametrize("host", ["evil.example:7860", "evil.example", "127.0.0.1.evil.example", "", "localhost.evil"])
def test_a_page_that_has_its_name_point_here_is_refused(host: str) -> None:
    assert answered(Guard(behind), "/", headers={"host": host}) == 421


@pytest.mark.parametrize("length", ["", "x", "-1", str(LARGEST + 1), "9" * 30])
def test_no_request_is_larger_than_a_page_makes(length: str) -> None:
    guard = Guard(behind)
    assert answered(guard, "/gradio_api/queue/join", method="POST", headers={"content-length": length}) == 413
    assert answered(guard, "/gradio_api/queue/join", method="POST", headers={"content-length": "500"}) == 422
    assert answered(guard, "/login", method="POST", headers={"content-length": "500"}) == 200


@pytest.mark.parametrize(
    "data",
    [
        [{"path": "http://a.org/x", "meta": {"_type": "gradio.FileData"}}], [{"url": "http://a.org"}],
        [["a", {"path": "b"}]], [[["a"]]], [[1, 2]],
        ["first", {"path": "/etc/passwd"}], {"path": "x"}, "first", [float("nan")], [float("inf")], [10**30],
    ],
    ids=str,
)  # fmt: skip
def test_an_event_carries_numbers_and_names_alone(data: Any) -> None:
    """gradio would fetch a path that an object names, whatever the component, before anybody has looked at it."""
    event = {"data": data, "fn_index": 6, "session_hash": "abc", "event_data": None}
    assert not plain(json.dumps(event).encode())
    assert plain(json.dumps({**event, "data": ["first", 0.5, 3, True, None]}).encode())
    assert not plain(json.dumps({**event, "data": [], "event_data": {"value": {"path": "x"}}}).encode())
    assert not plain(json.dumps({**event, "data": [], "session_hash": {"path": "x"}}).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 5000, b'{"data": [1e400]}x'])
def test_what_is_no_event_is_refused(body: bytes) -> None:
    assert not plain(body)


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:7860", 200), ("http://localhost:1", 403), ("http://evil.example", 403), ("null", 403)],
)
def test_only_its_own_pages_may_ask_it(origin: str, status: int) -> None:
    assert answered(Guard(behind), "/config", headers={"origin": origin}) == status


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_another_host_needs_a_password(host: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected --auth FILE"):
        check(How(host=host))
    auth = tmp_path / "auth"
    auth.write_text("me:a word\n")
    auth.chmod(0o600)
    assert check(How(host=host, auth=auth)) == [("me", "a word")] and check(How()) == []
    assert main(["app", "--host", host, "--no-browser"]) == 2
    assert "--auth FILE" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "\n\n", "nobody\n", ":word\n", "me:\n", "me:word\nnobody\n"])
def test_a_file_of_passwords_holds_nothing_else(text: str, tmp_path: Path) -> None:
    path = tmp_path / "auth"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match="NAME:PASSWORD"):
        read_auth(path)


def test_a_file_of_passwords_is_read_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "auth"
    path.write_text("me:word\n")
    path.chmod(0o644)
    with pytest.raises(InputError, match="only you can read"):
        read_auth(path)
    with pytest.raises(InputError, match="no file"):
        read_auth(tmp_path / "none")


@pytest.mark.parametrize(
    ("how", "says"), [(How(port=70000), "--port"), (How(root_path="user"), "--root-path")], ids=str
)
def test_flags_that_mean_nothing_are_refused(how: How, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check(how)


@pytest.fixture(scope="module")
def run(planted: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "first"
    assert main(words(planted, out, tiny_stack)) == 0
    return out


@pytest.fixture(scope="module")
def place(run: Path) -> Iterator[tuple[str, int]]:
    """Host and port of a demo that serves."""
    with served([run]) as (_, port):
        yield "127.0.0.1", port


def asked(
    place: tuple[str, int], path: str, *, method: str = "GET", body: str = "", **headers: str
) -> tuple[int, Any, str]:
    connection = http.client.HTTPConnection(*place, timeout=30)
    connection.request(method, path, body=body or None, headers=headers)
    found = connection.getresponse()
    text = found.read().decode("utf-8", "replace")
    connection.close()
    return found.status, found.headers, text


def test_the_page_comes_with_what_it_may_do_and_names_nobody_else(place: tuple[str, int]) -> None:
    status, headers, text = asked(place, "/")
    assert status == 200 and all(headers[name] == value for name, value in HEADERS.items())
    config = json.loads(asked(place, "/config")[2])
    assert config["analytics_enabled"] is False and not config.get("mcp_server") and "s28" in json.dumps(config)
    assert "Public demo" not in json.dumps(config)


def test_no_file_leaves_by_any_door(place: tuple[str, int], run: Path) -> None:
    """Neither the system's, nor the run's, nor what was drawn, nor another machine's through this one."""
    for path in (
        "/etc/passwd", run / "card.json", run / "samples/references/s28.png", "http://127.0.0.1:1/x",
        "https://example.org/x", Path(__file__),
    ):  # fmt: skip
        for door in ("/gradio_api/file=", "/file=", "/gradio_api/proxy=", "/gradio_api/file/", "/gradio_api%2Ffile="):
            assert asked(place, f"{door}{path}")[0] == 404
    sent = asked(
        place, "/gradio_api/upload", method="POST", body="x", **{"content-type": "multipart/form-data; boundary=x"}
    )
    assert sent[0] == 404


def test_gradio_would_have_fetched_it_so_that_the_guard_is_what_stands_before() -> None:
    """The route that is refused is really there in this version of gradio: a renamed one would pass the list unseen."""
    import gradio.routes

    assert "/file={path_or_url:path}" in Path(gradio.routes.__file__).read_text(encoding="utf-8")


def test_a_door_with_a_password_shows_nothing_before_it(run: Path, tmp_path: Path) -> None:
    auth = tmp_path / "auth"
    auth.write_text("me:word\n")
    auth.chmod(0o600)
    with served([run], How(port=0, auth=auth)) as (_, port):
        place = "127.0.0.1", port
        assert asked(place, "/config")[0] == 401
        assert asked(place, "/gradio_api/queue/join", method="POST", body="{}", **{"content-length": "2"})[0] == 401
        assert "s28" not in asked(place, "/")[2]
        form = {"content-type": "application/x-www-form-urlencoded"}
        assert asked(place, "/login", method="POST", body="username=me&password=wrong", **form)[0] == 400
        status, headers, _ = asked(place, "/login", method="POST", body="username=me&password=word", **form)
        cookie = headers["set-cookie"].partition(";")[0]
        assert status == 200 and "s28" in asked(place, "/config", cookie=cookie)[2]


def test_a_taken_port_is_one_sentence(place: tuple[str, int], run: Path) -> None:
    with pytest.raises(UsageError, match=r"--port \d+: cannot be listened at"), served([run], How(port=place[1])):
        pass


def test_the_command_serves_until_it_is_told_to_end_and_leaves_no_folder(run: Path, tmp_path: Path) -> None:
    """As a process of its own: SIGTERM ends it with 143, and what it had made is gone."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    started = [sys.executable, "-m", "app.cli", "app", str(run), "--port", "0", "--no-browser"]
    process = subprocess.Popen(started, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "first at http://127.0.0.1:" in line and list(tmp_path.iterdir())
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert "numpy" in loaded and "libtorch" not in loaded  # the first page does not wait for what draws
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 143 and "Traceback" not in err
    deadline = time.monotonic() + 5
    while list(tmp_path.glob("afterimage-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(tmp_path.glob("afterimage-*"))


def test_what_a_killed_demo_left_is_swept_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, foreign = tmp_path / f"{PREFIX}dead", tmp_path / f"{PREFIX}foreign"
    for folder in (dead, foreign):
        folder.mkdir()
        (folder / "picture.png").write_bytes(b"x")
    (dead / ".held").touch()
    first, second = House({}), House({})
    assert not dead.exists() and foreign.exists()  # what has no mark is nobody's of ours
    assert first.folder.exists() and second.folder.exists()
    first.close()
    second.close()
    assert [path.name for path in tmp_path.iterdir()] == [foreign.name]


def test_a_damaged_run_that_nobody_named_is_left_out(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bad", "good"):
        shutil.copytree(run, tmp_path / "runs" / name)
    index = tmp_path / "runs" / "bad" / "samples" / "index.jsonl"
    index.write_text("{\n" + index.read_text())
    (tmp_path / "runs" / "good" / "report" / "report.json").write_text("{")
    found = open_found(find_runs(tmp_path / "runs"))
    assert list(found) == ["good"] and "left out" in capsys.readouterr().out
    assert "report.json" in judge_view(found["good"]).note and not judge_view(found["good"]).panels


def test_without_a_run_it_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["app", "--no-browser"]) == 2
    assert "expected a finished run, found none in runs/" in capsys.readouterr().err
    assert main(["app", "nowhere", "--no-browser"]) == 3
    assert "expected a run" in capsys.readouterr().err
