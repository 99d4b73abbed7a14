"""Synthesize: pictures that drive a region of the fitted subject's brain, RUN/synthesis/OBJECTIVE.

Voxelwise encoders are fitted on the run's training trials: on the stack's CLIP tower and, where the stack has one, on
its second tower, which guide together; and on another network, which never guides and gives a second opinion. In
simulated data the cortex itself is asked as well.
Pictures lie as samples, a row a method; `evaluation/report/synthesis.py` makes the report from what lies there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from PIL import Image

from brain.console.progress import progress
from brain.data.leaks import content_sha256
from brain.errors import InputError, UsageError, expected
from brain.files.pictures import open_image
from brain.machine.arithmetic import arithmetic
from brain.writing.places import free_targets
from decode.run.folder import RunFolder
from decode.run.seeds import sample_seed
from decode.run.settings import Settings
from decode.stages.draw.beside import beside, must_be_beside
from decode.stages.draw.steps import Step, Tell
from decode.stages.own_data import accept, own_data
from decode.stages.synthesize.lab import FittedRun
from decode.stages.synthesize.methods import RANDOM, RANKED, entry_of, method_card, row_of
from decode.stages.synthesize.objectives import SynthesisRequest
from decode.stages.synthesize.trajectories import FIRST, Recorder
from encoders.storage import write_json, write_tensors
from encoders.voxelwise.model import (
    Readout,
)
from evaluation.facts import read_json
from evaluation.report.pages.synthesis import report_synthesis
from evaluation.report.synthesis import FOLDER, KIND, RESPONSES, TRAJECTORIES, Synthesis, judge_synthesis
from evaluation.samples.index import read_rows
from evaluation.samples.types import inside
from evaluation.samples.writer import SampleWriter
from pipelines.synthesis import Sight, SynthesisContext, SynthesisSettings


def synthesize(
    out: Path,
    settings: Settings,
    data: Path,
    *,
    request: SynthesisRequest,
    how: SynthesisSettings,
    to: Path | None = None,
) -> Path:
    """Makes what is missing, in the run or in the folder `to` beside it, and returns the path of the report's page.

    A run that is not fitted, or a region that the encoders do not know, is an InputError, an unknown name a UsageError.
    """
    run, seed = RunFolder(out), settings.machine.seed
    if to is not None:
        _must_be_fitted(run)
        _must_be_beside(run, to, request=request, how=how, seed=seed)
        # encoders belong to the run and its seed, whatever seed is asked for pictures
        own = replace(settings, machine=replace(settings.machine, seed=run.stored()[0].machine.seed))
        recording = own_data(run, data, settings)
        fitted = FittedRun(run=run, recording=recording, settings=own, terms=request.terms, keep=to / "encoders")
        synthesize_beside(fitted, to=to, request=request, how=how, seed=seed)
        return report_synthesis(to, seed=seed)
    with run.lock():
        _must_be_fitted(run)
        accept(run, settings, data, ())
        home = run.path / FOLDER / request.name
        asked = _asked(request, how)
        _must_be_the_same(home, asked)  # before the minute that natural pictures take
        fitted = FittedRun(run=run, recording=own_data(run, data, settings), settings=settings, terms=request.terms)
        _must_be_known(fitted, request)
        fitted.context(request, how, random=False)  # an unknowable region is said before anything is written
        run.add_arithmetic("synthesize", arithmetic(settings.machine.device), begun=(run.path / FOLDER).is_dir())
        _into(home, fitted, request=request, how=how, seed=seed)
        return report_synthesis(home, seed=seed)


def synthesize_beside(
    fitted: FittedRun,
    *,
    to: Path,
    request: SynthesisRequest,
    how: SynthesisSettings,
    seed: int,
    tell: Tell | None = None,
) -> Synthesis:
    """Makes what is missing in the folder `to` instead of the run's own, which is only read, and judges it.

    tell  told every natural picture that is looked at, and every step that a method takes, with previews and the
          objective in standard deviations over natural pictures; what it raises ends the work
    Pictures of other settings in `to`, and what `synthesize` refuses, are refused before anything is written.
    """
    _must_be_fitted(fitted.run)
    more = _must_be_beside(fitted.run, to, request=request, how=how, seed=seed)
    _must_be_known(fitted, request)
    if tell is not None:
        fitted.prepare(tell)
    with beside(to) as sink, sink.lock():
        fitted.context(request, how, random=False)
        if tell is not None:
            fitted.natural_responses(_readouts(fitted, request.signs), tell=tell)
        _into(to, fitted, request=request, how=how, seed=seed, tell=tell, more=more)
    return judge_synthesis(to, seed=seed)


def _must_be_beside(
    run: RunFolder, to: Path, *, request: SynthesisRequest, how: SynthesisSettings, seed: int
) -> dict[str, Any]:
    """Refuses a folder that is not beside the run or holds other pictures; returns what tells them from others."""
    must_be_beside(run, to)
    more = {"seed": seed, "signs": dict(request.signs)}
    _must_be_the_same(to, {**_asked(request, how), **more})
    return more


def _must_be_known(fitted: FittedRun, request: SynthesisRequest) -> None:
    """Refuses (UsageError) a region that the data have not, before a tower is opened."""
    for name in request.signs:
        if name not in {term.name for term in fitted.terms}:
            fitted.recording.region(name)


def _must_be_fitted(run: RunFolder) -> None:
    if not run.card_facts().get("fitted"):
        raise InputError(f"{run.path}: expected a fitted run, found one that is not; run `afterimage fit` first")


def _into(
    home: Path,
    fitted: FittedRun,
    *,
    request: SynthesisRequest,
    how: SynthesisSettings,
    seed: int,
    tell: Tell | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Makes what is missing in `home`, and what every scorer says of all that is there."""
    asked = {**_asked(request, how), **(more or {})}
    facts = _stored(home)
    write_json(home / "synthesis.json", {**read_json(home / "synthesis.json"), "asked": asked})
    with SampleWriter(home / "samples", simulated=fitted.recording.simulated) as writer:
        for method in request.methods:
            context = fitted.context(request, how, random=method == RANDOM, seed=seed)
            recorder = Recorder(
                home / TRAJECTORIES, simulated=fitted.recording.simulated,
                seeds=[sample_seed(seed, request.name, number) for number in range(min(FIRST, request.count))],
            )  # fmt: skip
            reports = [] if tell is None else [_reporting(context, method, tell)]
            making = replace(context, watch=_each_of([*reports, recorder.watch]))
            known = facts.setdefault(row_of(method), {})
            known |= method_card(method).facts()
            for _ in _make(method, making, writer, recorder, request=request, seed=seed, known=known):
                # with every picture, for a course is told once: no later call could find it again
                write_json(home / "synthesis.json", {**read_json(home / "synthesis.json"), "ways": facts})
            if tell is None and known.get("courses") and "flops" not in known:
                known["flops"] = flops_of(method, context, sample_seed(seed, request.name, 0))
            write_json(home / "synthesis.json", {**fitted.facts(request, facts), "asked": asked})
    pictures: dict[str, list[Image.Image]] = {}
    for sample in read_rows(home / "samples"):
        pictures.setdefault(sample.row, []).append(open_image(inside(home / "samples", sample.file)))
    _keep_responses(home, fitted, pictures, signs=request.signs)


