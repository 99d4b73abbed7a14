"""The front door for notebooks: a recording, mappings, pictures and their judgement, in four calls.

    from decode.api import draw, fit, judge, open_recording

    recording = open_recording("data/simulated")
    run = fit(recording, "runs/notebook", recipe="unclip-miniature")
    pictures = draw(run, rows=["decoded", "shuffled"], steps=8)
    report = judge(run)

`simulate` makes data with a known answer, `synthesize` pictures that a region wants to see, `posterior` says what a
Bayesian reading found likely, and `Run("runs/notebook")` opens a run again. Keywords are the settings of a study, its
flags with `_` for `-` (`afterimage study --recipe NAME --help`): those of the fit in `fit`, those of decoding in
`draw`, those of the evaluation in `judge`. Where a flag takes several values a list does, or one value. What a notebook
makes is the run folder that the commands make, and either goes on where the other stopped. Errors are those of
`brain.errors`, in the words of Python.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from brain import readers
from brain.catalogue import unknown
from brain.errors import AfterimageError, InputError, UsageError, expected
from brain.machine.devices import check_device
from brain.types import Recording
from decode.recipes import CATALOGUE, DEFAULT
from decode.results import ROW, Judged, OpenedRecording, Run, Synthesized, folder_of
from decode.run.folder import RunFolder
from decode.run.migration import is_a
from decode.run.settings import (
    CHOSEN,
    FIXED,
    Absent,
    DataSettings,
    EvaluationSettings,
    MachineSettings,
    Settings,
    methods_asked,
    stage_of,
)
from encoders.settings import unflagged
from evaluation.samples.images import IMAGE
from evaluation.samples.sounds import SOUND
from evaluation.statistics.posteriors import FOLDER, Posterior, read_posteriors

__all__ = [
    "simulate", "open_recording", "fit", "draw", "judge", "posterior", "synthesize", "OpenedRecording", "Run", "Judged",
    "Posterior", "Synthesized",
]  # fmt: skip
_CHOICES = ("mapping", "method", "beside", "maps")
"""Keywords that name entries, whose own settings are keywords then."""
_FLAG = re.compile(r"(`[^`]*`)|--([a-z]+(?:-[a-z]+)*)")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _in_python(call: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The call with flags in its errors named as its keywords: `folds=` for --folds; commands in `` stay."""

    @functools.wraps(call)
    def called(*args: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        try:
            return call(*args, **keywords)
        except AfterimageError as fault:
            said = _FLAG.sub(lambda one: one[1] or f"{one[2].replace('-', '_')}=", str(fault))
            raise type(fault)(said) from fault

    return called


@_in_python
def simulate(
    out: Path | str, *, modality: str = "image", subjects: int = 1, sessions: int = 4, snr: float = 1.0, seed: int = 0,
    trials: int = 0,
) -> Path:  # fmt: skip
    """Writes a simulated subject's data as real data sets are laid out, or finds them there; returns their place.

    modality  "image", in NSD's layout, or "sound"
    trials    of a session, 0 takes 750 pictures or 350 sounds; snr: 1 is much like NSD, 0 is noise alone
    Errors as `afterimage simulate`.
    """
    from decode.stages.simulation import simulate_once

    place = folder_of(out, what="simulate")
    if modality not in (IMAGE, SOUND):
        raise UsageError(unknown("modality", str(modality), (IMAGE, SOUND)))
    counts = {"subjects": subjects, "sessions": sessions, "seed": seed, "trials": trials}
    whole = {name: _as_type(value, int, call="simulate", name=name) for name, value in counts.items()}
    scale = _as_type(snr, float, call="simulate", name="snr")
    print(simulate_once(place, modality=modality, snr=scale, **whole))
    return place


@_in_python
def open_recording(path: Path | str, **settings: Any) -> OpenedRecording:
    """One subject of a data set that `afterimage inspect` knows, or of a file of your own.

    settings  subject, sessions, betas, reader, split, standardise, and fields, "stimulus=figure,session=run" or a dict
    Returns a `brain.types.Recording`: responses (trial, voxel) in the data's own unit, stimuli, regions and splits.
    Data that cannot be read are an InputError, an unknown keyword a UsageError.
    """
    place = folder_of(path, what="open_recording").absolute()
    asked = _changed(DataSettings(), settings, others=(), call="open_recording")
    found = readers.open_recording(
        place, subject=asked.subject, sessions=asked.sessions, betas=asked.betas, reader=asked.reader,
        fields=readers.parse_fields(asked.fields),
    )  # fmt: skip
    whole = {one.name: getattr(found, one.name) for one in dataclasses.fields(found)}
    opened = OpenedRecording(**whole, path=place, asked=asked)
    return replace(opened, original=opened.parts)


@_in_python
def fit(recording: OpenedRecording | Path | str, out: Path | str, *, recipe: str = DEFAULT, **settings: Any) -> Run:
    """Fits the mappings of a recipe, from voxels to the conditions of a generator, or finds them fitted.

    recording  of `open_recording`, or the place of the data; either is read anew, as it lies there
    out        the run folder to make or to resume
    recipe     of `afterimage list recipes`; settings: alphas, maps, folds, split and the other settings of a fit
    Errors as `afterimage fit`: UsageError, InputError, StorageError, CheckpointAbsent.
    """
    chosen = {name: settings.pop(name) for name in _CHOICES if name in settings}
    base, home = _recipe(recipe, chosen), folder_of(out, what="fit: out")
    if isinstance(recording, OpenedRecording):
        if not recording.is_as_opened:
            then = "write it to a file of its own with `afterimage pack`, and fit that"
            raise UsageError(expected("fit", f"the data as they lie in {recording.path}", "a changed recording", then))
        path = recording.path
        named = {one.name: getattr(recording.asked, one.name) for one in dataclasses.fields(DataSettings)}
        base = replace(base, data=replace(base.data, **{name: value for name, value in named.items() if value}))
    elif isinstance(recording, Recording):
        raise UsageError(expected("fit", "a recording of decode.api", "one that does not know its place", "open it so"))
    else:
        path = folder_of(recording, what="fit: recording")
    asked = _with_settings(base, settings, stages=("machine", "fit"), call="fit")
    check_device(asked.machine.device)
    from decode.stages.fit.fit import fit as run_fit

    print(run_fit(path, home, asked))
    return Run(home)


@_in_python
def draw(
    run: Run | Path | str, *, stimuli: Iterable[str] = (), to: Path | str | None = None, silence: Iterable[str] = (),
    **settings: Any,
) -> dict[str, list[Any]]:  # fmt: skip
    """Draws what is missing of a fitted run; returns what is decoded: test stimulus -> pictures.

    stimuli   only these test stimuli; none named takes all
    to        draw into this folder beside the run instead, by whatever steps, strength, guidance or seed
    silence   with `to`: regions whose voxels stand at their training mean
    settings  rows, seeds, steps, guidance and the other settings of drawing; what is not named is as the run last had
              it
    Of sounds (waveform (sample,) float32, rate in Hz) are returned; where row decoded is not there, the first row asked
    for. `run.drawn(ROW)` has the others. Errors as `afterimage decode`.
    """
    from decode.stages.draw.silenced import check_beside

    names, silenced = _texts(stimuli, what="draw: stimuli"), _texts(silence, what="draw: silence")
    sink = None if to is None else folder_of(to, what="draw: to")
    check_beside(silenced, sink)
    home = _run(run).path
    stored, data = RunFolder(home).stored()
    method, beside = settings.pop("method", stored.sampling.method), settings.pop("beside", stored.sampling.beside)
    sampling = _changed(stored.sampling, {"method": method, "beside": beside}, others=(), call="draw")
    base = replace(stored, sampling=sampling)
    methods = {name: base.method(name) for name in methods_asked(base)}
    base = replace(base, methods={**stored.methods, **methods})
    asked = _with_settings(base, settings, stages=("machine", "decode"), call="draw")
    check_device(asked.machine.device)
    if sink is None:
        from decode.stages.draw.draw import decode

        print(decode(home, asked, data, stimuli=names))
        place = Run(home)
    else:
        from decode.stages.draw.beside import draw_beside
        from decode.stages.draw.opened import Opened

        place = Run(sink)
        opened = Opened(run=RunFolder(home), settings=asked, data=data)
        draw_beside(opened, asked, to=place.path, stimuli=names, silenced=silenced)
    rows = place.samples().rows()
    found = place.drawn(next(row for row in (ROW, *asked.sampling.rows, *rows) if row in rows)) if rows else {}
    return {name: found[name] for name in names if name in found} if names else found


@_in_python
def judge(run: Run | Path | str, references: Path | str | None = None, **settings: Any) -> Judged:
    """Judges a run, or anyone's folder of pictures or sounds beside the folder of what was shown; writes the report.

    run         a Run, the folder of one, or any folder of pictures or sounds named by stimulus
    references  what was shown, one file a stimulus, where a foreign folder does not hold it
    settings    judge, profile, bootstrap, permutations and the other settings of the evaluation; out, a folder for the
                report; of a foreign folder also seed and train, the folder of what was trained on
    Errors as `afterimage evaluate`.
    """
    from decode.stages.judge.judge import evaluate_run
    from decode.stages.judge.judge import judge as judge_folder

    home = run.path if isinstance(run, Run) else folder_of(run, what="judge")
    places = {
        name: folder_of(settings.pop(name), what=f"judge: {name}")
        for name in ("train", "out")
        if settings.get(name) is not None
    }
    if isinstance(run, Run) or ((home / "settings.json").is_file() and not places and references is None):
        if references is not None:
            what = "none beside a run, which has its own"
            raise UsageError(expected("references", what, str(references), "leave it out"))
        stored, data = RunFolder(home).stored()
        asked = _with_settings(stored, settings, stages=("machine", "evaluate"), call="judge")
        if not places:
            Run(home).samples()  # that nothing is drawn yet is said before anything else
            return Judged.read(evaluate_run(home, asked, data, say=_nothing))
        return Judged.read(judge_folder(home, asked.evaluation, seed=asked.machine.seed, say=_nothing, **places))
    how = _changed(EvaluationSettings(), settings, others=("seed",), call="judge")
    seeded = {"seed": settings["seed"]} if "seed" in settings else {}
    seed = _changed(MachineSettings(), seeded, others=(), call="judge").seed
    beside = None if references is None else folder_of(references, what="judge: references")
    return Judged.read(judge_folder(home, how, seed=seed, references=beside, say=_nothing, **places))


@_in_python
def posterior(run: Run | Path | str, *, method: str = "") -> Posterior:
    """What the posterior of a decoded run says of every test stimulus: captions and labels with shares, and entropies.

    method  whose posterior, where a run has those of several
    `posterior(run).stimuli["nsd00013"].captions` are the most likely candidates, `.labels` shares by group, `.entropy`
    nats; `posterior(run).table()` is a pandas DataFrame. A run without one is an InputError, an unknown method a
    UsageError.
    """
    home = _run(run).path
    found = {one.method: one for one in read_posteriors(home)}
    if not found:
        then = "draw with a method that finds one, see `afterimage list methods`"
        raise InputError(expected(home / FOLDER, "what a posterior says of test stimuli", "none", then))
    if method not in found and (method or len(found) > 1):
        raise UsageError(unknown("method", str(method), tuple(found)))
    return found[method] if method else next(iter(found.values()))


@_in_python
def synthesize(
    run: Run | Path | str, region: str | Sequence[str], *, against: Sequence[str] = (),
    method: str | Sequence[str] = (), n: int = 8, **settings: Any,
) -> Synthesized:  # fmt: skip
    """Makes pictures that a region of a fitted run wants to see, judged by others than the encoder that guided.

    region    NAME, or several, as NAME or NAME:WEIGHT; against: regions to keep quiet
    method    of `afterimage list synthesis`, or "random-region"; none named means "guided" and the controls
    n         pictures of each; settings: steps, scale and the others of `pipelines.synthesis.SynthesisSettings`
    Errors as there.
    """
    from decode.stages.synthesize.methods import synthesis_methods, usual_methods
    from decode.stages.synthesize.objectives import SynthesisRequest, objective_terms
    from decode.stages.synthesize.synthesize import synthesize as make
    from pipelines.synthesis import SynthesisSettings

    regions, others = _texts(region, what="synthesize: region"), _texts(against, what="synthesize: against")
    methods = synthesis_methods(_texts(method, what="synthesize: method")) or usual_methods()
    count = _as_type(n, int, call="synthesize", name="n")
    signs, terms = objective_terms(region=regions, against=others)
    request = SynthesisRequest(signs=signs, methods=methods, count=count, reference=None, terms=terms)
    how = _changed(SynthesisSettings(), settings, others=(), call="synthesize")
    home = _run(run).path
    stored, data = RunFolder(home).stored()
    return Synthesized(make(home, stored, data, request=request, how=how))


def _run(run: Run | Path | str) -> Run:
    return run if isinstance(run, Run) else Run(folder_of(run, what="run"))


def _nothing(*said: object) -> None:
    """What is judged is in what is returned."""


def _texts(value: Any, *, what: str) -> tuple[str, ...]:
    """Several texts, or one; anything else is a UsageError."""
    if isinstance(value, str):
        return (value,)
    found = tuple(value) if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping) else (value,)
    if not all(isinstance(one, str) for one in found):
        raise UsageError(expected(what, "a list of texts", f"{value!r:.60}", "write it as ['...']"))
    return tuple(map(str, found))


