"""The two requests of the tab "Your data": a file in, a run out. There is none that gives a file back.

Behind the guard and before gradio's routes. Whoever asks has to be logged in where there are passwords, and to send the
secret of their own page in a header; a path or a name opens nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from app.demo.guard import DOWNLOAD, TOKEN, UPLOAD, App, Receive, Scope, Send, answer, header, path_of
from app.demo.uploads import receive as receiving
from app.demo.uploads.archive import open_archive
from app.demo.uploads.receive import MIB, BrokenOff, TooLarge, receive_file
from app.demo.uploads.upload import Upload
from brain.errors import AfterimageError, InputError, StorageError, UsageError

if TYPE_CHECKING:
    from app.demo.session import House

AT_ONCE = 4
"""Files that are received at a time, and runs that are sent, over all visitors."""
STATUS = {TooLarge: 413, BrokenOff: 400, InputError: 415, UsageError: 409, StorageError: 507}
UNKNOWN = "this page is not known to the server, or not any more; load it again"


class Routes:
    """ASGI middleware: answers UPLOAD and DOWNLOAD, and hands everything else on."""

    def __init__(self, app: App, *, house: House, root_path: str = "") -> None:
        self.app, self.house, self.root_path = app, house, root_path.rstrip("/")
        self._receiving = self._sending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = path_of(scope, self.root_path) if scope["type"] == "http" else ""
        if path not in (UPLOAD, DOWNLOAD):
            await self.app(scope, receive, send)
            return
        if header(scope, "sec-fetch-site") not in ("", "same-origin") or not await self._logged_in(scope):
            await answer(send, 401, "log in first, and ask from a page of this server")
            return
        upload = self.house.upload_of(header(scope, TOKEN))
        if upload is None:
            await answer(send, 403, UNKNOWN)
            return
        try:
            if path == UPLOAD:
                await self._receive(upload, scope, receive, send)
            else:
                await self._send_run(upload, send)
        except AfterimageError as error:
            await answer(send, next(code for kind, code in STATUS.items() if isinstance(error, kind)), str(error))

    async def _receive(self, upload: Upload, scope: Scope, receive: Receive, send: Send) -> None:
        length = header(scope, "content-length")
        if self._receiving >= AT_ONCE:
            raise StorageError(f"{AT_ONCE} files are being received already; try again in a minute")
        with upload.alone():
            self._receiving += 1
            try:
                limit = self.house.max_upload * MIB
                declared = int(length) if length.isdigit() else None
                path = await receive_file(
                    receive, upload.open_inbox(), limit=limit, declared=declared, gone=lambda: upload.gone
                )
                upload.received()
                size = path.stat().st_size
            finally:
                self._receiving -= 1
                upload.tidy()
        await answer(send, 200, f"{size} bytes")

    async def _send_run(self, upload: Upload, send: Send) -> None:
        """The run as a zip file, to its owner; whoever stands still for `IDLE` seconds, or has left, gets no more."""
        if upload.run is None:
            raise UsageError("there is no finished run of your data; study them first")
        if self._sending >= AT_ONCE:
            raise StorageError(f"{AT_ONCE} runs are being sent already; try again in a minute")
        self._sending += 1
        try:
            with upload.alone():
                packing = open_archive(upload.place, beside=upload.folder)
                file, size = await asyncio.to_thread(packing.__enter__)
            try:
                await send({"type": "http.response.start", "status": 200, "headers": [
                    (b"content-type", b"application/zip"), (b"content-length", str(size).encode()),
                    (b"content-disposition", b'attachment; filename="run.zip"'), (b"cache-control", b"no-store"),
                ]})  # fmt: skip
                while not upload.gone and (part := await asyncio.to_thread(file.read, MIB)):
                    more = {"type": "http.response.body", "body": part, "more_body": True}
                    await asyncio.wait_for(send(more), receiving.IDLE)
                if not upload.gone:
                    await send({"type": "http.response.body", "body": b""})
            except TimeoutError:
                return
            finally:
                packing.__exit__(None, None, None)
        finally:
            self._sending -= 1

    async def _logged_in(self, scope: Scope) -> bool:
        """Whether gradio lets this browser in, by its own answer."""
        asked = {**scope, "method": "GET", "path": "/gradio_api/login_check", "raw_path": b"/gradio_api/login_check",
                 "query_string": b""}  # fmt: skip
        status = [500]

        async def nothing() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def heard(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]

        await self.app(asked, nothing, heard)
        return status[0] == 200
