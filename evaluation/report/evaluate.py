"""The report: judges a folder of samples and writes report.json, per_stimulus.csv and one self-contained report.html.

    report = evaluate(folder, how=Judging(judge="miniature", profile="clean"), references=None)

`measure` is the same without a file written; `evaluation.report.audit` compares what it finds with what is on disk.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brain.console.bounds import MOST_DRAWS, seed_within, within
from brain.writing.locks import claim
from brain.writing.origin import plain
from brain.writing.places import free_targets, inside, only_files
from encoders.conditions import Conditions
from evaluation.facts import read_json
from evaluation.find_judge import find_judge, judge_of
from evaluation.judges import Bench
from evaluation.profiles import Profile, find_profile
from evaluation.report.costs import FILE as COSTS
from evaluation.report.costs import Meter
from evaluation.report.files import EXPORTED, FILES, free_leaves, write_report
from evaluation.report.statements import null_line, sessions_of
from evaluation.report.types import Report
from evaluation.report.worlds import SHOWN, identical_lines
from evaluation.samples.foreign import unread_lines
from evaluation.samples.index import find_index
from evaluation.samples.read import read_samples
from evaluation.samples.rows import ordered_rows
from evaluation.samples.types import Samples
from evaluation.score import Chances
from evaluation.statistics.brain import FILE as BRAIN_FILE
from evaluation.statistics.brain import BrainEncoder
from evaluation.statistics.conditions import agreed, name_of, score_conditions, true_path
from evaluation.statistics.curves import FOLDER as CURVES
from evaluation.statistics.curves import read_curves, score_curves
from evaluation.statistics.dimension import effective_dimension
from evaluation.statistics.doubt import doubts_of
from evaluation.statistics.embedding_retrieval import score_retrieval
from evaluation.statistics.feature_networks import FeatureNetworks, open_networks
from evaluation.statistics.folds import Design, read_design
from evaluation.statistics.judging import judge_samples


@dataclass(frozen=True, kw_only=True)
class Judging:
    """How to judge.

    judge         a name of the catalogue, or the folder of a classifier; "" is the bundled one for pictures or sounds
    profile       which metrics, and how pictures reach them: see `evaluation.profiles`
    seed          of resamples and permutations
    bootstrap     resamples of the intervals, 100 or more; permutations: of the p-values, 0 leaves p out
    train         a folder of the pictures that were trained on, to look for leaks; None where a run says it itself
    """

    judge: str = ""
    profile: str = "clean"
    seed: int = 0
    bootstrap: int = 2000
    permutations: int = 1000
    train: Path | None = None

    def __post_init__(self) -> None:
        within("--bootstrap", self.bootstrap, 100)
        within("--permutations", self.permutations, 0)
        seed_within(self.seed)
        find_profile(self.profile)


def check_draws(how: Judging) -> None:
    """Refuses (UsageError) more resamples or permutations than lie in memory; a report that has them is audited."""
    within("--bootstrap", how.bootstrap, 100, MOST_DRAWS)
    within("--permutations", how.permutations, 0, MOST_DRAWS)


def evaluate(
    folder: Path, *, how: Judging, references: Path | None = None, out: Path | None = None, exported: bool = False
) -> Report:
    """Judges a run, a samples folder, or a folder of images or sounds beside `references`, and writes the report.

    out is where the report goes; None is RUN/report, or FOLDER/report for a foreign folder. The same folder and seed
    give the same numbers. Whether the report can be written, and what is to be `exported` beside it, is known before
    anything is judged. Raises InputError, UsageError, StorageError or CheckpointAbsent.
    """
    check_draws(how)
    if how.judge:
        find_judge(how.judge)  # a misspelt name is said before anything is read
    meter = Meter.start()
    samples = read_samples(folder, references=references)
    home = out if out is not None else run_folder(folder) / "report"
    with claim(home):
        free_targets(home, (*FILES, *EXPORTED) if exported else FILES)
        free_leaves(home)
        report = measure(folder, samples, how=how, out=out)
        report = replace(report, cost=meter.cost("evaluate"))
        write_report(report)
    return report


def measure(folder: Path, samples: Samples, *, how: Judging, out: Path | None = None) -> Report:
    """The report of these samples, computed and not written."""
    profile = find_profile(how.profile, samples.modality)
    bench = judge_of(how.judge, samples.modality).open()
    home = run_folder(folder)
    brain, unbrained = _brain(home, bench)
    chances = Chances(seed=how.seed, bootstrap=how.bootstrap, permutations=how.permutations)
    networks = open_networks(bench, profile.present, modality=samples.modality)
    design = agreed(read_design(home), home)
    found = judge_samples(samples, networks, profile=profile, chances=chances, brain=brain, design=design)
    absent = (*found.absent, *unbrained)
    run = read_json(home / "card.json")
    blocks = {name: one.block for name, one in samples.references.items()}
    known = {
        "simulated": samples.simulated or plain(str(run.get("simulated", ""))),
        **_card(samples, networks, chances, trusted=found.trust, profile=profile, design=design, run=run),
        "labels that the judge has words for": {group: one.facts() for group, one in found.words.items()},
        **found.shown,
    }
    if said := (*identical_lines(samples), *unread_lines(samples)):
        known["files"] = list(said)
    return Report(
        folder=out if out is not None else home / "report",
        home=home,
        judge=bench.card["name"],
        profile=profile,
        scores=found.scores,
        modality=samples.modality,
        row_cards=samples.cards,
        metric_cards=found.cards,
        absent=absent,
        card={"evaluation": known, "run": run},
        dimensions={**found.dimensions, **_condition_dimensions(home)},
        points=score_curves(home, samples, networks, chances=chances, brain=brain),
        titles={curve.name: curve.title for curve in read_curves(home)[0]},
        conditions=score_conditions(home, chances, design=design, blocks=blocks),
        retrieval=score_retrieval(home, chances, design=design, blocks=blocks),
        design=design,
        doubts=doubts_of(home, samples, seed=how.seed),
        leaks=_leaks(home, samples, how.train),
        findings=found,
        samples=samples,
    )


def _brain(home: Path, bench: Bench) -> tuple[BrainEncoder | None, tuple[str, ...]]:
    """The run's voxelwise encoder, or none and why."""
    path = home / BRAIN_FILE
    if not path.is_file():
        return None, ("brain correlation: these samples have no voxelwise encoder",)
    brain = BrainEncoder.load(path)
    if brain.judge != bench.card.get("sha256"):
        return None, (
            f"brain correlation: the run's voxelwise encoder sees through another judge than {bench.card['name']}",
        )
    return brain, ()


