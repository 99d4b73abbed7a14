"""`afterimage simulate OUT`: draw scenes, let a simulated brain watch them, write it all as NSD does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from app.flags import parse


def run(words: Sequence[str]) -> None:
    """Simulates, or finds it done."""

    def simulate(
        out: Positional[Path],
        *,
        modality: Literal["image", "sound"] = "image",
        subjects: int = 1,
        sessions: int = 4,
        snr: float = 1.0,
        seed: int = 0,
        trials: int = 0,
        unlabelled: int = 0,
        rest: int = 0,
    ) -> str:
        """Draw scenes or sounds, let a simulated brain see or hear them, and write it all as real data sets are.

        Args:
            out: The folder to make.
            modality: Pictures in NSD's own folder layout, or sounds as BData and as a time series with events.
            subjects: How many subjects, 1 to 8.
            sessions: How many sessions each, 1 to 40.
            snr: Scales the signal: 1 is much like NSD, 0 is noise alone.
            seed: Of the scenes, the cortex and the noise.
            trials: Trials in a session; 0 takes 750 pictures, as NSD has, or 350 sounds.
            unlabelled: Trials with scenes that nobody is tested on, for every subject, to pretrain an encoder on.
            rest: Trials of rest, without a stimulus, for every subject.
        """
        from decode.stages.simulation import simulate_once

        return simulate_once(
            out,
            modality=modality,
            subjects=subjects,
            sessions=sessions,
            snr=snr,
            seed=seed,
            trials=trials,
            unlabelled=unlabelled,
            rest=rest,
        )

    print(parse(simulate, command="simulate", words=words))
