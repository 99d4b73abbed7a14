"""Which requests are answered at all: what the pages of the demo ask for, and nothing else that gradio would serve.

Gradio fetches `/gradio_api/file=http...` for anybody and hands out whatever lies in its cache, whatever its
`allowed_paths` say. The demo's pictures stand in its pages, so that no file has to be served: a list of what is allowed
stands before every route.
"""

from __future__ import annotations

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


def allowed(method: str, path: str) -> bool:
    """Whether a page of the demo asks for this path, without the proxy's prefix, by this method."""
    if ".." in path or "\\" in path or "//" in path or "\0" in path:
        return False
    if method == "POST":
        return path in POSTED
    return method in ("GET", "HEAD") and (path in (*PAGES, *STREAMS) or path.startswith(FOLDERS))


class Guard:
    """ASGI middleware: answers 404 to every request that is not allowed, and names in `HEADERS` what a page may do.

    hosts  the names by which this server may be called, against pages that make a browser call it by another; empty
           where a proxy or a public address stands before it
    """

    def __init__(self, app: App, *, root_path: str = "", hosts: tuple[str, ...] = LOOPBACK) -> None:
        self.app, self.root_path, self.hosts = app, root_path.rstrip("/"), hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refused = self._refused(scope)
        if refused:
            await _answer(send, *refused)
            return

        async def armed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self.app(scope, receive, armed)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        path = scope["path"]
        if self.root_path and path.startswith(f"{self.root_path}/"):
            path = path[len(self.root_path) :]
        if not allowed(scope["method"], path):
            return 404, "afterimage serves its pages and no files"
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if self.hosts and _name(headers.get("host", "")) not in self.hosts:
            return 421, "this address is not one that afterimage was started for"
        if scope["method"] == "POST":
            length = headers.get("content-length", "")
            if not length.isdigit() or int(length) > LARGEST:
                return 413, "this request is larger than any that a page of afterimage makes"
        return None


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    return host if host.startswith("[") and host.endswith("]") else host.rpartition(":")[0] or host


async def _answer(send: Send, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
