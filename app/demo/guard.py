"""Which requests are answered at all: what the pages of the demo ask for, and nothing else that gradio would serve.

Gradio fetches `/gradio_api/file=http...` for anybody and hands out whatever lies in its cache, whatever its
`allowed_paths` say. The demo's pictures stand in its pages, so that no file has to be served: a list of what is allowed
stands before every route.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PAGES = ("/", "/config", "/theme.css", "/manifest.json", "/favicon.ico", "/robots.txt", "/logout", "/login_check")
FOLDERS = ("/assets/", "/static/", "/gradio_api/heartbeat/")
STREAMS = ("/gradio_api/queue/data", "/gradio_api/startup-events", "/gradio_api/login_check", "/gradio_api/app_id")
POSTED = ("/login", "/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset", "/gradio_api/run/predict")
EVENTS = ("/queue/join", "/run/predict")
UPLOAD, DOWNLOAD, TOKEN = "/afterimage/upload", "/afterimage/run.zip", "x-afterimage-token"
"""What `app.demo.uploads` answers, and the header in which a page sends its secret; neither is gradio's."""
LARGEST = 64 * 1024
"""Bytes of a request: values of sliders and lists."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
HEADERS = {
    "content-security-policy": (
        "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; connect-src 'self' data:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""Sent with every answer: a page may ask nobody but this server for anything."""


def allowed(method: str, path: str, *, uploads: bool = False) -> bool:
    """Whether a page of the demo asks for this path, without the proxy's prefix, by this method."""
    if ".." in path or "\\" in path or "//" in path or "\0" in path:
        return False
    if uploads and (method, path) in (("POST", UPLOAD), ("GET", DOWNLOAD)):
        return True
    if method == "POST":
        return path in POSTED
    return method in ("GET", "HEAD") and (path in (*PAGES, *STREAMS) or path.startswith(FOLDERS))


class Guard:
    """ASGI middleware: answers 404 to every request that is not allowed, and names in `HEADERS` what a page may do.

    hosts  the names by which this server may be called, against pages that make a browser call it by another; empty
           where a proxy or a public address stands before it
    uploads  whether data of one's own may be sent, to routes that have bounds of their own
    """

    def __init__(
        self, app: App, *, root_path: str = "", hosts: tuple[str, ...] = LOOPBACK, uploads: bool = False
    ) -> None:
        self.app, self.root_path, self.hosts, self.uploads = app, root_path.rstrip("/"), hosts, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refused = self._refused(scope)
        if not refused and scope["method"] == "POST" and scope["path"].endswith(EVENTS):
            body = await _read(receive)
            receive = _again(body)
            if not plain(body):
                refused = 422, "a page of afterimage sends numbers, names and nothing else"
        if refused:
            await answer(send, *refused)
            return

        async def armed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self.app(scope, receive, armed)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        path = path_of(scope, self.root_path)
        if not allowed(scope["method"], path, uploads=self.uploads):
            return 404, "afterimage serves its pages and no files"
        if self.hosts and _name(header(scope, "host")) not in self.hosts:
            return 421, "this address is not one that afterimage was started for"
        origin = header(scope, "origin")
        if self.hosts and origin and origin.partition("://")[2] != header(scope, "host"):
            return 403, "only pages of this server may ask it for anything"
        if scope["method"] == "POST" and path != UPLOAD:
            length = header(scope, "content-length")
            if not length.isdigit() or int(length) > LARGEST:
                return 413, "this request is larger than any that a page of afterimage makes"
        return None


def path_of(scope: Scope, root_path: str) -> str:
    """The path that was asked for, without the prefix of a proxy."""
    path = str(scope["path"])
    return path[len(root_path) :] if root_path and path.startswith(f"{root_path}/") else path


def header(scope: Scope, name: str) -> str:
    """The last header of that name, "" where there is none."""
    found = [value.decode("latin-1") for key, value in scope["headers"] if key.decode("latin-1").lower() == name]
    return found[-1] if found else ""


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    name = host if host.startswith("[") and host.endswith("]") else host.rpartition(":")[0] or host
    return name.lower().rstrip(".")


def plain(body: bytes) -> bool:
    """Whether an event carries numbers, names, yes or no alone, and lists of names: gradio would fetch what an object's
    path names."""
    try:
        event = json.loads(body, parse_constant=_refuse, parse_int=_short)
    except (ValueError, RecursionError):
        return False
    if not isinstance(event, dict) or not isinstance(event.get("data", []), list):
        return False
    values = [*event.get("data", []), *(value for name, value in event.items() if name not in ("data", "event_data"))]
    noted = event.get("event_data")
    if isinstance(noted, dict):
        values += list(noted.values())
    elif noted is not None:
        return False
    return all(value is None or isinstance(value, str | int | float) or _names(value) for value in values)


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _short(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("no page sends so long a number")
    return int(digits)


async def _read(receive: Receive) -> bytes:
    """The whole body, whose length has been looked at, at most `LARGEST` and one more of it."""
    body, more = b"", True
    while more and len(body) <= LARGEST:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return body


def _again(body: bytes) -> Receive:
    """A `receive` that hands out a body that was read already, and then waits as a connection does."""
    sent = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def answer(send: Send, status: int, text: str) -> None:
    """A sentence as plain text."""
    body = f"{text}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
