"""Small studies of every recipe, recorded: what a change of the house must not move.

    python -m tests.record OUT                  simulate, study, write OUT/NAME.json: digests of tensors and of samples
    python -m tests.record OUT --only takagi    one study alone, by the beginning of its name
    python -m tests.record --same BASE OUT      compare two records made on one machine, bit for bit; exit 1 where not
    python -m tests.record --rounded OUT FILE   the numbers of the reports, rounded, as they stand in the repository

Digests are of tensors by name (files hold cards, whose words may change), of the bytes of PNG and WAV, of (row, metric,
value) and of the settings that reached the generator. Bits differ by processor and number of threads: two records are
compared on the machine that made both. The data are the base's: simulate once, and give both the same --data.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

FEW = ("--subject", "subj01", "--steps", "4", "--permutations", "100", "--bootstrap", "200")
HEARD = ("--steps", "4", "--permutations", "100", "--bootstrap", "200")
FOLDS = ("--permutations", "100", "--bootstrap", "200", "--refits", "19")
DIGITS = 3
RENAMED = {"guidance_scale": "guidance", "lane": "micro_batch"}
"""Settings of a generator as afterimage 0.1.0 called them."""
ABSENT = "(not said)"
WHOLE = "method"
"""What a record of afterimage 0.1.0 says where no generator drew: all settings of its section."""
ELSEWHERE = {"candidates", "encoder", "masked_steps", "paths", "start", "tune_steps", "voxels"}
"""Settings of a method that afterimage 0.1.0 said elsewhere than of a generator."""
DATA = {
    "pictures": ("--subjects", "2", "--sessions", "1", "--trials", "60"),
    "sounds": ("--modality", "sound", "--sessions", "2", "--trials", "60"),
    "session": ("--sessions", "1", "--trials", "500"),
}
"""Simulated data -> how; "figures" are a file of one's own."""
STUDIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "takagi": ("pictures", ("--recipe", "takagi-miniature", *FEW)),
    "takagi-beside": (
        "pictures",
        ("--recipe", "takagi-miniature", *FEW, "--rows", "decoded", "oracle", "--beside", "unclip", "--seeds", "2",
         "--maps", "vae-latent=early", "clip-text=ventral+lateral", "clip-image=nsdgeneral"),
    ),
    "takagi-curves": (
        "pictures",
        ("--recipe", "takagi-miniature", *FEW, "--rows", "decoded", "--curves", "--curve-stimuli", "2",
         "--test-repeats", "1"),
    ),
    "unclip": ("pictures", ("--recipe", "unclip-miniature", *FEW, "--trials", "single")),
    "residual": ("pictures", ("--recipe", "residual-miniature", *FEW, "--network-steps", "20")),
    "prior": ("pictures", ("--recipe", "unclip-miniature", "--mapping", "prior", *FEW, "--network-steps", "20")),
    "shared": ("pictures", ("--recipe", "shared-miniature", *FEW, "--network-steps", "20")),
    "mindvis": ("pictures", ("--recipe", "mindvis-miniature", *FEW, "--masked-steps", "20", "--tune-steps", "3")),
    "pixels": ("figures", ("--recipe", "pixels-ridge", *FOLDS)),
    "sound": ("sounds", ("--recipe", "c2f-miniature", *HEARD, "--candidates", "2")),
}  # fmt: skip
"""Study -> its data and flags."""
SYNTHESIS = "synthesis"
FITTED = ("--recipe", "unclip-miniature")
SYNTHESIZED = ("--region", "FFA-1", "--method", "guided", "retrieval", "--n", "2", "--steps", "4")


def record(out: Path, data: Path, *, only: str = "") -> None:
    """Makes the data, runs every study in a process of its own and writes OUT/NAME.json."""
    chosen = {where for name, (where, _) in STUDIES.items() if name.startswith(only)}
    simulate(data, chosen | ({"session"} if SYNTHESIS.startswith(only) else set()))
    for name, (where, flags) in STUDIES.items():
        if name.startswith(only) and not (out / f"{name}.json").is_file():
            run = out / "runs" / name
            command("study", data / FILES.get(where, where), "--out", run, *flags)
            write(out, name, facts_of(run))
    if SYNTHESIS.startswith(only) and not (out / f"{SYNTHESIS}.json").is_file():
        run = out / "runs" / SYNTHESIS
        command("fit", data / "session", "--out", run, *FITTED)
        command("synthesize", run, *SYNTHESIZED)
        write(out, SYNTHESIS, {"tensors": dict(sorted(tensors(run))), "samples": samples(run)})


