"""The pitch of decoded sounds: what this stack can carry of it, and what was tried to bring more of it through.

    python -m benchmarks.pitch --out runs/pitch
    python -m benchmarks.pitch --out runs/pitch --seed 1

One simulated listener (`afterimage simulate --modality sound --seed`), decoded by recipe `bayes-sound-miniature` as it
is and with one setting changed at a time. Of every heard clip with a pitch, a row's error is the distance of the median
fundamental frequency of what it plays from that of what was heard, in semitones; clips in which YIN finds no pitch any
more have none, and are counted: `n` of so many have one in both. Mean and median are over clips. Round trip is what the
autoencoder and the vocoder alone make of the truth, "bank's own sound" the most likely candidate without a generator.
What is done is found again by the same command. Writes OUT/pitch.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from app.cli import main as afterimage
from brain.files.waveforms import RATE
from encoders.sounds.acoustics import f0
from evaluation.metrics.sounds import FEWEST_VOICED
from evaluation.samples.read import read_samples

RECIPE = "bayes-sound-miniature"
ROWS = {
    "decoded": "as it is", "anchored": "ridge, re-anchored (sound-anchored)", "likely": "bank's own sound",
    "retrieval": "nearest training sound", "oracle": "true conditions", "round_trip": "round trip of the truth",
}  # fmt: skip
TRIED = (
    ("--strength", "0.1"), ("--strength", "0.2"), ("--strength", "0.5"), ("--drawn-from", "mean"),
    ("--anchor-weight", "0.5"), ("--anchor-weight", "0"), ("--anchor-weight", "0", "--strength", "0.1"),
)  # fmt: skip
SEMITONES = 12


def run(out: Path, *words: str) -> Path:
    """A command's folder, made or found."""
    if code := afterimage([*words, *(["--out", str(out)] if words[0] == "study" else [])]):
        raise SystemExit(f"{' '.join(words)} ended with exit code {code}")
    return out


def pitch(wave: np.ndarray) -> float:
    """log2 of the median fundamental frequency, NaN of a clip that is voiced less than a tenth of a second."""
    track = f0(np.asarray(wave, np.float32)[None], RATE)[0]
    voiced = track[np.isfinite(track)]
    return float(np.log2(np.median(voiced))) if len(voiced) >= FEWEST_VOICED else float("nan")


def errors(folder: Path, rows: list[str]) -> dict[str, np.ndarray]:
    """Row -> (clip,) semitones of every heard clip with a pitch, NaN where the row's has none."""
    samples = read_samples(folder, references=None)
    heard = {name: pitch(samples.hear(one)) for name, one in samples.references.items()}
    known = sorted(name for name, one in heard.items() if np.isfinite(one))
    found = {}
    for row in rows:
        played = {one.stimulus: pitch(samples.hear(one)) for one in samples.of(row) if one.index == 0}
        found[row] = np.array([abs(played[name] - heard[name]) * SEMITONES for name in known])
    return found


def kinds(folder: Path) -> dict[str, float]:
    """Row -> share of clips whose kind the judge hears right."""
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    return {one["row"]: one["value"] for one in report["rows"] if one["metric"] == "label_kind"}


def main() -> None:
    """Runs what is missing and prints a line a variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    data = asked.out / f"data{asked.seed}"
    if not data.is_dir():
        run(data, "simulate", str(data), "--modality", "sound", "--seed", str(asked.seed))
    facts = []
    variants: list[tuple[str, ...]] = [(), *TRIED]
    for number, flags in enumerate(variants):
        rows = [row for row in ROWS if row != "anchored"] if not flags else ["decoded"]
        how = ["--rows", *rows, *([] if not flags else ["--beside"]), *flags]
        folder = run(asked.out / f"run{asked.seed}_{number}", "study", str(data), "--recipe", RECIPE, *how)
        told = kinds(folder)
        for row, apart in errors(folder, rows if flags else list(ROWS)).items():
            known = apart[np.isfinite(apart)]
            facts.append({
                "what": " ".join(flags) or ROWS[row], "mean": float(known.mean()), "median": float(np.median(known)),
                "n": len(known), "of": len(apart), "kind": told.get(row),
            })  # fmt: skip
    for one in facts:
        print(f"{one['what']:40s} mean {one['mean']:5.2f}  median {one['median']:5.2f}  n {one['n']} of {one['of']}  "
              f"kind {one['kind'] if one['kind'] is not None else float('nan'):.2f}")  # fmt: skip
    (asked.out / "pitch.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
