"""Pictures by a Bayesian reading beside their opponents: the table of the docs, with intervals, over several subjects.

    python -m benchmarks.reading --out runs/reading
    python -m benchmarks.reading --out runs/reading --seeds 0 1 2 --amounts 100 200 400 --without-kinds 8

Every subject is `afterimage simulate --seed`, every run `afterimage study --recipe bayes-miniature` with opponents as
rows: ridge as published (takagi), the nearest training picture, the bank's own most likely picture, candidates found by
correlation, and a bank without every candidate that has all words of the stimulus. Printed are means over all test
stimuli of all subjects, and differences from row decoded, paired by stimulus, with 95 % intervals that resample stimuli
within subjects. Calibration is of all subjects' stimuli together (ten bins of equal count).

--amounts        the same with so many training stimuli, a nested choice of each subject's, and no opponents
--without-kinds  the same with a bank that lacks so many of the kinds of thing, chosen by the seed
--blind          of one subject, fitted and drawn twice: as it is, and with noise in the place of every test picture,
                 its caption and its labels; says how many samples of each row, and which models, are the same bytes

What is done is found again by the same command. Writes OUT/reading.json.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.cli import main as afterimage
from brain.readers import open_recording
from encoders.voxelwise.banks import Bank
from evaluation.statistics.calibration import calibrate
from evaluation.statistics.posteriors import read_posteriors

METRICS = (
    "label_kind", "label_colour", "category", "label_position", "label_setting", "label_light", "top1_of_100",
    "two_way", "pixcorr",
)  # fmt: skip
OPPONENTS = ("takagi", "retrieval", "likely", "correlated", "other_words")
BLIND = ("decoded", "shuffled", "repeat", "retrieval", "likely", "correlated")
CALIBRATED = ("kind", "category", "colour", "position", "setting", "light", "size", "companion")
RESAMPLES = 2000
BANK = Path("pipelines/miniature/image/bank")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a judge gave: row -> metric -> stimulus -> value; `labels` stimulus -> group -> the true label."""

    values: Mapping[str, Mapping[str, Mapping[str, float]]]
    labels: Mapping[str, Mapping[str, str]]
    folder: Path

    @classmethod
    def read(cls, run: Path) -> Judged:
        """A finished run."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        with (run / "report" / "per_stimulus.csv").open(encoding="utf-8", newline="") as lines:
            for line in csv.DictReader(lines):
                value = float(line["value"] or "nan")
                found.setdefault(line["row"], {}).setdefault(line["metric"], {})[line["stimulus"]] = value
        rows = [json.loads(line) for line in (run / "samples" / "index.jsonl").read_text(encoding="utf-8").splitlines()]
        labels = {one["stimulus"]: one.get("labels") or {} for one in rows if one["row"] == "reference"}
        return cls(values=found, labels=labels, folder=run)

    def of(self, row: str, metric: str) -> dict[str, float]:
        """Stimulus -> value."""
        return dict(self.values.get(row, {}).get(metric, {}))


def study(data: Path, out: Path, *more: str) -> Judged:
    """A study, run or found."""
    words = ["study", str(data), "--recipe", "bayes-miniature", "--out", str(out), *more]
    if code := afterimage(words):
        raise SystemExit(f"{' '.join(words)} ended with exit code {code}")
    return Judged.read(out)


def subject(seed: int, out: Path) -> Path:
    """The simulated subject of that seed."""
    data = out / f"data{seed}"
    if not data.is_dir() and (code := afterimage(["simulate", str(data), "--seed", str(seed)])):
        raise SystemExit(f"simulate ended with exit code {code}")
    return data


def fewer(data: Path, amounts: Sequence[int], *, seed: int, blind: bool = False) -> Path:
    """The subject as a file of one's own, with a split of so many training stimuli for each amount.

    blind  whether test pictures, captions and labels are noise
    """
    amount = "_".join(map(str, amounts))
    path = data.with_name(f"{data.name}_{'blind' if blind else 'first'}_{amount}.npz")
    if path.is_file():
        return path
    recording = open_recording(data)
    split, stimuli, responses = recording.split(), recording.stimuli, recording.responses
    order = np.random.default_rng([seed, 41]).permutation(np.array(split.train)).tolist()
    ids = sorted({*split.train, *split.test})
    noise = np.random.default_rng([seed, 43])
    hidden = set(split.test) if blind else set()
    pairs = [
        (name, f"noise {noise.integers(10**6)}" if name in hidden else caption)
        for name in ids for caption in stimuli.captions[name]
    ]  # fmt: skip
    pictures = [np.asarray(stimuli.open(name).convert("RGB")) for name in ids]
    pictures = [noise.integers(0, 256, one.shape, np.uint8) if name in hidden else one
                for name, one in zip(ids, pictures, strict=True)]  # fmt: skip
    arrays = {
        "responses": responses.values, "stimulus": responses.stimulus, "session": responses.session, "image_ids": ids,
        "images": np.stack(pictures), "label_ids": ids,
        "caption_ids": [name for name, _ in pairs], "captions": [caption for _, caption in pairs],
    }  # fmt: skip
    for group in stimuli.labels[ids[0]]:
        if all(group in stimuli.labels[name] for name in ids):
            arrays[f"labels/{group}"] = [f"noise {noise.integers(9)}" if name in hidden else stimuli.labels[name][group]
                                         for name in ids]  # fmt: skip
    for region in recording.regions:
        arrays[f"roi/{region.name}"] = np.isin(np.arange(responses.values.shape[1]), recording.columns((region.name,)))
    for amount in amounts:
        arrays |= {f"split/first{amount}/train": order[:amount], f"split/first{amount}/test": list(split.test)}
    np.savez(path, **{name: np.asarray(value) for name, value in arrays.items()})
    return path


def poorer(out: Path, count: int, *, seed: int) -> tuple[Path, list[str]]:
    """A bank without so many kinds, and which these are."""
    bank = Bank.load(BANK)
    gone = np.sort(np.random.default_rng([seed, 42]).permutation(len(bank.names["kind"]))[:count])
    folder = out / f"bank_without_{count}_{seed}"
    if not folder.is_dir():
        ids = [name for name, code in zip(bank.ids, bank.labels["kind"].tolist(), strict=True) if code in set(gone)]
        bank.without(ids).save(folder)
    return folder, [bank.names["kind"][one] for one in gone.tolist()]


def together(found: Sequence[Judged], row: str, metric: str, *, only: Sequence[Sequence[str]] = ()) -> list[np.ndarray]:
    """One array of values a subject, in the order of stimuli."""
    parts = [one.of(row, metric) for one in found]
    kept = only or [sorted(part) for part in parts]
    return [np.array([part[name] for name in names]) for part, names in zip(parts, kept, strict=True)]


def interval(parts: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Mean over all stimuli and its 95 % interval."""
    rng = np.random.default_rng(0)
    draws = [
        np.concatenate([one[rng.integers(0, len(one), len(one))] for one in parts]).mean() for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(np.concatenate(parts).mean()), float(low), float(high)


def table(found: Sequence[Judged], rows: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Prints a line a row, and below the differences from row decoded, with a star where the interval is apart from 0;
    row -> metric -> mean, low, high."""
    known: dict[str, dict[str, list[float]]] = {}
    print(f"{'':24s}" + " ".join(f"{one.removeprefix('label_'):>11s}" for one in METRICS))
    for row in rows:
        known[row] = {metric: list(interval(together(found, row, metric))) for metric in METRICS}
        print(f"{row:24s}" + " ".join(f"{known[row][metric][0]:11.3f}" for metric in METRICS))
    for row in rows[1:]:
        apart = f"decoded less {row}"
        known[apart] = {}
        for metric in METRICS:
            both = zip(together(found, "decoded", metric), together(found, row, metric), strict=True)
            known[apart][metric] = list(interval([one - other for one, other in both]))
        stars = ["" if low <= 0 <= high else "*" for _, low, high in known[apart].values()]
        cells = zip(known[apart].values(), stars, strict=True)
        print(f"{apart:24s}" + " ".join(f"{value[0]:+.3f}{star:1s}".rjust(11) for value, star in cells))  # fmt: skip
    return known


def calibration(found: Sequence[Judged]) -> dict[str, dict[str, float]]:
    """Prints the calibration of all subjects together; group -> error, by chance, accuracy."""
    known: dict[str, dict[str, float]] = {}
    for group in CALIBRATED:
        if not all(any(group in labels for labels in one.labels.values()) for one in found):
            continue  # a label that not every stimulus has is not in a file of one's own
        sure, right = [], []
        for one in found:
            words = next(two for two in read_posteriors(one.folder) if two.method == "bayes").stimuli
            for name, said in words.items():
                label, share = said.likely(group)[0]
                sure.append(share)
                right.append(label == one.labels[name].get(group, ""))
        result = calibrate(group, np.array(sure), np.array(right), seed=0)
        if result.error is None or result.by_chance is None:
            print(f"calibration of {group}: too few stimuli")
            continue
        known[group] = {"error": result.error, "by_chance": result.by_chance, "accuracy": result.accuracy}
        print(f"calibration of {group}: {result.error:.3f} (by chance {result.by_chance:.3f}), "
              f"most likely right {result.accuracy:.3f}, mean confidence {result.confidence:.3f}")  # fmt: skip
    return known


def missing(found: Sequence[Judged], poor: Sequence[Judged], kinds: Sequence[Sequence[str]]) -> None:
    """Prints what a bank without some kinds gives for stimuli of these, and of the others."""
    lacked = [[name for name, labels in one.labels.items() if labels["kind"] in gone]
              for one, gone in zip(found, kinds, strict=True)]  # fmt: skip
    rest = [sorted(set(one.labels) - set(gone)) for one, gone in zip(found, lacked, strict=True)]
    for said, only in (("kinds that are there", rest), ("kinds that lack", lacked)):
        for name, runs in (("whole bank", found), ("poorer bank", poor), ("ridge as published", found)):
            row = "takagi" if name.startswith("ridge") else "decoded"
            cells = (float(np.concatenate(together(runs, row, metric, only=only)).mean()) for metric in METRICS)
            print(f"{said}, {name}: " + " ".join(f"{one.removeprefix('label_')} {value:.3f}"
                                               for one, value in zip(METRICS, cells, strict=True)))  # fmt: skip


def blindfolded(data: Path, out: Path, *, seed: int) -> None:
    """Prints what is the same bytes where everything of the test stimuli but the responses is noise."""
    found: list[dict[str, dict[str, str]]] = []
    for blind in (False, True):
        run = out / f"blind{seed}_{int(blind)}"
        part = fewer(data, [900], seed=seed, blind=True) if blind else fewer(data, [900], seed=seed)
        how = ["--recipe", "bayes-miniature", "--out", str(run), "--split", "first900"]
        for words in (["fit", str(part), *how], ["decode", str(run), "--rows", *BLIND]):
            if code := afterimage(words):
                raise SystemExit(f"{' '.join(words)} ended with exit code {code}")
        rows = [json.loads(line) for line in (run / "samples" / "index.jsonl").read_text(encoding="utf-8").splitlines()]
        digests: dict[str, dict[str, str]] = {}
        for one in rows:
            digests.setdefault(one["row"], {})[f"{one['stimulus']}-{one['index']}"] = one["sha256"]
        models = sorted([*(run / "maps").glob("*.safetensors"), *(run / "learned").rglob("*.safetensors")])
        digests["models"] = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in models}
        found.append(digests)
    for row in found[0]:
        same = sum(found[1][row].get(name) == digest for name, digest in found[0][row].items())
        print(f"test stimuli replaced by noise, {row}: {same} of {len(found[0][row])} the same bytes")


def main() -> None:
    """Runs what is missing and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--amounts", type=int, nargs="*", default=[])
    parser.add_argument("--without-kinds", type=int, default=0)
    parser.add_argument("--blind", type=int)
    asked = parser.parse_args()
    rows = ("decoded", "shuffled", "retrieval", "oracle", *OPPONENTS[2:])
    data = {seed: subject(seed, asked.out) for seed in asked.seeds}
    found = [study(data[seed], asked.out / f"run{seed}", "--rows", *rows) for seed in asked.seeds]
    facts = {"rows": table(found, ("decoded", *OPPONENTS, "oracle")), "calibration": calibration(found)}
    for amount in asked.amounts:
        parts = [fewer(data[seed], asked.amounts, seed=seed) for seed in asked.seeds]
        few = [study(part, asked.out / f"few{amount}_{seed}", "--split", f"first{amount}", "--rows", "decoded",
                     "--fields", "") for part, seed in zip(parts, asked.seeds, strict=True)]  # fmt: skip
        print(f"{amount} training stimuli")
        facts[f"{amount} stimuli"] = table(few, ("decoded", "takagi"))
        facts[f"calibration of {amount}"] = calibration(few)
    if asked.without_kinds:
        poor = {seed: poorer(asked.out, asked.without_kinds, seed=seed) for seed in asked.seeds}
        less = [study(data[seed], asked.out / f"poor{seed}", "--bank", str(poor[seed][0]), "--rows", "decoded",
                      "--beside") for seed in asked.seeds]  # fmt: skip
        missing(found, less, [poor[seed][1] for seed in asked.seeds])
    if asked.blind is not None:
        blindfolded(subject(asked.blind, asked.out), asked.out, seed=asked.blind)
    path = asked.out / "reading.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(known | facts, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
