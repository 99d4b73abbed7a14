"""The public demo: what a Space is given and starts, and which runs are shown to whom."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from app.cli import main
from app.commands import simulate, study
from app.demo.guard import HEADERS, Guard
from app.demo.pages import page
from app.demo.public import HUB, Framed, check_shown, notice
from app.demo.runs import Run, open_runs
from app.demo.serve import How, check, others_can_look, serving
from app.demo.session import House
from app.space import app as space_app
from brain.console import flags
from brain.errors import UsageError
from brain.readers import CATALOGUE
from brain.writing.origin import sign
from tests.conftest import plant
from tests.served import LEFT_OPEN
from tests.test_decode_study import words
from tests.test_demo_server import asked, behind
from tests.test_docs_commands import ReadSoFar
from tests.wheel import built, lent, requirements

pytestmark = LEFT_OPEN
FILES = ("app.py", "README.md", "requirements.txt")
PATIENCE = 150.0
"""Seconds to the first line: eight on a machine that does nothing else."""
SHUT = ("/gradio_api/upload", "/upload", "/afterimage/upload", "/afterimage/run.zip", "/gradio_api/file=/etc/passwd")


@pytest.fixture(scope="module")
def space(checkout: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as `make space` puts it together, with a run and its data in `runs`."""
    home = tmp_path_factory.mktemp("space")
    for name in FILES:
        shutil.copy(checkout / "app" / "space" / name, home / name)
    shutil.move(built(checkout, tmp_path_factory.mktemp("wheel")), home)
    (home / "runs/data").mkdir(parents=True)
    data = plant(home / "runs/data/planted.h5")
    sign(data.parent, {"by": "tests.conftest"})
    assert main(words(data, home / "runs/first", tiny_stack, "--rows", "decoded", "shuffled")) == 0
    return home


@pytest.fixture(scope="module")
def simulated(space: Path) -> Run:
    """A run that says what simulated its brain."""
    return open_runs([space / "runs/first"])["first"]


def recorded(run: Run, reader: str) -> Run:
    """The same as a run of a recorded brain, read by that reader."""
    return replace(run, simulated="", card={**run.card, "data": {**run.data_facts(), "reader": reader}})


def card_of(space: Path) -> dict[str, str]:
    """The facts above the Space's page."""
    _, facts, _ = (space / "README.md").read_text("utf-8").split("---\n", 2)
    return {name: value.strip(' "') for name, _, value in (line.partition(":") for line in facts.splitlines())}


def test_what_is_installed_is_what_the_wheel_asks_for_at_the_tested_versions(space: Path, checkout: Path) -> None:
    lines = (checkout / "constraints/tested.txt").read_text().splitlines()
    pins = [one for one in (space / "requirements.txt").read_text().splitlines() if one[0] not in "#-"]
    (wheel,) = space.glob("*.whl")
    wanted = [one for one in requirements(wheel) if "extra ==" not in one or re.search("extra == .app.", one)]
    names = [re.split(r"[^A-Za-z0-9_.-]", one)[0].lower().replace("_", "-") for one in wanted]
    assert set(pins) <= set(lines)
    assert sorted(one.partition("==")[0].lower().replace("_", "-") for one in pins) == sorted(names)
    card = card_of(space)
    assert f"gradio=={card['sdk_version']}" in pins and card["sdk"] == "gradio" and card["license"] == "apache-2.0"
    assert (space / card["app_file"]).is_file() and card["python_version"] == "3.11"
    assert "simulated" in card["short_description"].lower() and len(card["short_description"]) <= 60


def test_the_study_that_a_space_makes_is_read_by_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every word of it is a flag's; the two minutes themselves are not spent here."""
    parse = flags.parse

    def read_alone(function: Callable[..., Any], **more: Any) -> Any:
        @functools.wraps(function)
        def begin(*_: Any, **__: Any) -> NoReturn:
            raise ReadSoFar

        return parse(begin, **more)

    monkeypatch.setattr(flags, "parse", read_alone)
    for command, given in ((simulate, space_app.SIMULATE), (study, space_app.STUDY)):
        with pytest.raises(ReadSoFar):
            command.run(given[1:])