def _with_settings(base: Settings, values: Mapping[str, Any], *, stages: Collection[str], call: str) -> Settings:
    """`base` with these values of settings by name, wherever a section, mapping or method has one of the name.

    stages  whose settings may be named; any other name, or a value of another type, is a UsageError
    """
    known: dict[str, list[str]] = {}
    parts: dict[str, Any] = {name: getattr(base, name) for name in FIXED}
    for section in CHOSEN:
        parts |= {f"{section}/{name}": own for name, own in getattr(base, section).items()}
    for part, own in parts.items():
        for one in () if isinstance(own, Absent) else dataclasses.fields(own):
            if stage_of(part, one) in stages and not one.metadata.get("hidden"):
                known.setdefault(one.name, []).append(part)
    _must_be_known(values, known, call=call)
    for part in {part for name in values for part in known[name]}:
        here = {name: value for name, value in values.items() if part in known[name]}
        parts[part] = _changed(parts[part], here, others=(), call=call)
    whole: dict[str, Any] = {name: parts[name] for name in FIXED}
    for section in CHOSEN:
        whole[section] = {name: parts[f"{section}/{name}"] for name in getattr(base, section)}
    return replace(base, **whole)


def _recipe(name: str, chosen: Mapping[str, Any]) -> Settings:
    """The settings of a recipe with the mapping, methods and maps that are named."""
    texts = {one: _texts(value, what=one) for one, value in chosen.items()}
    for one in ("mapping", "method"):
        if len(texts.get(one, ("",))) != 1:
            raise UsageError(expected(one, "one name", f"{chosen[one]!r:.60}", f"see `afterimage list {one}s`"))
    if not isinstance(name, str):
        raise UsageError(expected("recipe", "a name", f"{name!r:.60}", "see `afterimage list recipes`"))
    return CATALOGUE[name].settings(
        mapping=texts.get("mapping", ("",))[0], method=texts.get("method", ("",))[0],
        **{one: texts[one] for one in ("beside", "maps") if one in texts},
    )  # fmt: skip


