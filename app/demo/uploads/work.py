"""Checking and studying what a visitor uploaded, in child processes: generators of views, as all that the demo does.

for view in check(visitor): ...
for view in study(visitor, "pixels-ridge"): ...
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.demo.runs import Run, open_run
from app.demo.uploads.child import NAMES
from app.demo.uploads.limits import CHECK, MIB, STUDY, Limits
from app.demo.uploads.processes import Child
from app.demo.uploads.receive import must_have_room
from app.demo.uploads.recipes import Candidate
from app.demo.uploads.upload import Checked, Upload
from app.demo.view_types import Progress
from brain.console.terminal import plain
from brain.errors import InputError, UsageError, counted, expected
from decode.stages.draw.steps import Step
from evaluation.facts import read_json

if TYPE_CHECKING:
    from app.demo.session import Visitor

NAME = "your data"
"""What a visitor's own run is called."""
NO_FILE = "no file has been uploaded yet; choose one and send it"
STAGE = re.compile(r"stage (\d) of 3: (\w+)")
LOOP = re.compile(r"(.{1,60}?): (\d+) of (\d+) ")
"""Lines of `afterimage study`: a stage that begins, and how far a loop is."""
Tell = Callable[[Step], None]


@dataclass(frozen=True, kw_only=True)
class UploadView:
    """Work on an upload that goes on or is over: what was found in the file, or the run that was made of it."""

    progress: Progress
    checked: Checked | None = None
    run: Run | None = None


def check(visitor: Visitor) -> Iterator[UploadView]:
    """Looks through the file, in a child that may take little."""
    upload = visitor.upload
    serial = upload.serial

    def work(tell: Tell) -> Checked:
        with upload.alone():
            _must_be(upload, serial)
            upload.checked = None
            out = _followed(upload, ["check"], CHECK, tell, first="looking through your file")
            upload.checked = checked_of(out)
            return upload.checked

    for progress, _, found in visitor.follow("upload", work, worker=visitor.house.children):
        yield UploadView(progress=progress, checked=found)


def study(visitor: Visitor, recipe: str) -> Iterator[UploadView]:
    """Fits, decodes and judges by a recipe that the check found to take the file; the run is this visitor's alone."""
    upload = visitor.upload
    serial, known = upload.serial, upload.checked
    if known is None or recipe not in [one.name for one in known.able]:
        raise UsageError("your file has to be checked first, and a recipe chosen that takes it")

    def work(tell: Tell) -> Run:
        with upload.alone():
            _must_be(upload, serial)
            upload.forget()
            try:
                _followed(upload, ["study", recipe], STUDY, tell, first="opening what is needed")
                upload.run = open_run(upload.place, name=NAME)
            finally:
                if upload.run is None:
                    upload.forget()  # half a run is none
            return upload.run

    for progress, _, found in visitor.follow("upload", work, worker=visitor.house.children):
        yield UploadView(progress=progress, run=found)


def answer_of(run: Run) -> tuple[str, str]:
    """The first sentence of the run's report, and what it rests on; "" each where it has none."""
    first, rest = read_json(run.folder.report / "report.json").get("answer", ("", ""))
    return str(first), str(rest)


def _must_be(upload: Upload, serial: int) -> None:
    """Refuses (UsageError) work on a file that has not come, or that another one has taken the place of."""
    if not upload.has_file:
        raise UsageError(NO_FILE)
    if upload.serial != serial:
        raise UsageError("another file has come in between; check that one first")


def _followed(upload: Upload, words: list[str], limits: Limits, tell: Tell, *, first: str) -> bytes:
    """What the child printed; what it says is wrong, or a signal that ended it, is an InputError.

    A disk that it has filled too far is a StorageError, and the end of it.
    """
    stage, now = "", Step(what=first, step=0, steps=0)
    with Child(words, folder=upload.folder) as child:
        for line in child.lines(limits.seconds):
            if found := STAGE.match(line):
                stage = f"stage {found[1]} of 3, {found[2]}"
                now = Step(what=stage, step=0, steps=0)
            elif stage and (loop := LOOP.match(line)):
                now = Step(what=f"{stage}: {loop[1]}", step=int(loop[2]), steps=int(loop[3]))
            tell(now)
            must_have_room(upload.folder.parent, 0)  # the folder itself goes when its visitor does
        if child.code == 0:
            return child.out
        if not child.sentence and child.code > 0:
            print(plain("\n".join(child.errors)), file=sys.stderr)
        raise InputError(_plain(child.sentence) or _ended(child.code, limits))


def _ended(code: int, limits: Limits) -> str:
    """One sentence on a child that ended without one."""
    if code == -signal.SIGXCPU:
        return expected("your file", f"work of at most {limits.cpu} s of a processor", "more", "give a smaller one")
    if code < 0:
        found = f"one that ended it ({signal.Signals(-code).name})"
        what = f"data that can be read within {limits.memory // MIB} MiB of memory"
        return expected("your file", what, found, "give a smaller one, or pack it anew with `afterimage pack`")
    return f"an unexpected fault in the work on your file (exit code {code}); the terminal that serves says where"


def checked_of(out: bytes) -> Checked:
    """What a child printed, as values of the right types; what it printed otherwise is an InputError."""
    try:
        found: dict[str, Any] = json.loads(out)
        facts = _facts(found) if "trials" in found else ()
        recipes = tuple(
            Candidate(**{name: _typed(value) for name, value in one.items()}) for one in found["recipes"]
        )
        return Checked(
            facts=facts, notes=tuple(map(_plain, found["notes"])), problems=tuple(map(_plain, found["problems"])),
            recipes=recipes,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(expected("your file", "a check of it", "other words", "pack it anew and try again")) from error


def _facts(found: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    regions = ", ".join(f"{name} ({count})" for name, count in found["regions"])
    splits = "; ".join(
        f"{name}: {counted(folds, 'fold')} of {train} training and {test} test stimuli"
        for name, folds, train, test in found["splits"]
    )
    return (
        ("subject", str(found["subject"])),
        ("brain", f"simulated ({found['simulated']})" if found["simulated"] else "recorded"),
        ("trials", f"{int(found['trials'])} in {counted(int(found['sessions']), 'session')}"),
        ("stimuli", f"{counted(int(found['stimuli']), str(found['modality']))}"),
        ("voxels", str(int(found["voxels"]))),
        ("regions", regions),
        ("splits", f"{splits}; the first is the default"),
    )


def _plain(sentence: Any) -> str:
    """A sentence about the file, which has no name of its sender's."""
    text = str(sentence)
    for name in NAMES:
        text = text.replace(f"in/{name}", "your file")
    return text


def _typed(value: Any) -> Any:
    return tuple(map(_plain, value)) if isinstance(value, list) else _plain(value)
