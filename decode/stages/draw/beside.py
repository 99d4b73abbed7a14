"""Drawing beside a run: its test stimuli once more, under other settings or seeds, into a folder of their own.

    drawn = draw_beside(opened, settings, to=Path("again"), stimuli=("nsd00013",))
    drawn = draw_beside(opened, settings, to=Path("blind"), silenced=("V1", "V2"))

    TO/card.json            of which run, with which settings, without which regions, by what it was computed
    TO/samples/index.jsonl  and one file a sample, as a run has them

The run is read and never written. The same settings and seed give the very files of the run. `python -m evaluation TO`
judges what is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from brain.errors import AfterimageError, InputError, StorageError, UsageError, expected, together
from brain.writing.opener import write_bytes
from brain.writing.origin import simulated_by
from brain.writing.places import only_files, storing
from decode.methods import row_cards
from decode.run.folder import RunFolder
from decode.run.settings import Settings, binding
from decode.stages.draw.draw import (
    asked_of,
    check_drawing,
    check_learned,
    check_partners,
    check_rows,
    chosen_of,
    draw_missing,
    missing_of,
)
from decode.stages.draw.opened import Opened
from decode.stages.draw.silenced import check_silenced
from decode.stages.fit.fit import is_fitted
from decode.stages.own_data import must_be_its_own
from evaluation.facts import JUDGED
from evaluation.judges import CATALOGUE as JUDGES
from evaluation.samples.index import read_rows
from evaluation.samples.rows import REFERENCE
from evaluation.samples.types import Sample
from evaluation.samples.writer import SampleWriter
from evaluation.statistics.folds import NULL
from pipelines.drawing import Watch

MADE = (".lock", ".report.lock", "card.json", "conditions", "samples", "report", "synthesis.json",
        "trajectories", "responses.safetensors", "encoders", "report.json", "report.html")  # fmt: skip
"""What drawing beside a run, synthesis beside it and judging leave in a folder."""
PASSED_ON = ("settings", "data", "splits", "standardisation", "spaces", "tested", "repeated", "null")
"""What a run's card says that holds of samples beside it too."""


def draw_beside(
    opened: Opened,
    settings: Settings,
    *,
    to: Path,
    stimuli: Sequence[str] = (),
    silenced: Sequence[str] = (),
    watch: Watch | None = None,
) -> tuple[Sample, ...]:
    """Draws what is missing in `to` of all test stimuli or of `stimuli`, and returns these samples, references first.

    opened    the finished run; `settings` its own with another `decode` section or another seed
    silenced  regions whose voxels stand at their training mean, in any order: see `decode.stages.draw.silenced`
    watch     told every step of a denoising loop; what it raises ends the drawing after the last whole sample
    Settings that cannot be drawn with, an unknown stimulus or region, and a folder that is the run's own or holds
    something else, are errors before anything is written; a call that fails before its first sample leaves nothing
    behind.
    """
    run, sink, regions = opened.run, RunFolder(to), tuple(sorted(set(silenced)))
    if not is_fitted(run):
        raise InputError(expected(run.path, "a fitted run", "one that is not", "run `afterimage study` first"))
    together([lambda: check_rows(settings), lambda: check_drawing(settings)])
    check_partners(run, settings)
    check_learned(run, settings)
    must_be_its_own(run, opened.data, opened.settings)
    chosen = chosen_of(run, stimuli)
    must_be_beside(run, to)
    asked = {"run": _digest(run), "seed": settings.machine.seed, **_silenced_facts(opened, settings, regions)}
    _must_be_the_same(sink, settings, asked)
    facts = run.card_facts()
    simulated = str(facts.get("simulated", simulated_by(opened.data)))
    with beside(to), sink.lock(), SampleWriter(sink.samples, simulated=simulated, rows=row_cards(settings)) as writer:
        missing = missing_of(writer, chosen, settings.sampling, repeated=facts.get("repeated", []))
        if missing:
            known = {name: facts[name] for name in PASSED_ON if name in facts}
            before = facts_beside(sink).get("drawn", {})
            own = opened.settings.evaluation
            # a judge of one's own is a folder, whose place no card says
            judging = {name: getattr(own, name) for name in JUDGED if name != "judge" or own.judge in JUDGES.names()}
            drawn = {**asked, "drawn": {**before, **drawn_facts(settings)}, "judging": judging}
            if facts.get("null"):
                write_bytes(to / NULL, (run.path / NULL).read_bytes())
            sink.add_to_card({"simulated": simulated, "beside": drawn, **known})
            draw_missing(opened, sink, writer, settings, missing=missing, silenced=regions, watch=watch)
        keys = asked_of(chosen, settings.sampling, repeated=facts.get("repeated", []))
        found = [writer.done(*key) for key in keys]
    return tuple(one for one in found if one is not None)


