"""A listener of forty voxels in both sound layouts, written in a second: linear in the chords that clips are made of.

It is what tests stand on, as `tiny` is for pictures. A clip is four chords of 1.28 s, each of three tones whose log
amplitudes are drawn; a voxel follows a weighted sum of the three, exactly `DELAY_S` later, plus noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.files.waveforms import RATE
from brain.simulated.layouts.sound import Clip, Event, Voxels, write_bdata, write_series, write_stimuli
from brain.types import Float
from brain.writing.origin import sign, sign_parts

CHORD_S, CHORDS = 1.28, 4
TONES_HZ = (300.0, 1200.0, 4000.0)
TR_S = 1.28
START_S = 0.64
DELAY_S = 5.12
GAP = 2
"""Chords of silence between clips."""
REGIONS = {"A1": 0, "LBelt": 10, "A5": 20, "STSda": 30}
"""The first of the ten (STSda: five) voxels of each region; the last five are in none."""


@dataclass(frozen=True, kw_only=True)
class TinyListener:
    """What was written, and the truth behind it.

    root     the data: root/stimuli, root/bdata, root/bids
    chords   clip -> (4, 3) float64 log amplitudes;  weights (3, voxel);  voxels where they are
    clips    the table, as written
    """

    root: Path
    chords: dict[str, NDArray[np.float64]]
    weights: NDArray[np.float64]
    voxels: Voxels
    clips: tuple[Clip, ...]

    def signal(self, stimulus: str) -> NDArray[np.float64]:
        """(voxel,) the noiseless response to a window such as "clip03_slide1": the mean of its two chords."""
        clip, _, number = stimulus.rpartition("_slide")
        chords: NDArray[np.float64] = self.chords[clip][int(number) : int(number) + 2].mean(axis=0)
        return np.asarray(chords @ self.weights, np.float64)


def tiny_listener(
    root: Path, *, clips: int = 24, tests: int = 6, sessions: int = 2, noise: float = 0.3, seed: int = 0
) -> TinyListener:
    """Write one listener under `root` and return it with its truth; each session plays every clip once."""
    generator = np.random.default_rng(seed)
    table = tuple(_clip(number, tests=tests, of=clips) for number in range(clips))
    chords = {clip.clip: generator.normal(size=(CHORDS, len(TONES_HZ))) for clip in table}
    weights = generator.normal(size=(len(TONES_HZ), 40))
    listener = TinyListener(root=root, chords=chords, weights=weights, voxels=_voxels(), clips=table)
    write_stimuli(root, table, wave=lambda clip: _wave(chords[clip]))
    _write_bdata(listener, generator, sessions=sessions, noise=noise)
    for session in range(1, sessions + 1):
        for run, half in enumerate((table[::2], table[1::2]), start=1):
            _write_run(listener, half, generator, session=session, run=run, noise=noise)
    facts = {"kind": "tiny", "modality": "sound", "seed": seed}
    sign_parts(root, facts)
    sign(root, facts)
    return listener


def _clip(number: int, *, tests: int, of: int) -> Clip:
    kind = "low" if number % 2 else "high"
    return Clip(
        clip=f"clip{number:02d}",
        split="test" if number >= of - tests else "train",
        captions=(f"chords number {number}", f"{kind} chords"),
        labels={"category": "music", "kind": kind},
    )


def _voxels() -> Voxels:
    ijk = np.stack(np.unravel_index(np.arange(40) * 3, (5, 6, 4)), axis=1)
    masks = {}
    for name, first in REGIONS.items():
        masks[name] = np.zeros(40, np.bool_)
        masks[name][first : first + (5 if name == "STSda" else 10)] = True
    affine = np.array([[2.0, 0, 0, -60], [0, 2.0, 0, -30], [0, 0, 2.0, 4], [0, 0, 0, 1]])
    return Voxels(ijk=ijk, affine=affine, regions=masks)


def _wave(chords: NDArray[np.float64]) -> Float:
    time = np.arange(round(CHORD_S * RATE)) / RATE
    tones = np.sin(2 * np.pi * np.outer(TONES_HZ, time))
    return np.concatenate([0.02 * np.exp(chord) @ tones for chord in chords]).astype(np.float32)


def _write_bdata(listener: TinyListener, generator: np.random.Generator, *, sessions: int, noise: float) -> None:
    for side, repeats in (("train", 1), ("test", 2)):
        names = [f"{clip.clip}_slide{number}" for clip in listener.clips if clip.split == side for number in range(3)]
        shown = names * (sessions * repeats)
        session = np.repeat(np.arange(1, sessions + 1), len(names) * repeats)
        values = np.stack([listener.signal(name) for name in shown])
        columns = {
            "Session": session,
            "Run": 2 * session - (side == "train"),
            "slide": np.array([int(name[-1]) for name in shown]),
        }
        write_bdata(
            listener.root / f"bdata/S1_{side}.h5",
            values + noise * generator.normal(size=values.shape),
            stimulus=shown,
            voxels=listener.voxels,
            columns=columns,
        )


def _write_run(
    listener: TinyListener,
    clips: tuple[Clip, ...],
    generator: np.random.Generator,
    *,
    session: int,
    run: int,
    noise: float,
) -> None:
    step = CHORDS + GAP
    volumes = len(clips) * step + 8
    series = 100 + noise * generator.normal(size=(volumes, 40))
    events = []
    for number, place in enumerate(generator.permutation(len(clips)).tolist()):
        first = number * step + round(DELAY_S / TR_S)
        series[first : first + CHORDS] += listener.chords[clips[place].clip] @ listener.weights
        name = clips[place].clip
        events.append(
            Event(onset_s=number * step * CHORD_S, duration_s=5.12, trial_type="music", stim_file=f"{name}.wav")
        )
    write_series(
        listener.root / "bids",
        series,
        subject="01",
        session=session,
        run=run,
        tr_s=TR_S,
        start_s=START_S,
        events=events,
        voxels=listener.voxels,
    )
