"""`afterimage decode RUN`: test patterns to pictures, beside their controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from app.flags import SEVERAL, given_once, knobs, parse, recipe_settings, run_settings, runs_own, typed, with_knobs
from brain.machine.devices import check_device
from decode.run.folder import RunFolder
from decode.run.settings import MachineSettings, SamplingSettings, Settings


def run(words: Sequence[str]) -> None:
    """Draws what is missing."""
    given_once(words, SEVERAL)
    stored, place = _stored(words)
    base = run_settings(stored, words) if stored.recipe else replace(recipe_settings(words), recipe="")
    title = f"Decoding method {', '.join(base.methods)}."
    drawn = knobs("methods", base.methods, stages=("decode",), title=title)

    def decode(
        run: Positional[Path],
        *,
        data: Path = place,
        stimuli: tuple[str, ...] = (),
        to: Path | None = None,
        silence: tuple[str, ...] = (),
        machine: MachineSettings = base.machine,
        sampling: SamplingSettings = base.sampling,
        method: Any = drawn,
    ) -> tuple[Path, Path, tuple[str, ...], Path | None, tuple[str, ...], Settings]:
        """Turn test patterns into pictures, beside their controls. Name a run before --help to see its own settings.

        Args:
            run: A fitted run folder.
            data: The data, if they have moved since the fit.
            stimuli: Only these test stimuli; none named takes all.
            to: Draw into this folder instead, by whatever strength, guidance, steps or seed; the run stays as it is.
            silence: With --to: regions whose voxels stand at their training mean.
        """
        methods = {**stored.methods, **with_knobs(base.methods, method)}
        return run, data, stimuli, to, silence, replace(base, machine=machine, sampling=sampling, methods=methods)

    hints = runs_own(stored, MachineSettings, SamplingSettings, drawn)
    asked = typed(decode, method=drawn)
    out, data, stimuli, to, silence, settings = parse(asked, command="decode", words=words, hints=hints)
    if not stored.recipe:
        RunFolder(out).stored()
    from decode.stages.draw.silenced import check_beside

    check_beside(silence, to)
    check_device(settings.machine.device)
    if to is not None:
        from decode.stages.draw.beside import draw_beside, drawn_of
        from decode.stages.draw.opened import Opened

        opened = Opened(run=RunFolder(out), settings=settings, data=data)
        for sample in drawn_of(draw_beside(opened, settings, to=to, stimuli=stimuli, silenced=silence)):
            print("withheld" if sample.withheld else to / "samples" / sample.file)
        return
    from decode.stages.draw.draw import decode as run_decode

    print(run_decode(out, settings, data, stimuli=stimuli))


def _stored(words: Sequence[str]) -> tuple[Settings, Path]:
    """The settings of the run that is named, and its data; where none is, the dataclasses' own, for --help."""
    run = next((Path(word) for word in words if (Path(word) / "settings.json").is_file()), None)
    return (Settings(recipe=""), Path()) if run is None else RunFolder(run).stored()
