"""Starts the demo's server: loopback by default, one page, no files, nothing that reports to anybody.

with serving(house, How(port=0)) as url: ...
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.demo.guard import LOOPBACK, Guard
from app.demo.interface import build, scripts
from app.demo.pages import text_of
from app.demo.public import HUB, Framed, check_shown
from app.demo.session import House
from app.demo.uploads.routes import Routes
from brain.errors import InputError, UsageError, expected
from brain.files.paths import read_text

OFF = {
    "GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_SHARE": "False", "GRADIO_MCP_SERVER": "False",
    "GRADIO_RUN_HISTORY": "False", "GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000",
    "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
}  # fmt: skip
"""What would reach out, or keep what was drawn, is off before gradio is imported."""
QUEUED = 32
"""Requests that may wait; drawings among them wait in the session, which says so."""


@dataclass(frozen=True, kw_only=True)
class How:
    """How to serve: see `afterimage app --help`."""

    host: str = "127.0.0.1"
    port: int = 7860
    root_path: str = ""
    browser: bool = False
    auth: Path | None = None
    public: bool = False


def check(how: How) -> list[tuple[str, str]]:
    """The names and passwords that are asked for, [] where nobody is; an open door to others is a UsageError."""
    if how.auth is None and how.host not in LOOPBACK and not how.public:
        raise UsageError(
            f"--host {how.host}: expected --auth FILE with it, for others could reach this demo, found none; "
            "name a file with one NAME:PASSWORD a line, or leave --host out; --public is for simulated runs"
        )
    if how.auth is not None and how.public:
        raise UsageError("--public: expected no password, for everybody may look, found --auth; leave one of them out")
    if not 0 <= how.port <= 65535:
        raise UsageError(f"--port: expected 0 to 65535, found {how.port}")
    if how.root_path and (not how.root_path.startswith("/") or "//" in how.root_path):
        raise UsageError(f"--root-path: expected a path such as /user/me/proxy/7860, found {how.root_path!r}")
    return [] if how.auth is None else read_auth(how.auth)


def read_auth(path: Path) -> list[tuple[str, str]]:
    """NAME:PASSWORD lines; a file that others can read, or that holds something else, is an InputError."""
    want = "lines of NAME:PASSWORD"
    try:
        if not path.is_file():
            raise InputError(expected(path, want, "no file", "name another"))
        others = path.stat().st_mode & 0o077
        lines = read_text(path, what=want, then="name another").splitlines()
    except OSError as error:
        raise InputError(expected(path, want, "a file that cannot be read", "name another")) from error
    if others:
        raise InputError(expected(path, "a file that only you can read", "one that others can", f"chmod 600 {path}"))
    pairs = [(name, word) for name, colon, word in (line.partition(":") for line in lines) if name and word]
    if not pairs or len(pairs) != sum(bool(line.strip()) for line in lines):
        raise InputError(expected(path, want, "other lines", "write one NAME:PASSWORD a line"))
    return pairs


@contextlib.contextmanager
def serving(house: House, how: How) -> Iterator[str]:
    """The demo at an address, until the block ends.

    A port that is taken, a run that may not be shown to those who can look, and a public house that takes uploads are
    a UsageError.
    """
    auth = check(how)
    check_shown(house.runs, public=how.public, others=others_can_look(how, names=len(auth)))
    if how.public and house.uploads:
        then = "make it by House(runs, uploads=False)"
        raise UsageError(expected("--public", "a house without uploads", "one that takes them", then))
    cache = house.folder / "cache"
    cache.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as stack:
        for name in [one for one in os.environ if one.startswith("GRADIO_")]:
            del os.environ[name]  # what a shell says of other programs' servers is not meant for this one
        os.environ |= {**OFF, "GRADIO_TEMP_DIR": str(cache)}
        os.environ.pop("SYSTEM", None)  # by which gradio knows a Space, and would watch files to load them again
        from starlette.middleware import Middleware

        blocks = build(house, public=how.public)
        blocks.queue(max_size=QUEUED, api_open=False)
        before = [Middleware(Framed, by=HUB)] if how.public and "SPACE_ID" in os.environ else []
        middleware = [*before, Middleware(Guard, root_path=how.root_path, hosts=_hosts(how), uploads=house.uploads)]
        if house.uploads:
            middleware.append(Middleware(Routes, house=house, root_path=how.root_path))
        port = free_port(how.host, how.port)
        try:
            _, url, _ = blocks.launch(
                server_name=how.host, server_port=port, root_path=how.root_path or None,
                auth=auth or None, inbrowser=how.browser, share=False, prevent_thread_lock=True, quiet=True,
                show_error=False, allowed_paths=[], footer_links=[], enable_monitoring=False, mcp_server=False,
                run_history=False, pwa=False, ssr_mode=False, max_file_size=1, css=text_of("demo.css"),
                js=scripts(house), app_kwargs={"middleware": middleware},
            )  # fmt: skip
        except OSError as error:
            raise _no_port(how.host, port, str(error)) from error
        stack.callback(blocks.close, verbose=False)
        yield str(url)


def others_can_look(how: How, *, names: int) -> bool:
    """Whether somebody else than who starts it may see the demo, where so many names have a password.

    A prefix alone does not say so: JupyterHub's proxy lets nobody but its user through.
    """
    return how.public or how.host not in LOOPBACK or names > 1


def free_port(host: str, port: int) -> int:
    """The port if it can be listened at, any free one for 0; one that cannot be had is a UsageError."""
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            return int(trial.getsockname()[1])
    except OSError as error:
        raise _no_port(host, port, error.strerror or str(error)) from error


def _no_port(host: str, port: int, why: str) -> UsageError:
    return UsageError(f"--host {host} --port {port}: cannot be listened at ({why}); name another port or host")


def _hosts(how: How) -> tuple[str, ...]:
    """By which names this server may be called: its own, unless a proxy or a public address stands before it."""
    return () if how.root_path or how.host not in LOOPBACK else LOOPBACK
