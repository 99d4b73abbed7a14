"""`afterimage synthesize RUN --region NAME`: pictures that a region, a voxel or a pattern of it wants to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tyro.conf import Positional

from app.flags import parse, runs_own
from brain.machine.devices import check_device
from decode.run.folder import RunFolder
from decode.run.settings import MachineSettings, Settings
from pipelines.synthesis import SynthesisSettings

HOW = SynthesisSettings()


class SynthesisFlags(NamedTuple):
    """What was asked for, as the flags have it."""

    run: Path
    data: Path
    region: tuple[str, ...]
    against: tuple[str, ...]
    voxel: str
    pattern: str
    method: tuple[str, ...]
    n: int
    reference: Path | None
    to: Path | None
    machine: MachineSettings


def run(words: Sequence[str]) -> None:
    """Makes what is missing and prints the path of the page, last."""
    from decode.stages.synthesize.methods import synthesis_methods, usual_methods

    usual = usual_methods()
    home = next((Path(word) for word in words if (Path(word) / "settings.json").is_file()), None)
    stored, place = (Settings(recipe=""), Path()) if home is None else RunFolder(home).stored()

    def synthesize(
        run: Positional[Path],
        *,
        region: tuple[str, ...] = (),
        against: tuple[str, ...] = (),
        voxel: str = "",
        pattern: str = "",
        method: tuple[str, ...] = usual,
        n: int = 8,
        reference: Path | None = None,
        data: Path = place,
        to: Path | None = None,
        machine: MachineSettings = stored.machine,
        how: SynthesisSettings = HOW,
    ) -> tuple[SynthesisFlags, SynthesisSettings]:
        """Make pictures that drive a region, and let other judges than the guiding encoder score them.

        Args:
            run: A fitted run folder; its data, split and stack are used.
            region: Regions to drive, NAME or NAME:WEIGHT.
            against: Regions to keep quiet.
            voxel: One voxel to drive instead of a region, I,J,K in the volume.
            pattern: A pattern to drive the region's voxels towards: a stimulus, whose measured one is meant, or a file
                (.npy over all voxels, or .csv with i, j, k, value).
            method: Methods to make them: retrieval, embedding, best-of-n, search, noise, guided, braindive, and the
                controls unguided and random-region, with which others are compared; all takes every one.
            n: Pictures of each method.
            reference: A picture to start from.
            data: The data, if they have moved since the fit.
            to: Make them in this folder instead, by whatever seed; the run stays as it is.
        """
        return SynthesisFlags(run, data, region, against, voxel, pattern, method, n, reference, to, machine), how

    flags, how = parse(synthesize, command="synthesize", words=words, hints=runs_own(stored, MachineSettings))
    if not stored.recipe:
        RunFolder(flags.run).stored()
    check_device(flags.machine.device)
    from decode.stages.synthesize.objectives import SynthesisRequest, objective_terms
    from decode.stages.synthesize.synthesize import synthesize as make
    from encoders.storage import read_json

    signs, terms = objective_terms(region=flags.region, against=flags.against, voxel=flags.voxel, pattern=flags.pattern)
    request = SynthesisRequest(
        signs=signs, methods=synthesis_methods(flags.method), count=flags.n, reference=flags.reference, terms=terms
    )
    settings = replace(stored, machine=flags.machine)
    page = make(flags.run, settings, flags.data, request=request, how=how, to=flags.to)
    print(read_json(page.with_name("report.json"), kind="synthesis")["answer"])
    print(page)
