"""The front door for notebooks: a recording, mappings, pictures and their judgement, in four calls.

    from decode.api import draw, fit, judge, open_recording

    recording = open_recording("data/simulated")
    run = fit(recording, "runs/notebook", recipe="unclip-miniature")
    pictures = draw(run, rows=["decoded", "shuffled"], steps=8)
    report = judge(run)

`simulate` makes data with a known answer, `synthesize` pictures that a region wants to see. Every keyword is a flag of
the command of the same name (`afterimage study --recipe NAME --help`), with `_` for `-`: what a notebook makes is the
run folder that the commands make, and either goes on where the other stopped.
"""

from __future__ import annotations

import dataclasses
import html
import io
import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

from brain import readers
from brain.catalogue import unknown
from brain.errors import UsageError, expected
from brain.files.json_files import read_json
from brain.files.pictures import decode_image, read_bytes
from brain.files.waveforms import RATE
from brain.machine.devices import check_device
from brain.types import Recording
from decode.recipes import CATALOGUE, DEFAULT
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
from evaluation.samples.index import read_rows
from evaluation.samples.read import read_samples
from evaluation.samples.sounds import SOUND
from evaluation.samples.types import Samples, inside

ROW = "decoded"
SHOWN = 6
"""Metrics that a notebook shows of a report."""
CHOICES = ("mapping", "method", "beside", "maps")
"""Keywords that name entries, whose own settings are keywords then."""


@dataclass(frozen=True, kw_only=True)
class OpenedRecording(Recording):
    """A recording that remembers where it lies and how it was asked for, so that `fit` reads the same."""

    path: Path
    asked: DataSettings


@dataclass(frozen=True)
class Run:
    """A run folder, as `fit` leaves it."""

    path: Path

    @property
    def accuracy(self) -> dict[str, float]:
        """Map and split -> cross-validated R2 of the training stimuli, mean over the map's targets."""
        return dict(RunFolder(self.path).card_facts().get("accuracy", {}))

    def samples(self) -> Samples:
        """Everything that was drawn, as it lies in RUN/samples; none there is an InputError."""
        return read_samples(self.path, references=None)

    def shown(self) -> dict[str, Any]:
        """Test stimulus -> what was shown: an RGB picture, or (waveform (sample,) float32, rate in Hz)."""
        samples = self.samples()
        return {name: _opened(samples, one) for name, one in sorted(samples.references.items())}

    def drawn(self, row: str = ROW) -> dict[str, list[Any]]:
        """Test stimulus -> the samples of a row, pictures or (waveform, rate in Hz); a row not there: UsageError."""
        samples, found = self.samples(), dict[str, list[Any]]()
        if row not in samples.rows():
            raise UsageError(unknown("row", row, samples.rows()))
        for one in samples.of(row):
            if not one.withheld:
                found.setdefault(one.stimulus, []).append(_opened(samples, one))
        return found


@dataclass(frozen=True)
class Judged:
    """A report that was written: `page` is its HTML file, report.json and per_stimulus.csv lie beside it."""

    page: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """report.json: card, rows, conditions, all that is said."""
        return read_json(self.page.with_name("report.json"), what="a report", then="judge again")

    @property
    def answer(self) -> str:
        """The finding: two-way identification, its interval, p and what it has to be held against."""
        return " ".join(map(str, self.facts["answer"]))

    @property
    def said(self) -> tuple[str, ...]:
        """What has to be known before any number is read, a sentence each: whose brain it is comes first."""
        return tuple(map(str, self.facts["said"]))

    def value(self, row: str, metric: str) -> float:
        """The mean of a metric over the stimuli of a row, NaN where it does not exist; unknown names: UsageError."""
        rows = [one for one in self.facts["rows"] if one["row"] == row]
        if not rows:
            raise UsageError(unknown("row", row, tuple(dict.fromkeys(one["row"] for one in self.facts["rows"]))))
        for one in rows:
            if one["metric"] == metric:
                return math.nan if one["value"] is None else float(one["value"])
        raise UsageError(unknown("metric", metric, tuple(one["metric"] for one in rows)))

    def table(self) -> Any:
        """A pandas DataFrame: a line for each row and metric, with its 95 % interval, chance, p, n and pool."""
        import pandas

        return pandas.DataFrame(self.facts["rows"])

    def __str__(self) -> str:
        return "\n".join((self.answer, *self.said, str(self.page)))

    def _repr_html_(self) -> str:
        """What a notebook shows: the finding, what has to be known, and the first metrics of every row."""
        table = self.table()
        first = table[table.metric.isin(table.metric.unique()[:SHOWN])]
        wide = first.pivot_table("value", "row", "metric", sort=False).round(3).to_html(na_rep="–")
        said = "".join(f"<li>{html.escape(one)}</li>" for one in self.said)
        return f"<p><b>{html.escape(self.answer)}</b></p><ul>{said}</ul>{wide}"