def test_python_app_py_starts_the_public_demo_as_a_space_does(space: Path, tmp_path: Path) -> None:
    home = tmp_path / "environment"
    lent(home)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(home), "install", "--no-index", "--dry-run", "--quiet"]
    subprocess.run([*pip, "--requirement", str(space / "requirements.txt")], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "SYSTEM": "spaces", "SPACE_ID": "me/it", "GRADIO_SERVER_NAME": "0.0.0.0",
                   "GRADIO_SERVER_PORT": str(port), "PYTHONPATH": str(space)}  # fmt: skip
    process = subprocess.Popen(
        [python, "app.py"], cwd=space, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert "first at http://" in line_of(process)
        place, through = ("127.0.0.1", port), {"host": "me-it.hf.space", "x-forwarded-proto": "https"}
        status, headers, _ = asked(place, "/", **through)
        config = json.loads(asked(place, "/config", **through)[2])
        assert status == 200 and f"frame-ancestors 'self' {HUB}" in headers["content-security-policy"]
        assert config["root"] == "https://me-it.hf.space" and config["space_id"] is None
        said = json.dumps(config)
        assert "Public demo of simulated brains" in said and "first, 72 trials of 36 stimuli" in said
        for path in SHUT:
            assert {asked(place, path, method=method, body="x")[0] for method in ("GET", "POST")} == {404}
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 143 and "Traceback" not in err


def line_of(process: subprocess.Popen[str]) -> str:
    """The first line that a process prints; one that prints none in `PATIENCE` has failed."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        assert waiting.select(PATIENCE), f"nothing was printed in {PATIENCE} seconds"
    return process.stdout.readline()


@pytest.mark.parametrize("card", ["", None], ids=["recorded", "unsaid"])
def test_a_run_that_is_not_said_to_be_simulated_is_not_public(
    space: Path, card: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(space / "runs/first", tmp_path / "second")
    path = tmp_path / "second/card.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "simulated": card}))
    both = str(space / "runs/first"), str(tmp_path / "second")
    assert main(["app", *both, "--public", "--host", "0.0.0.0", "--no-browser"]) == 2
    err = capsys.readouterr().err
    assert "second: --public: expected a simulated brain" in err and err.count("\n") == 1


def test_stimuli_under_terms_are_shown_to_nobody_else_whatever_password(simulated: Run, tmp_path: Path) -> None:
    house = House({"theirs": recorded(simulated, "nsd")}, uploads=False)
    one, two = password(tmp_path / "one", 1), password(tmp_path / "two", 2)
    try:
        for how in (How(host="0.0.0.0", port=0, auth=one), How(port=0, auth=two), How(host="192.0.2.1", auth=two)):
            with pytest.raises(UsageError, match="NSD's terms may not pass its data on"), serving(house, how):
                pass
    finally:
        house.close()
    for how in (How(), How(auth=one), How(root_path="/user/me/proxy/7860"), How(host="::1")):
        assert not others_can_look(how, names=1)


def password(path: Path, names: int) -> Path:
    path.write_text("".join(f"name{number}:word\n" for number in range(names)))
    path.chmod(0o600)
    return path


def test_what_others_may_be_shown(simulated: Run) -> None:
    for public in (True, False):
        check_shown({"first": simulated}, public=public, others=True)
    own = {"own": recorded(simulated, "arrays")}
    check_shown(own, public=False, others=True)
    with pytest.raises(UsageError, match="own: --public: expected a simulated brain, found a recorded brain"):
        check_shown(own, public=True, others=True)
    under = {reader.name: recorded(simulated, reader.name) for reader in CATALOGUE if reader.terms}
    check_shown(under, public=False, others=False)
    for name, run in {**under, "unknown": recorded(simulated, "")}.items():
        with pytest.raises(UsageError, match=f"{name}: expected stimuli that others may be shown"):
            check_shown({name: run}, public=False, others=True)


def test_a_public_demo_asks_for_no_password_and_takes_nothing_in(simulated: Run, tmp_path: Path) -> None:
    assert check(How(host="0.0.0.0", public=True)) == []
    with pytest.raises(UsageError, match="leave one of them out"):
        check(How(public=True, auth=password(tmp_path / "auth", 1)))
    house = House({"first": simulated})
    try:
        with pytest.raises(UsageError, match="without uploads"), serving(house, How(port=0, public=True)):
            pass
    finally:
        house.close()


def test_what_a_public_demo_says_of_itself_is_escaped(simulated: Run) -> None:
    hostile = replace(simulated, card={"data": {"trials": "<b>", "stimuli": 3}})
    said = page("public", lines=notice({"<i>": hostile}))
    assert "&lt;i&gt;, &lt;b&gt; trials of 3 stimuli" in said and "simulated" in said
    assert len(notice({"bare": replace(simulated, card={})})) == 1


@pytest.mark.parametrize("by", ["", HUB])
def test_the_guard_lets_nobody_frame_it_and_one_site_may_be_added(by: str) -> None:
    guard = Guard(behind)
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    asyncio.run((Framed(guard, by=by) if by else guard)(scope, receive, send))
    policy = dict(sent[0]["headers"])[b"content-security-policy"].decode()
    assert policy == HEADERS["content-security-policy"] + (f" {by}" if by else "")
    assert sent[1]["body"] == b"behind"
