"""The command line: `afterimage COMMAND ...`, also `python -m app.cli`.

This module imports nothing heavy: `afterimage --help` has to answer at once. Each command's own module is imported when
it is called, and decides nothing either: it turns flags into settings and hands them to `decode`.
"""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Sequence

from brain.catalogue import unknown
from brain.errors import AfterimageError, StorageError, UsageError

COMMANDS = {
    "simulate": "OUT                 draw scenes, let a simulated brain watch them, write it all as NSD does",
    "inspect": "DATA                what is there, what is missing, against what is known of such data",
    "pack": "OUT                 your own arrays into the documented own-data format",
    "fit": "DATA --out RUN      mappings from voxels to the conditions of a generator",
    "decode": "RUN                 test patterns to pictures, beside their controls",
    "evaluate": "RUN_OR_FOLDER       score pictures against what was shown; JSON, CSV and one HTML page",
    "audit": "RUN                 compute every number of a report again from its files; fail on any difference",
    "study": "DATA --out RUN      fit, decode and evaluate in one go; resumes where it stopped",
    "synthesize": "RUN --region NAME   pictures that a region wants to see, judged by others than the guide",
    "app": "[RUN ...]           finished runs in a browser: seen, heard, drawn again, judged",
    "stacks": "[list|check|fetch]  the pretrained checkpoints: which there are, which are here",
}

EXITS = "Exit codes: 0 done, 2 usage, 3 bad input, 4 no room or no rights on disk, 5 a needed checkpoint is absent."

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; an error meant for people is one sentence on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"afterimage {version()}")
        return 0
    try:
        return _run(words[0], words[1:])
    except AfterimageError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("stopped; the same command again goes on where it stopped", 130)
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _say(
            f"{where}cannot be written or read ({error.strerror}); make room, or name a place you have rights to",
            StorageError.exit_code,
        )


def overview() -> str:
    """The page that `afterimage --help` shows."""
    lines = [f"  {name:<9} {summary}" for name, summary in COMMANDS.items()]
    head = "usage: afterimage COMMAND ...\n\nWhat a brain saw, drawn again: fMRI responses decoded into pictures."
    tail = f"`afterimage COMMAND --help` shows the flags of one command. {EXITS}"
    return "\n".join([head, "", *lines, "", tail])


def version() -> str:
    """The installed version, or the word uninstalled in a bare checkout."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("afterimage")
    except PackageNotFoundError:
        return "uninstalled"


def _run(command: str, words: list[str]) -> int:
    if command not in COMMANDS:
        raise UsageError(unknown("command", command, tuple(COMMANDS)))
    importlib.import_module(f"app.commands.{command}").run(words)
    return 0


def _say(sentence: str, code: int) -> int:
    print(f"afterimage: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
