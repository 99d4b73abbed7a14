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
        trials: int = 750,
    ) -> str:
        """Draw scenes, let a simulated brain watch them, and write it all in NSD's own folder layout.

        Args:
            out: The folder to make.
            modality: What is shown.
            subjects: How many subjects, 1 to 8.
            sessions: How many sessions each, 1 to 40.
            snr: Scales the signal: 1 is much like NSD, 0 is noise alone.
            seed: Of the scenes, the cortex and the noise.
            trials: Trials in a session; NSD has 750.
        """
        from decode.simulation import simulate_once

        return simulate_once(
            out, modality=modality, subjects=subjects, sessions=sessions, snr=snr, seed=seed, trials=trials
        )

    print(parse(simulate, command="simulate", words=words))