def write(out: Path, name: str, facts: dict[str, Any]) -> None:
    """OUT/NAME.json."""
    (out / f"{name}.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


FILES = {"figures": "figures.npz"}


def simulate(data: Path, needed: set[str]) -> None:
    """The data of these names in `data`, where they are not there."""
    for name, how in DATA.items():
        if name in needed:
            command("simulate", data / name, *how)
    if "figures" in needed and not (data / FILES["figures"]).is_file():
        rng = np.random.default_rng(3)
        shown = np.repeat(np.arange(16), 3)
        pictures = (rng.random((16, 8, 8)) * 255).astype(np.uint8)
        answers = pictures.reshape(16, -1)[:, :40] / 255 - 0.5 + 0.3 * rng.normal(size=(3, 16, 40))
        np.savez(
            data / FILES["figures"], responses=answers.transpose(1, 0, 2).reshape(48, 40).astype(np.float32),
            stimulus=np.array([f"f{one:02d}" for one in shown]), images=pictures, group=shown // 4,
            image_ids=np.array([f"f{one:02d}" for one in range(16)]),
        )  # fmt: skip


def command(*words: object) -> None:
    """One command of this checkout, in a process of its own with one thread; a failure ends the recording."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-m", "app.cli", *map(str, words)], check=True, env=environment)


def facts_of(run: Path) -> dict[str, Any]:
    """What is compared of a run: digests of arrays and samples, numbers of the report, the generator's settings."""
    report = json.loads((run / "report/report.json").read_text(encoding="utf-8"))
    card = json.loads((run / "card.json").read_text(encoding="utf-8"))
    return {
        "tensors": dict(sorted(tensors(run))),
        "samples": samples(run),
        "rows": [[row["row"], row["metric"], row["value"], row["chance"], row["p"]] for row in report["rows"]],
        "conditions": [
            [one["space"], one["two_way"], one["top1"], one["p"], one["after"]] for one in report["conditions"]
        ],
        "curves": [[one["curve"], one["label"], one["measure"], one["value"]] for one in report["curves"]],
        "generator": card["decode"].get("settings"),
        "tested": card["tested"],
    }


def samples(run: Path) -> dict[str, str]:
    """File -> digest of its bytes, of every PNG and WAV in the run."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in ("png", "wav")
        for path in sorted(run.rglob(f"*.{kind}"))
    }


def tensors(run: Path) -> list[tuple[str, str]]:
    """"maps/NAME: tensor" -> digest of type, shape and bytes, of every safetensors file in the run."""
    from safetensors.numpy import load_file

    found = []
    for path in sorted(run.rglob("*.safetensors")):
        if path.parent.name == "checkpoints":
            continue
        for name, one in load_file(path).items():
            facts = f"{one.dtype.str} {one.shape}".encode()
            place = str(path.relative_to(run)).removeprefix("learned/")  # as runs of format 1 have it
            found.append((f"{place}: {name}", hashlib.sha256(facts + one.tobytes()).hexdigest()))
    return found


def differences(base: Path, other: Path) -> list[str]:
    """What differs between two records, a line each; a study that one of them lacks is a difference."""
    found = []
    for name in (*STUDIES, SYNTHESIS):
        paths = [one / f"{name}.json" for one in (base, other)]
        if not all(path.is_file() for path in paths):
            found.append(f"{name}: recorded in {sum(path.is_file() for path in paths)} of 2")
            continue
        old, new = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
        for part in old:
            if part == "generator":
                found += [f"{name}: {line}" for line in generators_apart(old[part] or {}, new[part] or {})]
            elif old[part] != new[part]:
                found.append(f"{name}: {part}: {first_difference(old[part], new[part])}")
    return found


def generators_apart(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Settings of the generator in which two records differ, under whatever name each says them.

    The newer one may lack what its method does not read, but not everything that the older one says of a generator,
    and say besides what the older one said elsewhere.
    """
    known = {RENAMED.get(key, key): value for key, value in old.items()}
    if known and not new and WHOLE not in known:
        return [f"generator: {len(known)} settings | none"]
    apart = [key for key in sorted(new) if key not in ELSEWHERE and known.get(key, ABSENT) != new[key]]
    return [f"generator: {key} {known.get(key, ABSENT)} | {new[key]}" for key in apart]


def first_difference(old: Any, new: Any) -> str:
    """Where two facts part, and how many do."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
        return f"{len(names)} of {len(old)}, first {names[0]}: {old.get(names[0])} | {new.get(names[0])}"
    if isinstance(old, list) and isinstance(new, list):
        apart = [pair for pair in zip(old, new, strict=False) if pair[0] != pair[1]]
        return f"{len(old)} and {len(new)} entries, {len(apart)} differ, first {apart[0] if apart else 'missing'}"
    return f"{old} | {new}"


def rounded(out: Path) -> dict[str, Any]:
    """The reports' numbers of a record that hold on any processor: study -> row -> metric -> value."""
    found: dict[str, Any] = {}
    for name in STUDIES:
        facts = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        rows: dict[str, dict[str, float | None]] = {}
        for row, metric, value, *_ in facts["rows"]:
            rows.setdefault(row, {})[metric] = None if value is None else round(value, DIGITS)
        found[name] = {"rows": rows, "conditions": {one[0]: round(one[1], DIGITS) for one in facts["conditions"]}}
    return found


def main() -> int:
    """Records, compares or rounds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("other", type=Path, nargs="?")
    parser.add_argument("--data", type=Path, help="the data of both records; OUT/data if not said")
    parser.add_argument("--only", default="", help="studies whose names begin so")
    parser.add_argument("--same", action="store_true", help="compare OUT with OTHER")
    parser.add_argument("--rounded", action="store_true", help="write the numbers of OUT into OTHER")
    asked = parser.parse_args()
    if asked.same:
        apart = differences(asked.out, asked.other)
        print("\n".join(apart) or "the same")
        return int(bool(apart))
    if asked.rounded:
        text = json.dumps(rounded(asked.out), indent=1, sort_keys=True)
        asked.other.write_text(text + "\n", encoding="utf-8")
        return 0
    asked.out.mkdir(parents=True, exist_ok=True)
    record(asked.out, asked.data or asked.out / "data", only=asked.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