@dataclass(frozen=True)
class Synthesized:
    """Pictures that drive a region: `page` is the HTML file that judges them, report.json lies beside it."""

    page: Path

    @property
    def answer(self) -> str:
        """The finding in one sentence."""
        return str(read_json(self.page.with_name("report.json"), what="a report", then="synthesize again")["answer"])

    def pictures(self) -> dict[str, list[Any]]:
        """Method -> its RGB pictures, in the order of their numbers."""
        folder, found = self.page.parent / "samples", dict[str, list[Any]]()
        for one in sorted(read_rows(folder), key=lambda one: (one.row, one.stimulus)):
            if not one.withheld:
                data = read_bytes(inside(folder, one.file), what=IMAGE)
                found.setdefault(one.row, []).append(decode_image(data, one.file))
        return found


def simulate(
    out: Path | str, *, modality: str = "image", subjects: int = 1, sessions: int = 4, snr: float = 1.0, seed: int = 0,
    trials: int = 0,
) -> Path:  # fmt: skip
    """Writes a simulated subject's data as real data sets are laid out, or finds them there; returns their place.

    modality  "image", in NSD's layout, or "sound"; trials: of a session, 0 takes 750 pictures or 350 sounds
    snr       1 is much like NSD, 0 is noise alone. Errors as `afterimage simulate`.
    """
    from decode.stages.simulation import simulate_once

    if modality not in (IMAGE, SOUND):
        raise UsageError(unknown("modality", modality, (IMAGE, SOUND)))
    print(
        simulate_once(
            Path(out), modality=modality, subjects=subjects, sessions=sessions, snr=snr, seed=seed, trials=trials
        )
    )  # fmt: skip
    return Path(out)


def open_recording(path: Path | str, **settings: Any) -> OpenedRecording:
    """One subject of a data set that `afterimage inspect` knows, or of a file of your own.

    settings  subject, sessions, betas, reader, fields and the other flags on data of `afterimage fit`
    Returns a `brain.types.Recording`: responses (trial, voxel) in the data's own unit, stimuli, regions and splits.
    Data that cannot be read are an InputError, an unknown keyword a UsageError.
    """
    asked = _changed(DataSettings(), settings, others=(), call="open_recording")
    found = readers.open_recording(
        path, subject=asked.subject, sessions=asked.sessions, betas=asked.betas, reader=asked.reader,
        fields=readers.parse_fields(asked.fields),
    )  # fmt: skip
    whole = {one.name: getattr(found, one.name) for one in dataclasses.fields(found)}
    return OpenedRecording(**whole, path=Path(path), asked=asked)


def fit(recording: OpenedRecording | Path | str, out: Path | str, *, recipe: str = DEFAULT, **settings: Any) -> Run:
    """Fits the mappings of a recipe, from voxels to the conditions of a generator, or finds them fitted.

    recording  of `open_recording`, or the place of the data
    out        the run folder to make or to resume
    recipe     of `afterimage list recipes`; settings: any flag of `afterimage fit`, such as alphas, maps or folds
    Errors as `afterimage fit`: UsageError, InputError, StorageError, CheckpointAbsent.
    """
    chosen = {name: settings.pop(name) for name in CHOICES if name in settings}
    base, path = _recipe(recipe, chosen), recording
    if isinstance(recording, OpenedRecording):
        path = recording.path
        named = {one.name: getattr(recording.asked, one.name) for one in dataclasses.fields(DataSettings)}
        base = replace(base, data=replace(base.data, **{name: value for name, value in named.items() if value}))
    if not isinstance(path, Path | str):
        found = f"a {type(recording).__name__}"
        raise UsageError(expected("fit", "what open_recording of decode.api returns, or a path", found, "open it so"))
    asked = with_settings(base, settings, stages=("machine", "fit"), call="fit")
    check_device(asked.machine.device)
    from decode.stages.fit.fit import fit as run_fit

    print(run_fit(Path(path), Path(out), asked))
    return Run(Path(out))


def draw(run: Run, *, stimuli: Sequence[str] = (), **settings: Any) -> dict[str, list[Any]]:
    """Draws what is missing of a run, and returns what was decoded: test stimulus -> pictures.

    stimuli   only these test stimuli; none named takes all
    settings  any flag of `afterimage decode`, such as rows, seeds, steps or guidance
    Of sounds (waveform (sample,) float32, rate in Hz) are returned. `run.drawn(ROW)` has the other rows. Errors as
    `afterimage decode`.
    """
    if isinstance(stimuli, str):
        raise UsageError(expected("stimuli", "a list of ids", repr(stimuli), f"write [{stimuli!r}]"))
    stored, data = RunFolder(run.path).stored()
    method, beside = settings.pop("method", stored.sampling.method), settings.pop("beside", stored.sampling.beside)
    sampling = _changed(stored.sampling, {"method": method, "beside": beside}, others=(), call="draw")
    base = replace(stored, sampling=sampling)
    methods = {name: base.method(name) for name in methods_asked(base)}
    base = replace(base, methods={**stored.methods, **methods})
    asked = with_settings(base, settings, stages=("machine", "decode"), call="draw")
    check_device(asked.machine.device)
    from decode.stages.draw.draw import decode

    print(decode(run.path, asked, data, stimuli=tuple(stimuli)))
    found = run.drawn() if ROW in asked.sampling.rows else {}
    return {name: found[name] for name in stimuli} if stimuli else found


