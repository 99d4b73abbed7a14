"""`afterimage decode RUN`: test patterns to pictures, beside their controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tyro.conf import Positional

from app.flags import parse, runs_own
from brain.devices import check_device
from decode.run_folder import RunFolder
from decode.settings import DecodeSettings, MachineSettings, Settings


def run(words: Sequence[str]) -> None:
    """Draws what is missing."""
    stored, place = _stored(words)

    def decode(
        run: Positional[Path],
        *,
        data: Path = place,
        stimuli: tuple[str, ...] = (),
        to: Path | None = None,
        machine: MachineSettings = stored.machine,
        decode: DecodeSettings = stored.decode,
    ) -> tuple[Path, Path, tuple[str, ...], Path | None, Settings]:
        """Turn test patterns into pictures, beside their controls. Name a run before --help to see its own settings.

        Args:
            run: A fitted run folder.
            data: The data, if they have moved since the fit.
            stimuli: Only these test stimuli; none named takes all.
            to: Draw into this folder instead, by whatever strength, guidance, steps or seed; the run stays as it is.
        """
        return run, data, stimuli, to, replace(stored, machine=machine, decode=decode)

    out, data, stimuli, to, settings = parse(
        decode, command="decode", words=words, hints=runs_own(stored, "machine", "decode")
    )
    if not stored.recipe:
        RunFolder(out).stored()
    check_device(settings.machine.device)
    if to is not None:
        from decode.beside import draw_beside, drawn_of
        from decode.opened import Opened

        opened = Opened(run=RunFolder(out), fit=settings.fit, data=data)
        for sample in drawn_of(draw_beside(opened, settings, to=to, stimuli=stimuli)):
            print("withheld" if sample.withheld else to / "samples" / sample.file)
        return
    from decode.decode import decode as run_decode

    print(run_decode(out, settings, data, stimuli=stimuli))


def _stored(words: Sequence[str]) -> tuple[Settings, Path]:
    """The settings of the run that is named, and its data; where none is, the dataclasses' own, for --help."""
    run = next((Path(word) for word in words if (Path(word) / "settings.json").is_file()), None)
    return (Settings(recipe=""), Path()) if run is None else RunFolder(run).stored()
