"""Everything the demo does, without gradio: what is seen of a run, drawing again, synthesis, judging.

    house = House(open_runs([Path("runs/first")]))
    visitor = house.visitor("any name")
    for view in visitor.decode("first", "nsd00013"): ...
    for view in visitor.draw("first", "nsd00013", Asked(strength=0.6, guidance=5, steps=20, seed=0, samples=4)): ...
    house.close()

A `House` holds what all visitors share and does one piece of heavy work at a time; a `Visitor` is one browser tab, with
a folder that nobody else reads. Every long action is a generator of views: closing it ends the work.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.demo.folders import PREFIX, held, sweep
from app.demo.knobs import (
    MOST_PICTURES,
    Asked,
    Objective,
    activation_of,
    command_of,
    settings_of,
    synthesis_command,
)
from app.demo.links import link_of, made_with
from app.demo.looks import chart_of
from app.demo.runs import Prepared, Run, prepare
from app.demo.uploads.upload import Upload
from app.demo.view_types import DecodeView, DrawView, Progress, RankView, SynthesisView, Trajectories
from app.demo.views import badge, decode_view, drawn_tiles, previews_of, progress_of, rank_view, synthesis_view
from brain.catalogue import unknown
from brain.errors import AfterimageError, InputError, StorageError, UsageError
from decode.stages.draw.beside import draw_beside, drawn_of
from decode.stages.draw.steps import Step, Stopped, Worker
from decode.stages.synthesize.lab import FittedRun
from decode.stages.synthesize.objectives import SynthesisRequest
from decode.stages.synthesize.synthesize import synthesize_beside
from evaluation.report.synthesis import Synthesis
from evaluation.samples.read import read_samples
from evaluation.samples.types import Sample, Samples
from pipelines.synthesis import SynthesisSettings

VISITORS = 64
"""Browser tabs that are known at a time."""
WAITING = 8
"""Drawings and syntheses that may be at work or wait for their turn, over all visitors."""


class House:
    """What all visitors share: the runs, the one thread that works, and the folder in which visitors' folders lie.

    uploads  whether visitors may bring data, files of max_upload MiB at most; one child at a time works on them
    """

    def __init__(self, runs: Mapping[str, Run], *, uploads: bool = True, max_upload: int = 512) -> None:
        self.runs, self.uploads, self.max_upload = dict(runs), uploads, max_upload
        self.worker, self.children = Worker(), Worker(computes=False)
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._held = held(self.folder)
        self._lock = threading.Lock()
        self._visitors: dict[str, Visitor] = {}
        self._prepared: dict[str, Prepared] = {}
        self._fitted: dict[str, FittedRun] = {}
        self._waiting = 0

    def visitor(self, key: str) -> Visitor:
        """The visitor of that key, new where there is none yet.

        Of too many, the one who came first of those who are at nothing has to leave; where all are at something, the
        newcomer is refused (StorageError).
        """
        with self._lock:
            if key not in self._visitors:
                if len(self._visitors) >= VISITORS:
                    idle = next((name for name, one in self._visitors.items() if one.idle), None)
                    if idle is None:
                        raise StorageError(f"{VISITORS} browser tabs are at work here; try again in a minute")
                    self._visitors.pop(idle).close()
                self._visitors[key] = Visitor(self, self._own_folder())
            return self._visitors[key]

    def known_visitor(self, key: str) -> Visitor | None:
        """The visitor of that key, None where there is none."""
        return self._visitors.get(key)

    def upload_of(self, token: str) -> Upload | None:
        """The upload of the visitor who has this secret; None where nobody has."""
        with self._lock:
            uploads = [visitor.upload for visitor in self._visitors.values()]
        found = [one for one in uploads if secrets.compare_digest(one.token.encode(), token.encode())]
        return found[0] if found and self.uploads else None

    def leave(self, key: str) -> None:
        """Ends what the visitor of that key is at, and removes their folder."""
        with self._lock:
            visitor = self._visitors.pop(key, None)
        if visitor is not None:
            visitor.close()

    def close(self) -> None:
        """Ends everything and removes every folder."""
        for key in list(self._visitors):
            self.leave(key)
        self.children.close()
        self.worker.close()  # what is at work ends its step first, and can leave nothing behind
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._held)

    def run(self, name: str) -> Run:
        """The run of that name; another name is a UsageError."""
        if name not in self.runs:
            raise UsageError(unknown("run", name, tuple(self.runs)))
        return self.runs[name]

    def names(self, modality: str = "") -> list[str]:
        """The runs of that modality, in the order in which they were named; "" takes all."""
        return [name for name, run in self.runs.items() if modality in ("", run.modality)]

    def known(self, name: str) -> Prepared | None:
        """What of that run has been opened already; nothing where its data have come back since."""
        found = self._prepared.get(name)
        return None if found is not None and found.absent and self.run(name).data.exists() else found

    def prepare(self, name: str) -> Prepared:
        """Opens that run, once; called in the worker's thread."""
        found = self.known(name)
        if found is None:
            found = self._prepared[name] = prepare(self.run(name))
        return found

    def fitted(self, name: str) -> FittedRun:
        """What synthesis needs of that run, once; called in the worker's thread."""
        if name not in self._fitted:
            run, known = self.run(name), self.prepare(name)
            if known.opened is None:
                raise InputError(known.missing[0])
            keep = self.folder / "encoders" / str(len(self._fitted))
            self._fitted[name] = FittedRun(
                run=run.folder, recording=known.opened.recording, settings=run.settings, keep=keep
            )
        return self._fitted[name]

    def enter(self) -> None:
        """Takes a place among those who wait; a StorageError where there is none left."""
        with self._lock:
            if self._waiting >= WAITING:
                raise StorageError(f"{WAITING} drawings or syntheses are at work or waiting; try again in a minute")
            self._waiting += 1

    def go(self) -> None:
        """Gives the place back."""
        with self._lock:
            self._waiting -= 1

    def _own_folder(self) -> Path:
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700, parents=True)
        return folder