def _reporting(context: SynthesisContext, method: str, tell: Tell) -> Callable[[Sight], None]:
    """Reports a method's steps: how the pictures look now and what the guiding encoders make of them."""

    from pipelines.images.base import pictures_of

    def watch(sight: Sight) -> None:
        if sight.latents is None:
            tell(Step(what=method, step=sight.step, steps=sight.steps))
            return
        pixels = context.seen(sight.latents)
        tell(
            Step(
                what=method, step=sight.step + 1, steps=sight.steps, previews=tuple(pictures_of(pixels)),
                values=tuple(context.judged(pixels)),
            )
        )  # fmt: skip

    return watch


def _each_of(watches: Sequence[Callable[[Sight], None]]) -> Callable[[Sight], None]:
    """Calls all of them at every step, in order."""

    def watch(sight: Sight) -> None:
        for one in watches:
            one(sight)

    return watch


def _asked(request: SynthesisRequest, how: SynthesisSettings) -> dict[str, Any]:
    """What decides a picture besides its method and seed, as JSON."""
    return {
        **asdict(how),
        "reference": "" if request.reference is None else content_sha256(open_image(request.reference)),
        "asks": [term.digest for term in request.terms],
    }


def _must_be_the_same(home: Path, asked: Mapping[str, Any]) -> None:
    """Refuses to put pictures of other settings beside those that are there, and a place where no report can be."""
    free_targets(home, ("synthesis.json", RESPONSES, "report.json", "report.html"))
    for key, value in _noted(home, "asked").items():
        if asked.get(key) != value:
            raise UsageError(
                f"{home}: these pictures were made with {key} {value!r} and are now asked for {asked.get(key)!r}; "
                "ask for the same, or move the folder away"
            )