def _condition_dimensions(home: Path) -> dict[str, float]:
    """Effective dimension of decoded and of the same stimuli's true conditions, space by space."""
    found = {}
    for path in sorted((home / "conditions").glob("*.decoded.safetensors")):
        decoded = Conditions.load(path)
        true = Conditions.load(true_path(path, decoded)).take(decoded.ids)
        if len(decoded) > 1:
            for word, values in (("decoded", decoded.values), ("true", true.values)):
                found[f"{name_of(path)} {word}"] = effective_dimension(values.reshape(len(values), -1))
    return found


def _leaks(home: Path, samples: Samples, train: Path | None) -> dict[str, Any]:
    """What the run wrote about leaks, or a look at the training pictures in `train`."""
    if train is None:
        return read_json(home / "report" / "leaks.json")
    from evaluation.report.leaks import look_for_leaks

    return look_for_leaks(train, samples)


def run_folder(folder: Path) -> Path:
    """The run a samples folder belongs to, else the folder itself; a link in what is ours of it is an InputError.

    Pictures and sounds of a folder without an index are data, and may be links.
    """
    index = find_index(folder)
    home = index.parent.parent if index is not None and index.parent.name == "samples" else folder
    if index is not None or os.path.lexists(home / "settings.json"):
        only_files(home)
        return home
    for name in (BRAIN_FILE, "card.json", "report", "conditions", CURVES, COSTS):
        only_files(inside(home, home / name))
    return home


def _card(
    samples: Samples,
    networks: FeatureNetworks,
    chances: Chances,
    *,
    trusted: Mapping[str, float],
    profile: Profile,
    design: Design,
    run: Mapping[str, Any],
) -> dict[str, Any]:
    drawn = {sample.stimulus for sample in samples.samples}
    return {
        "judge": dict(networks.judge.card),
        "other judges": {network: dict(bench.card) for network, bench in networks.others.items()},
        "profile": profile.name,
        "judge right about the references": dict(trusted),
        "seed": chances.seed,
        "bootstrap": chances.bootstrap,
        "permutations": chances.permutations,
        "null": null_line(
            design, blocks=[one.block for one in samples.references.values()], permutations=chances.permutations,
            several=SHOWN[samples.modality], sessions=sessions_of(run),
        ),
        "best of": _picked(samples),
        "references": len(samples.references),
        "samples": len(samples.samples),
        "withheld": sum(sample.withheld for sample in samples.samples),
        "references without a sample": sorted(set(samples.references) - drawn),
        "samples without a reference": list(samples.unmatched),
        "methods": {row: sorted({sample.method for sample in samples.of(row)}) for row in samples.rows()},
        "versions": {
            "python": platform.python_version(),
            **{
                name: importlib.metadata.version(name) for name in ("numpy", "scipy", "pillow", "torch", "transformers")
            },
        },
    }


def _picked(samples: Samples) -> str:
    """Which rows keep the best of several draws, and of how many; a row that keeps all is not named."""
    most: dict[str, int] = {}
    for sample in samples.samples:
        most[sample.row] = max(most.get(sample.row, 1), sample.candidates)
    rows = ordered_rows(most, samples.cards)
    picked = [f"best of {most[row]} in row {row}" for row in rows if most[row] > 1]
    return f"{', '.join(picked)}: samples were PICKED" if picked else "every sample is kept, none is picked"