class Visitor:
    """One browser tab: its folder, and the one thing it is at."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house, self.folder = house, folder
        self.upload = Upload(folder.with_name(secrets.token_hex(8)))
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._at = ""
        self._of = ("", "")
        self._left = self._gone = False
        self._number = 0

    @property
    def idle(self) -> bool:
        """Whether they are at nothing and have brought no file."""
        return not self._busy.locked() and not self.upload.folder.exists()

    def stop(self, what: str = "", *, left: bool = False) -> None:
        """Ends what this visitor is at, within a step; where `what` is named, only if it is that.

        what  "image" or "sound", drawing one of them again, "synthesis", or "upload"
        left  they have gone on to something else, and do not want to hear of it
        """
        if what in ("", self._at):
            self._left = left
            self._stop.set()

    def leave_for(self, name: str, stimulus: str, what: str) -> bool:
        """Ends drawing `what`, an image or a sound, for another stimulus than this one, and says whether it did so.

        What is drawn of this one was asked for before its change was heard of, as somebody does who comes by a link.
        """
        if self._of == (name, stimulus):
            return False
        self._of = ("", "")
        self.stop(what, left=True)
        return True

    def close(self) -> None:
        """Ends what is going on and removes the folder."""
        self._gone = True
        self.stop()
        self.upload.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def decode(self, name: str, stimulus: str) -> Iterator[DecodeView]:
        """One test stimulus: at once what lies in the run, then what has to be opened first."""
        run = self.house.run(name)
        if stimulus not in run.samples.references:
            raise UsageError(unknown("test stimulus", stimulus, run.stimuli))
        known = self.house.known(name)
        if known is None:
            early, stop = decode_view(run, stimulus, None), threading.Event()
            yield early
            try:
                for step in self.house.worker.stepwise(lambda tell: self.house.prepare(name), stop=stop):
                    known = step if isinstance(step, Prepared) else known
                    if known is None:
                        yield early
            except Exception as error:
                yield replace(early, waiting="", missing=(unexpected(error),))
                return
        yield decode_view(run, stimulus, known)

    def draw(self, name: str, stimulus: str, asked: Asked) -> Iterator[DrawView]:
        """Draws a test stimulus again, by other settings than the run's: previews as it is denoised, then the files."""
        run = self.house.run(name)
        settings = settings_of(run, asked)
        command = command_of(run, stimulus, asked)
        to = self._place()

        def work(tell: Callable[[Step], None]) -> tuple[tuple[Sample, ...], RankView | None]:
            known = self.house.prepare(name)
            if known.opened is None:
                raise InputError(known.missing[0])
            decoder = known.opened.decoder(settings)

            def watch(glimpse: Any) -> None:
                seen = decoder.previews(glimpse) if decoder.previews else []
                tell(Step(what="denoising", step=glimpse.step + 1, steps=glimpse.steps, previews=tuple(seen)))

            tell(Step(what="decoding the responses", step=0, steps=0))
            micro_batch = int(decoder.facts.get("lane_width", 0))
            batch = micro_batch if loaded() else settings.machine.batch
            gentle = replace(settings, machine=replace(settings.machine, batch=batch))
            drawn = drawn_of(
                draw_beside(
                    known.opened, gentle, to=to, stimuli=(stimulus,), silenced=asked.silenced, watch=watch
                )
            )  # fmt: skip
            return drawn, _rank_of(run, known, read_samples(to, references=None), drawn, stimulus)

        for progress, step, done in self.follow(run.modality, work, of=(name, stimulus)):
            if done is None:
                yield DrawView(progress=progress, tiles=previews_of(step), command=command, badge=badge(run))
                continue
            drawn, rank = done
            made = made_with(run, stimulus, asked)
            tiles = drawn_tiles(run, read_samples(to, references=None), drawn, stimulus, made=made)
            yield DrawView(
                progress=progress, tiles=tiles, command=command, rank=rank, badge=badge(run), silenced=asked.silenced,
                link=link_of(run, stimulus, asked),
            )  # fmt: skip

    def synthesize(self, name: str, asked: Objective) -> Iterator[SynthesisView]:
        """Makes pictures that a region should respond to: previews with predicted activation, then every scorer."""
        run = self.house.run(name)
        if not 1 <= asked.pictures <= MOST_PICTURES:
            raise UsageError(f"pictures: expected 1 to {MOST_PICTURES}, found {asked.pictures}")
        signs = {asked.region: 1.0} | ({asked.against: -1.0} if asked.against else {})
        if asked.region == asked.against:
            raise UsageError(f"region {asked.region}: expected another region against it, found the same; choose one")
        request = SynthesisRequest(signs=signs, methods=(asked.method,), count=asked.pictures)
        to, command, about = self._place(), synthesis_command(run, asked), activation_of(asked)
        trajectories = Trajectories()

        def work(tell: Callable[[Step], None]) -> Synthesis:
            fitted = self.house.fitted(name)
            how = SynthesisSettings()
            return synthesize_beside(fitted, to=to, request=request, how=how, seed=asked.seed, tell=tell)

        for progress, step, found in self.follow("synthesis", work):
            if found is not None:
                view = synthesis_view(progress, found, trajectories.values, about=about, command=command)
                yield replace(view, badge=badge(run))
                continue
            chart = chart_of(trajectories.add(step).values, steps=step.steps if step is not None else 1)
            yield SynthesisView(
                progress=progress, tiles=previews_of(step), command=command, about=about, chart=chart, badge=badge(run)
            )  # fmt: skip

    def _place(self) -> Path:
        """A new place in this visitor's folder."""
        self._number += 1
        return self.folder / str(self._number)

    def follow(
        self, what: str, work: Callable[[Any], Any], *, worker: Worker | None = None, of: tuple[str, str] = ("", "")
    ) -> Iterator[tuple[Progress, Step | None, Any]]:
        """(progress, last step, result) of work in the house's thread, or another; no result, None, until it is there.

        A visitor is at one thing at a time: another click on the same starts nothing, one on another is told so.
        """
        if not self._busy.acquire(blocking=False):
            if self._at != what:
                busy = "this tab is at something else already; wait for it, or stop it where it was started"
                yield Progress(state="failed", what=busy), None, None
            return
        try:
            self._at, self._of = what, of
            yield from self._alone(work, worker or self.house.worker)
        finally:
            self._at = ""
            self._busy.release()

    def _alone(self, work: Callable[[Any], Any], worker: Worker) -> Iterator[tuple[Progress, Step | None, Any]]:
        self._stop, self._left = threading.Event(), False
        stop = self._stop
        for old in self.folder.glob("*"):  # of what was drawn the latest is kept
            shutil.rmtree(old, ignore_errors=True)
        try:
            self.house.enter()
        except AfterimageError as error:
            yield Progress(state="failed", what=str(error)), None, None
            return
        entered = time.monotonic()
        began, first, step = entered, 0, None
        stream = worker.stepwise(self._tidied(work), stop=stop)
        try:
            for told in stream:
                if not isinstance(told, Step):
                    yield Progress(state="done", what=f"in {time.monotonic() - entered:.1f} s"), step, told
                    return
                if told.steps == 0 and step is not None and step.steps:
                    told = step  # nothing new: what was seen stays
                if step is None or told.what != step.what or told.step < step.step:
                    began, first = time.monotonic(), told.step
                step = told
                yield progress_of(told, seconds=time.monotonic() - began, since=first), step, None
        except Stopped:
            at = f"at step {step.step} of {step.steps}; " if step is not None and step.steps else ""
            yield Progress(state="left" if self._left else "stopped", what=f"{at}nothing was kept"), None, None
        except AfterimageError as error:
            yield Progress(state="failed", what=str(error)), None, None
        except Exception as error:
            yield Progress(state="failed", what=unexpected(error)), None, None
        finally:
            stream.close()
            self.house.go()

    def _tidied(self, work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The same work; whoever has left in the middle of it leaves no folder, whatever its last step wrote."""

        def tidied(tell: Any) -> Any:
            try:
                return work(tell)
            finally:
                if self._gone:
                    shutil.rmtree(self.folder, ignore_errors=True)

        return tidied


def _rank_of(
    run: Run, known: Prepared, samples: Samples, drawn: Sequence[Sample], stimulus: str
) -> RankView | None:
    """Where the true stimulus stands for the first sample that was drawn; None where nobody can say."""
    first = next((one for one in drawn if not one.withheld), None)
    if known.pool is None or first is None:
        return None
    (features,) = known.pool.look(samples, [first])
    found = known.pool.ranking(features, stimulus)
    return None if found is None else rank_view(run, found, stimulus)


def unexpected(error: Exception) -> str:
    """One sentence on a fault of ours, whose traceback goes to the terminal that serves."""
    traceback.print_exception(error)
    return f"an unexpected {type(error).__name__}; the terminal that serves this page says where"


def loaded() -> bool:
    """Whether more is running on this machine than it has cores."""
    return os.getloadavg()[0] > (os.cpu_count() or 1)