def name(number: int) -> str:
    """The name of a picture: "p000"."""
    return f"p{number:03d}"


def _make(
    method: str,
    context: SynthesisContext,
    writer: SampleWriter,
    recorder: Recorder,
    *,
    request: SynthesisRequest,
    seed: int,
    known: dict[str, Any],
) -> Iterator[None]:
    """Makes the missing pictures of one method, a few at a time.

    known  what is known of the method: trajectories by picture, seconds a picture, and of the first few what is shown
           of their trajectories. It is brought up to date, and one thing is yielded, before each picture is stored, so
           that no picture lies there without its course.
    """
    row = row_of(method)
    seeds = [sample_seed(seed, request.name, number) for number in range(request.count)]
    missing = [number for number in range(request.count) if writer.done(row, name(number)) is None]
    trajectories = known.setdefault("courses", {})
    # retrieval ranks: a picture's number is its rank, whatever is there already
    some_of = [list(range(request.count))] if method == RANKED and missing else _parts(missing, context.batches.batch)
    spent = known.get("seconds", 0.0) * len(trajectories)
    began = time.perf_counter()
    with progress(total=len(missing), desc=method, unit="picture") as bar:
        for some in some_of:
            made = entry_of(method).make(context, [seeds[number] for number in some])
            for number, one in zip(some, made, strict=True):
                if number not in missing:
                    continue
                trajectories[name(number)] = list(one.trajectory)
                known["seconds"] = (spent + time.perf_counter() - began) / len(trajectories)
                aside = time.perf_counter()  # what is shown of a trajectory is no cost of the method
                strip = recorder.store(context, seed=seeds[number], row=row, name=name(number), method=method)
                if strip:
                    known.setdefault("strips", {})[name(number)] = strip
                began += time.perf_counter() - aside
                yield
                writer.write(
                    one.image.convert("RGB"), row=row, stimulus=name(number), index=0, seed=one.seed, method=method,
                    candidates=one.candidates,
                )  # fmt: skip
                bar.update()


def _parts(numbers: Sequence[int], size: int) -> list[list[int]]:
    """The numbers in their order, at most `size` together."""
    step = max(1, size)
    return [list(numbers[first : first + step]) for first in range(0, len(numbers), step)]


def flops_of(method: str, context: SynthesisContext, seed: int) -> float:
    """Floating-point operations of one picture of that method, counted on one picture in this thread."""
    from torch.utils.flop_counter import FlopCounterMode

    from pipelines.sampling.micro_batches import MicroBatches

    alone = replace(context, batches=MicroBatches(width=1, threads=0))
    with FlopCounterMode(display=False) as counter:
        list(entry_of(method).make(alone, [seed]))
    return float(counter.get_total_flops())


def _stored(home: Path) -> dict[str, Any]:
    """Row -> what is known of methods that were run before."""
    return _noted(home, "ways")


def _noted(home: Path, part: str) -> dict[str, Any]:
    """A part of synthesis.json, {} where there is none; one of another form is an InputError."""
    found = read_json(home / "synthesis.json").get(part, {})
    if not isinstance(found, dict):
        then = "put the file back, or move the folder away"
        raise InputError(expected(home / "synthesis.json", f"facts under {part!r}", "another value", then))
    return found


def _keep_responses(
    home: Path, fitted: FittedRun, pictures: Mapping[str, list[Image.Image]], *, signs: Mapping[str, float]
) -> None:
    """HOME/responses.safetensors: scorer and row -> (picture, region or term), natural pictures as row "natural"."""
    asked = _readouts(fitted, signs)
    kept: dict[str, Any] = {}
    found = {"natural": fitted.natural_responses(asked)}
    found |= {row: fitted.responses(some, asked) for row, some in pictures.items()}
    for row, scored in found.items():
        kept |= {f"{scorer}.{row}": values for scorer, values in scored.items()}
    write_tensors(home / RESPONSES, kept, kind=KIND, card={"regions": list(asked)})


def _readouts(fitted: FittedRun, signs: Mapping[str, float]) -> dict[str, Readout]:
    """What every picture is asked for: the mean of each region that is shown, and the objective."""
    return {
        name: fitted.readout(name) for name in dict.fromkeys([region.name for region in fitted.shown()] + list(signs))
    }
