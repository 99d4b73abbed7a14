"""How much labelled data each brain encoder needs: ridge, masked encoders, residual and shared networks in one table.

    python -m benchmarks.data_amount data/simulated --out runs/amount [--encoder runs/masked/encoder.safetensors]
    python -m benchmarks.data_amount data/simulated --out runs/few --subjects subj01 --trials 200 --fractions .1 1
        --methods ridge residual --steps 50 --seeds 1

Each fraction is of the labelled training stimuli, all repeats of each, drawn anew by every seed and nested: the stimuli
of 5 % hold those of 1 %. The score is of decoded CLIP image embeddings on the test stimuli, repeats averaged: two-way
identification among the test stimuli, and the mean correlation, both after z-scoring every dimension by the training
stimuli (raw embeddings share so large a mean that anything correlates). No rescaling, for any method. z-scores of
voxels need no label and are those of all training trials. `shared` lends all labelled trials of the OTHER subjects.
Intervals (95 %) resample seeds and test stimuli together; a difference from ridge is of the same seeds and stimuli.

Every cell is stored when it is done, and the same command goes on where it stopped. Writes OUT/data_amount.json and
OUT/data_amount.png.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from brain.data.averages import average_repeats
from brain.data.standardise import SessionScaler
from brain.errors import InputError, UsageError, expected
from brain.readers import open_recording, reader_of
from brain.types import Float, Recording
from encoders.conditions import Conditions
from encoders.labelled import Labelled, labelled_trials, spread_of
from encoders.mappings._parts.residual_map import FitSettings, JoinSettings, ResidualMap, fit_residual, join
from encoders.masked.model import MaskedBrain
from encoders.masked.pretraining import load_encoder, pretrain
from encoders.masked.readout import FrozenSettings, TuneSettings, finetune, fit_frozen
from encoders.ridge import RidgeSettings, fit_ridge
from encoders.settings import Plan, PretrainSettings
from encoders.spaces import CATALOGUE
from encoders.storage import write_json
from evaluation.similarity import shares_beaten

METHODS = ("ridge", "mbm-ridge", "mbm-tuned", "residual", "prior", "shared")
FRACTIONS = (0.01, 0.05, 0.1, 0.25, 1.0)
LEAST = 4
"""Stimuli in the smallest fraction: one validates, and the others make folds."""
RESAMPLES = 2000
METRICS = ("two_way", "correlation")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked for on the command line."""

    data: Path
    out: Path
    subjects: tuple[str, ...]
    fractions: tuple[float, ...]
    methods: tuple[str, ...]
    seeds: int
    trials: int
    steps: int
    encoder: Path | None
    stack: str
    regions: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """What a stored cell must agree with."""
        facts = {name: getattr(self, name) for name in ("trials", "steps", "stack", "regions")}
        return json.loads(json.dumps({**facts, "data": self.data.name, "encoder": str(self.encoder or "pretrained")}))

    def plan(self, plan: Plan) -> Plan:
        """A plan cut to --steps."""
        if not self.steps:
            return plan
        often = max(1, self.steps // 10)
        return replace(plan, steps=self.steps, warm=min(plan.warm, often), validate=often, save=self.steps)


@dataclass(frozen=True)
class Subject:
    """One subject's recording, its true conditions, and its test patterns as z-scores."""

    asked: Asked
    name: str

    @cached_property
    def recording(self) -> Recording:
        """As the reader returns it, with the regions asked for."""
        return open_recording(self.asked.data, subject=self.name)

    @cached_property
    def columns(self) -> Any:
        """(voxel,) which voxels; None is all."""
        return self.recording.columns(self.asked.regions) if self.asked.regions else None

    @cached_property
    def known(self) -> tuple[str, ...]:
        """The training stimuli, cut to --trials trials."""
        split, responses = self.recording.split(), self.recording.responses
        if not self.asked.trials:
            return split.train
        order = np.random.default_rng(5).permutation(np.array(split.train))
        counts = np.cumsum([int((responses.stimulus == one).sum()) for one in order])
        return tuple(order[: max(LEAST, int((counts <= self.asked.trials).sum()))].tolist())

    @cached_property
    def true(self) -> Conditions:
        """CLIP image embeddings of the training stimuli that are known and of all test stimuli."""
        path = self.asked.out / "conditions" / f"{self.name}.safetensors"
        ids = sorted({*self.known, *self.recording.split().test})
        if not path.is_file():
            from pipelines.stacks.find import resolve

            stack = resolve(self.asked.stack)
            entry = CATALOGUE["clip-image"]
            space = entry.open(stack.path, model=stack.model, revision=stack.revision, device="cpu")
            space.encode(self.recording.stimuli, ids, batch=16).save(path)
        return Conditions.load(path).take(ids)

    @cached_property
    def test(self) -> tuple[Float, tuple[str, ...]]:
        """Test patterns (stimulus, voxel), z-scored by the training trials, repeats averaged; and their ids."""
        split, whole = self.recording.split(), self.recording.responses
        chosen = whole if self.columns is None else whole.voxels(self.columns)
        scaler = SessionScaler.fit(chosen, chosen.of(split.train))
        averaged = average_repeats(scaler.apply(chosen.trials(chosen.of(split.test))))
        return averaged.values, averaged.ids

    def trials(self, seed: int, fraction: float) -> Labelled:
        """The labelled trials of this fraction of the training stimuli."""
        order = np.random.default_rng([seed, 31]).permutation(np.array(self.known)).tolist()
        only = order[: max(LEAST, round(fraction * len(order)))]
        return labelled_trials(
            self.recording, self.true, split=self.recording.split(), only=only, seed=seed, columns=self.columns
        )

    def scores(self, guess: Float) -> dict[str, list[float]]:
        """Metric -> a number for each test stimulus."""
        _, ids = self.test
        known = self.true.take(self.known).values.reshape(len(self.known), -1)
        centre, spread = known.mean(0), spread_of(known)
        mine, truth = ((part.reshape(len(ids), -1) - centre) / spread for part in (guess, self.true.take(ids).values))
        likeness = np.corrcoef(mine, truth)[: len(ids), len(ids) :]
        # a guess that never moves correlates with nothing
        likeness = np.nan_to_num(likeness)
        own = np.diagonal(likeness)
        return {"two_way": np.diagonal(shares_beaten(likeness)).tolist(), "correlation": own.tolist()}


class Table:
    """The cells of the table, computed once each and kept in OUT/cells."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        names = reader_of(asked.data, "").subjects(asked.data)
        strange = sorted(set(asked.subjects) - set(names))
        if strange:
            raise UsageError(f"--subjects: {strange[0]} is not in {asked.data}; known are {', '.join(names)}")
        self.people = {name: Subject(asked, name) for name in names}
        self.targets = asked.subjects or names[:1]
        self._lent: dict[tuple[str, int], ResidualMap] = {}
        write = asked.out / "settings.json"
        if write.is_file() and json.loads(write.read_text(encoding="utf-8")) != asked.facts():
            raise InputError(expected(write, "a table of these settings", "one of others", "choose another --out"))
        write_json(write, asked.facts())

    @cached_property
    def encoder(self) -> MaskedBrain:
        """The masked encoder: the one that was given, or one pretrained here on every subject."""
        path = self.asked.encoder
        if path is None:
            start = PretrainSettings(regions=self.asked.regions)
            settings = replace(start, plan=self.asked.plan(start.plan))
            path = pretrain(self.asked.data, self.asked.out / "masked", settings)
        return load_encoder(path)[0]

    def cell(self, name: str, seed: int, *, fraction: float, method: str) -> dict[str, Any]:
        """Scores of each test stimulus, how many labelled trials, and the seconds it took."""
        path = self.asked.out / "cells" / f"{name}_{seed}_{fraction:g}_{method}.json"
        if not path.is_file():
            person = self.people[name]
            trials, began = person.trials(seed, fraction), self._ready(person, seed, method)
            where = self.training(name, seed, fraction) / ("residual" if method == "prior" else method)
            guess = self._guess(person, trials, seed=seed, method=method, folder=where)
            took = time.perf_counter() - began
            write_json(path, {**person.scores(guess), "ids": list(person.test[1]), "trials": len(trials.values),
                              "seconds": took})  # fmt: skip
        return json.loads(path.read_text(encoding="utf-8"))

    def training(self, name: str, seed: int, fraction: float) -> Path:
        """Where the networks of a subject, a seed and a fraction train; the prior is trained with the residual map."""
        return self.asked.out / "training" / f"{name}_{seed}_{fraction:g}"

    def _ready(self, person: Subject, seed: int, method: str) -> float:
        """Everything that a cell does not train itself; returns the time at which the cell itself begins."""
        len(person.test[1])
        if method.startswith("mbm"):
            self.encoder.eval()
        if method == "shared":
            self.lent(person.name, seed)
        return time.perf_counter()

    def _guess(self, person: Subject, trials: Labelled, *, seed: int, method: str, folder: Path) -> Float:
        test = person.test[0]
        stimuli = len(set(trials.ids[trials.train].tolist()))
        ridge = replace(RidgeSettings(), folds=min(5, stimuli), seed=seed)
        start = FrozenSettings()
        frozen = replace(start, ridge=replace(start.ridge, folds=ridge.folds, seed=seed))
        accelerator = Accelerator(cpu=not torch.cuda.is_available())
        common = {"folder": folder, "rescaling": "none", "accelerator": accelerator}
        try:
            if method == "ridge":
                return _plain_ridge(trials, test, ridge)
            if method == "mbm-ridge":
                return fit_frozen(self.encoder, trials, settings=frozen, rescaling="none").predict(test)
            if method == "mbm-tuned":
                how = TuneSettings(start=frozen)
                how = replace(how, plan=replace(self.asked.plan(how.plan), seed=seed))
                return finetune(self.encoder, trials, settings=how, **common).predict(test)
            if method in ("residual", "prior"):
                mapped = fit_residual([trials], settings=self._fit(seed), **common)
                return mapped.predict(test) if method == "residual" else mapped.draw(test, seeds=range(len(test)))
            how = JoinSettings(ridge=ridge)
            how = replace(how, plan=replace(self.asked.plan(how.plan), seed=seed))
            return join(self.lent(person.name, seed), trials, settings=how, **common).predict(test)
        finally:
            accelerator.free_memory()

    def _fit(self, seed: int) -> FitSettings:
        settings = FitSettings()
        return replace(settings, plan=replace(self.asked.plan(settings.plan), seed=seed))

    def lent(self, name: str, seed: int) -> ResidualMap:
        """The trunk that all other subjects trained with all their labelled trials."""
        if (name, seed) not in self._lent:
            others = [one for other, one in self.people.items() if other != name]
            if not others:
                raise UsageError(f"--methods shared: {self.asked.data} has one subject; simulate --subjects 4, say")
            self._lent = {(name, seed): fit_residual(
                [one.trials(seed, 1.0) for one in others], folder=self.asked.out / "training" / f"{name}_{seed}_lent",
                settings=self._fit(seed), rescaling="none",
                accelerator=Accelerator(cpu=not torch.cuda.is_available()),
            )}  # fmt: skip
        return self._lent[name, seed]

    def rows(self) -> list[dict[str, Any]]:
        """Every row of the table, with intervals and differences from ridge."""
        found: dict[tuple[float, str], list[list[dict[str, Any]]]] = {}
        for name in self.targets:  # one seed's lent trunk at a time stays in memory
            for seed in range(self.asked.seeds):
                for fraction in self.asked.fractions:
                    for method in self.asked.methods:
                        cell = self.cell(name, seed, fraction=fraction, method=method)
                        cells = found.setdefault((fraction, method), [])
                        if seed == 0:
                            cells.append([])
                        cells[-1].append(cell)
                        two_way, likeness = (np.mean(cell[metric]) for metric in METRICS)
                        said = f"two-way {two_way:.3f} correlation {likeness:.3f} {cell['seconds']:.0f} s"
                        print(f"{name} seed {seed} {fraction:6.0%} {method:10} {said}", flush=True)
                    shutil.rmtree(self.training(name, seed, fraction), ignore_errors=True)  # its cells are stored
        return [self._row(found, fraction, method) for fraction, method in found]

    def _row(self, found: dict[Any, Any], fraction: float, method: str) -> dict[str, Any]:
        cells = found[fraction, method]
        row: dict[str, Any] = {"method": method, "fraction": fraction, "labelled_trials": cells[0][0]["trials"]}
        row["seconds"] = float(np.mean([cell["seconds"] for person in cells for cell in person]))
        for metric in METRICS:
            mine = _matrix(cells, metric)
            row[metric] = interval(mine)
            if method != "ridge" and (fraction, "ridge") in found:
                row[f"{metric}_less_ridge"] = interval(mine - _matrix(found[fraction, "ridge"], metric))
        return row


def _matrix(cells: list[list[dict[str, Any]]], metric: str) -> Any:
    """(seed, stimulus), the mean over subjects, who were all tested on the same stimuli."""
    if len({tuple(cell["ids"]) for person in cells for cell in person}) > 1:
        raise InputError("data amount: subjects were tested on other stimuli; name one of them with --subjects")
    return np.mean([[cell[metric] for cell in person] for person in cells], axis=0)


def interval(scores: Any) -> dict[str, float]:
    """The mean of (seed, stimulus) and its 95 % interval, seeds and stimuli resampled together."""
    rng = np.random.default_rng(0)
    seeds, stimuli = scores.shape
    drawn = [
        scores[rng.integers(seeds, size=seeds)][:, rng.integers(stimuli, size=stimuli)].mean() for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": float(scores.mean()), "low": float(low), "high": float(high)}


def _plain_ridge(trials: Labelled, test: Float, ridge: RidgeSettings) -> Float:
    """Voxels to conditions, averaged patterns, as `afterimage fit` does."""
    values, ids, truth = trials.averaged(np.arange(len(trials.values)))
    fit = fit_ridge(
        values, truth, groups=ids, alphas=ridge.alphas, folds=ridge.folds, seed=ridge.seed, chunk=ridge.chunk
    )
    return fit.predict(test)


def draw_figure(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Both metrics over the labelled trials, a line a method, with intervals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, metric, label in zip(axes, METRICS, ("two-way identification", "correlation"), strict=True):
        for method in dict.fromkeys(row["method"] for row in rows):
            mine = [row for row in rows if row["method"] == method]
            at = [row["labelled_trials"] for row in mine]
            value = np.array([row[metric]["value"] for row in mine])
            low, high = (np.array([row[metric][end] for row in mine]) for end in ("low", "high"))
            error = np.clip([value - low, high - value], 0, None)
            axis.errorbar(at, value, error, marker="o", markersize=3, capsize=2, label=method)
        axis.set(xscale="log", xlabel="labelled trials", ylabel=label)
        marks = sorted({row["labelled_trials"] for row in rows})
        axis.set_xticks(marks, [str(one) for one in marks])
        axis.minorticks_off()
    axes[0].axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    axes[1].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Compute the table and write it with its figure."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.data_amount", description=__doc__.splitlines()[0])
    words.add_argument("data", type=Path)
    words.add_argument("--out", type=Path, required=True)
    words.add_argument("--subjects", nargs="*", default=[], help="whom to decode; none named takes the first")
    words.add_argument("--fractions", nargs="+", type=float, default=list(FRACTIONS))
    words.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--trials", type=int, default=0, help="labelled training trials a subject, at most; 0 is all")
    words.add_argument("--steps", type=int, default=0, help="steps of every training; 0 is each one's own")
    words.add_argument("--encoder", type=Path, help="a pretrained masked encoder; without it one is pretrained")
    words.add_argument("--stack", default="miniature-image")
    words.add_argument("--regions", nargs="*", default=[])
    given = vars(words.parse_args())
    asked = Asked(**{name: tuple(one) if isinstance(one, list) else one for name, one in given.items()})
    rows = Table(asked).rows()
    write_json(asked.out / "data_amount.json", {"asked": asked.facts(), "seeds": asked.seeds, "rows": rows})
    draw_figure(rows, asked.out / "data_amount.png")
    print(asked.out / "data_amount.json")


if __name__ == "__main__":
    main()