def judge(run: Run | Path | str, references: Path | str | None = None, **settings: Any) -> Judged:
    """Judges a run, or anyone's folder of pictures or sounds beside the folder of what was shown; writes the report.

    references  what was shown, one file a stimulus, where a foreign folder does not hold it
    settings    any flag of `afterimage evaluate`: judge, profile, bootstrap, permutations, train, out
    Errors as `afterimage evaluate`.
    """
    from decode.stages.judge.judge import evaluate_run
    from decode.stages.judge.judge import judge as judge_folder

    if isinstance(run, Run):
        stored, data = RunFolder(run.path).stored()
        if references is not None:
            what = "none beside a run, which has its own"
            raise UsageError(expected("references", what, str(references), "leave it out"))
        asked = with_settings(stored, settings, stages=("machine", "evaluate"), call="judge")
        with redirect_stdout(io.StringIO()):  # all of it is in what is returned
            return Judged(evaluate_run(run.path, asked, data))
    places = {name: Path(settings.pop(name)) for name in ("train", "out") if settings.get(name) is not None}
    how = _changed(EvaluationSettings(), settings, others=("train", "out", "seed"), call="judge")
    seeded = {"seed": settings["seed"]} if "seed" in settings else {}
    seed = _changed(MachineSettings(), seeded, others=(), call="judge").seed
    beside = None if references is None else Path(references)
    with redirect_stdout(io.StringIO()):
        return Judged(judge_folder(Path(run), how, seed=seed, references=beside, **places))


def synthesize(
    run: Run, region: str | Sequence[str], *, against: Sequence[str] = (), method: Sequence[str] = ("guided",),
    n: int = 8, **settings: Any,
) -> Synthesized:  # fmt: skip
    """Makes pictures that a region of a fitted run wants to see, judged by others than the encoder that guided.

    region    NAME, or several, as NAME or NAME:WEIGHT; against: regions to keep quiet
    method    of `afterimage list synthesis`; n: pictures of each
    settings  steps, scale and the other flags of `afterimage synthesize`. Errors as there.
    """
    from decode.stages.synthesize.objectives import SynthesisRequest, objective_terms
    from decode.stages.synthesize.synthesize import synthesis_methods
    from decode.stages.synthesize.synthesize import synthesize as make
    from pipelines.synthesis import SynthesisSettings

    regions, ways = ((one,) if isinstance(one, str) else tuple(one) for one in (region, method))
    signs, terms = objective_terms(region=regions, against=tuple(against))
    request = SynthesisRequest(signs=signs, methods=synthesis_methods(ways), count=n, reference=None, terms=terms)
    how = _changed(SynthesisSettings(), settings, others=(), call="synthesize")
    stored, data = RunFolder(run.path).stored()
    return Synthesized(make(run.path, stored, data, request=request, how=how))


def with_settings(base: Settings, values: Mapping[str, Any], *, stages: Collection[str], call: str) -> Settings:
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
    for one, kind in (("mapping", str), ("method", str)):
        if not isinstance(chosen.get(one, ""), kind):
            raise UsageError(expected(one, "a name", repr(chosen[one]), f"see `afterimage list {one}s`"))
    several = {one: chosen[one] for one in ("beside", "maps") if one in chosen}
    for one, value in several.items():
        if isinstance(value, str) or not all(isinstance(entry, str) for entry in value):
            raise UsageError(expected(one, "a list of texts", repr(value), "write it as ['...']"))
    return CATALOGUE[name].settings(
        mapping=chosen.get("mapping", ""), method=chosen.get("method", ""),
        **{one: tuple(value) for one, value in several.items()},
    )  # fmt: skip


def _changed(own: Any, values: Mapping[str, Any], *, others: Sequence[str], call: str) -> Any:
    """One section with these values by name; an unknown name, another type and a value out of bounds: UsageError."""
    hints = get_type_hints(type(own))
    _must_be_known(values, [*(one.name for one in dataclasses.fields(own)), *others], call=call)
    found = {}
    for name, value in values.items():
        if name in others:
            continue
        value = str(value) if isinstance(value, Path) else tuple(value) if isinstance(value, list) else value
        if not is_a(value, hints[name]):
            kind = hints[name].__name__ if isinstance(hints[name], type) else str(hints[name]).replace("typing.", "")
            raise UsageError(expected(f"{call}(..., {name}=)", kind, repr(value)[:60], "give it a value of that type"))
        found[name] = value
    try:
        return replace(own, **found)
    except UsageError as fault:
        raise UsageError(f"{call}: {unflagged(fault)}") from fault


def _must_be_known(values: Mapping[str, Any], known: Collection[str], *, call: str) -> None:
    for name in values:
        if name not in known:
            raise UsageError(unknown(f"keyword of {call}", name, tuple(known)))


def _opened(samples: Samples, sample: Any) -> Any:
    return (samples.hear(sample), RATE) if samples.modality == SOUND else samples.open(sample)
