"""`afterimage app [RUN ...]`: finished runs in a browser, seen, heard, drawn again and judged."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from tyro.conf import Positional

from app.flags import parse
from brain.console.bounds import within
from brain.errors import CheckpointAbsent, UsageError
from brain.machine.installation import extra

RUNS = Path("runs")
MAX_UPLOAD = 512
"""MiB of an upload where nobody says another size."""


def run(words: Sequence[str]) -> None:
    """Serves until it is interrupted."""

    def app(
        runs: Positional[tuple[Path, ...]] = (),
        *,
        host: str = "127.0.0.1",
        port: int = 7860,
        root_path: str = "",
        browser: bool = True,
        auth: Path | None = None,
        public: bool = False,
        max_upload: int | None = None,
    ) -> tuple[tuple[Path, ...], dict[str, object], int]:
        """See, hear and draw again what finished runs have decoded, in a browser; nothing leaves this machine.

        Args:
            runs: Finished runs; none named takes those in runs/.
            host: The address to listen at; another one than this machine's own needs --auth, or --public.
            port: The port to listen at; 0 takes a free one.
            root_path: The prefix of a proxy before it, such as /user/me/proxy/7860 of JupyterHub.
            browser: Open a browser; --no-browser for an ssh tunnel.
            auth: A file that only you can read, with one NAME:PASSWORD a line; nobody else gets in.
            public: Show it to everybody: simulated runs alone, without a password, and nothing can be sent in.
            max_upload: MiB of a file that a visitor may upload and decode, 512 if not said; 0 takes none.
        """
        largest = MAX_UPLOAD if max_upload is None else max_upload
        within("--max-upload", largest, 0)
        if public and max_upload:
            raise UsageError(
                f"--public: expected no uploads, for it takes nothing in, found --max-upload {max_upload}; "
                "leave one of them out"
            )
        how = {"host": host, "port": port, "root_path": root_path, "browser": browser, "auth": auth, "public": public}
        return runs, how, largest

    places, flags, largest = parse(app, command="app", words=words)
    _installed()
    from app.demo.public import unplaced
    from app.demo.runs import find_runs, open_found, open_runs
    from app.demo.serve import How, check, serving
    from app.demo.session import House

    how = How(**flags)  # type: ignore[arg-type]
    check(how)
    runs = open_runs(places) if places else open_found(find_runs(RUNS))
    if not runs:
        raise UsageError(f"RUN: expected a finished run, found none in {RUNS}/; name one, or make some: make demo")
    house = House(unplaced(runs) if how.public else runs, uploads=largest > 0 and not how.public, max_upload=largest)
    try:
        with serving(house, how) as url:
            print(f"afterimage: {', '.join(house.runs)} at {url} (Ctrl-C ends it)", flush=True)
            while True:
                signal.pause()
    finally:
        house.close()


def _installed() -> None:
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise CheckpointAbsent(f"the demo needs gradio, which is not installed; {extra('app')}")