def _changed(own: Any, values: Mapping[str, Any], *, others: Sequence[str], call: str) -> Any:
    """One section with these values by name; an unknown name, another type and a value out of bounds: UsageError."""
    hints = get_type_hints(type(own))
    _must_be_known(values, [*(one.name for one in dataclasses.fields(own)), *others], call=call)
    found = {
        name: _as_type(value, hints[name], call=call, name=name) for name, value in values.items() if name not in others
    }
    try:
        return replace(own, **found)
    except UsageError as fault:
        raise UsageError(f"{call}: {unflagged(fault)}") from fault


def _as_type(value: Any, hint: Any, *, call: str, name: str) -> Any:
    """The value as that type: numbers of numpy and lists as plain ones, a path as text, a dict as NAME=NAME,...

    Anything else is a UsageError.
    """
    several = get_origin(hint) is tuple
    given = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    if isinstance(given, Path):
        given = str(given)
    if isinstance(given, Mapping) and hint is str:
        given = ",".join(f"{key}={one}" for key, one in given.items())
    if several:
        given = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not is_a(given, hint):
        kind = get_args(hint)[0] if several else hint
        plural = "a list of " if several else ""
        called = WORDS.get(kind, str(kind).replace("typing.", "").removeprefix("Literal"))
        raise UsageError(expected(f"{call}(..., {name}=)", f"{plural}{called}", f"{value!r:.60}", "give it one"))
    return given


WORDS = {int: "int", float: "float", str: "str", bool: "True or False"}
"""Types as an error says them."""


def _must_be_known(values: Mapping[str, Any], known: Collection[str], *, call: str) -> None:
    for name in values:
        if name not in known:
            raise UsageError(unknown(f"keyword of {call}", name, tuple(known)))
