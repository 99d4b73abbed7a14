"""The command line: `afterimage COMMAND ...`, also `python -m app.cli`.

This module imports nothing heavy: `afterimage --help` has to answer at once. Each command's own module is imported when
it is called, and decides nothing either: it turns flags into settings and hands them to `decode`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from brain.catalogue import unknown
from brain.console import commands
from brain.errors import UsageError

COMMANDS = {
    "simulate": "OUT                 draw scenes, let a simulated brain watch them, write it all as NSD does",
    "inspect": "DATA                what is there, what is missing, against what is known of such data",
    "pack": "OUT                 your own arrays into the documented own-data format",
    "fit": "DATA --out RUN      mappings from voxels to the conditions of a generator",
    "decode": "RUN                 test patterns to pictures or sounds, beside their controls",
    "evaluate": "RUN_OR_FOLDER       score samples against what was shown; JSON, CSV and one HTML page",
    "audit": "RUN                 compute every number of a report again from its files; fail on any difference",
    "compare": "RUN RUN ...         evaluated runs on one page: numbers, paired differences, pictures, settings",
    "study": "DATA --out RUN      fit, decode and evaluate in one go; resumes where it stopped",
    "synthesize": "RUN --region NAME   pictures that a region wants to see, judged by others than the guide",
    "app": "[RUN ...]           finished runs in a browser: seen, heard, drawn again, judged",
    "list": "[KIND]              recipes, methods, mappings, metrics and all else there is to choose from",
    "bank": "build OUT|check     candidates that no brain has answered to, for the method bayes",
    "stacks": "[list|check|fetch]  the pretrained checkpoints: which there are, which are here",
}
RESUMED = ("fit", "decode", "study", "synthesize", "bank")
"""The commands that go on where they were stopped; the others begin anew, or are over at once."""

EXITS = (
    "Exit codes: 0 done, 2 usage, 3 bad input, 4 no room (disk or memory) or no rights, "
    "5 a needed checkpoint is absent, 129, 130, 143 stopped by a signal."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; an error meant for people is one sentence on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return commands.command("afterimage", lambda: _answer(words), resumes=bool({*words[:1]} & {*RESUMED}))


def overview() -> str:
    """The page that `afterimage --help` shows."""
    lines = [f"  {name:<9} {summary}" for name, summary in COMMANDS.items()]
    what = "What a brain saw and heard, drawn again: fMRI responses decoded into pictures and sounds."
    head = f"usage: afterimage COMMAND ...\n\n{what}"
    tail = f"`afterimage COMMAND --help` shows the flags of one command. {EXITS}"
    return "\n".join([head, "", *lines, "", tail])


def _answer(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] in ("-V", "--version"):
        from brain.machine.installation import version

        print(f"afterimage {version()}")
        return 0
    commands.readable(words)
    return _run(words[0], words[1:])


def _run(command: str, words: list[str]) -> int:
    if command not in COMMANDS:
        raise UsageError(unknown("command", command, tuple(COMMANDS)))
    importlib.import_module(f"app.commands.{command}").run(words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