@contextlib.contextmanager
def beside(to: Path) -> Iterator[RunFolder]:
    """The folder `to`; what fails before its first sample takes a folder away that it has made itself.

    A folder that another process holds is left alone.
    """
    new, sink = not to.exists(), RunFolder(to)
    try:
        yield sink
    except StorageError:
        raise
    except AfterimageError:
        if new and all(one.parent.name == "references" for one in sink.samples.glob("*/*")):
            shutil.rmtree(to, ignore_errors=True)
        raise


def must_be_beside(run: RunFolder, to: Path) -> None:
    """Refuses the run's own folder, one inside it or around it, and a folder with files that no such call makes."""
    here, home = to.resolve(), run.path.resolve()
    if here == home or here.is_relative_to(home) or home.is_relative_to(here):
        raise UsageError(f"--to {to}: expected a folder beside the run, found one in or around it; choose another")
    with storing(to):
        if to.exists() and not to.is_dir():
            raise UsageError(f"--to {to}: expected a folder, found a file; choose another")
        if to.is_dir() and (any(child.name not in MADE for child in to.iterdir()) or _unsigned(to)):
            raise UsageError(
                f"--to {to}: expected an empty folder or one of an earlier call, found other files; choose another"
            )
        only_files(to)


def _unsigned(to: Path) -> bool:
    """Whether there are samples that no such call has signed."""
    signed = any((to / name).is_file() for name in ("card.json", "synthesis.json"))
    return not signed and bool(read_rows(to / "samples"))


def facts_beside(sink: RunFolder) -> dict[str, Any]:
    """What the card of such a folder says of the run and the settings; nothing where there is none yet."""
    found = sink.card_facts().get("beside", {})
    return found if isinstance(found, dict) else {}


def _silenced_facts(opened: Opened, settings: Settings, silenced: tuple[str, ...]) -> dict[str, Any]:
    """What the card says of silenced regions, nothing of none; unknown ones, and those that nothing reads: UsageError.

    Data that are gone, damaged or not the run's own are an InputError.
    """
    if not silenced:
        return {}
    check_silenced(opened.recording, settings, silenced)
    return {"silenced": list(silenced), "silenced_voxels": len(opened.recording.columns(silenced))}


def _must_be_the_same(sink: RunFolder, settings: Settings, asked: dict[str, Any]) -> None:
    """Refuses to put samples of another run, other settings, another seed or other silenced regions beside those that
    are there; a card without the regions is of none."""
    facts = sink.card_facts()
    if not facts:
        return
    found = facts.get("beside")
    if not isinstance(found, dict):
        raise UsageError(f"--to {sink.path}: expected a folder of an earlier call, found a run; choose another")
    names = dict.fromkeys((*asked, "silenced"))
    other = [(name, found.get(name, []), asked.get(name, [])) for name in names]
    other = [(name, old, new) for name, old, new in other if old != new]
    if "decode" in found:
        raise UsageError(
            f"--to {sink.path}: expected samples of this version, found some of an earlier one, whose settings had "
            "other names; choose another folder"
        )
    known, new = found.get("drawn", {}), drawn_facts(settings)
    other += [(name, known.get(name), value) for name, value in new.items() if name in known and known[name] != value]
    for name, old, new in other:
        raise UsageError(
            f"--to {sink.path}: expected samples of {name} {new!r}, found some of {old!r}; choose another folder"
        )


def drawn_facts(settings: Settings) -> dict[str, Any]:
    """Part and name -> value of every setting that decides what is drawn."""
    return {f"{part}: {name}": value for (part, name), value in binding(settings.whole(), "decode").items()}


def _digest(run: RunFolder) -> str:
    """What tells one run from another without a path: the digest of its folds, spaces and mappings' names."""
    facts = run.card_facts()
    known = {name: facts.get(name) for name in ("settings", "data", "splits", "spaces", "fitted")}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def drawn_of(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples without the references."""
    return tuple(sample for sample in samples if sample.row != REFERENCE)
