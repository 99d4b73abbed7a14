"""Sounds are of one length, and no longer than what reads or draws them: refused before a sound is encoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from brain.errors import InputError, expected
from brain.files.waveforms import HOP_SECONDS, RATE
from brain.types import Recording
from decode.run.settings import Settings, spaces_of
from decode.run.showing import heard
from encoders.spaces import CATALOGUE as SPACES
from encoders.spaces import Limited

if TYPE_CHECKING:
    from pipelines.stacks.folder import StackFolder



def longest_sounds(settings: Settings, modality: str) -> dict[str, float]:
    """What reads or draws sounds of a length of its own -> that length in seconds, the shortest first.

    Of the stack's configurations alone: no weights are read. Nothing for pictures, nor where no stack is named.
    """
    if modality != "sound" or not settings.maps.stack:
        return {}
    from pipelines.stacks.find import resolve

    stack = resolve(settings.maps.stack, numbers=False)
    return longest_of(stack, spaces_of(settings.maps))


def longest_of(stack: StackFolder, spaces: Iterable[str]) -> dict[str, float]:
    """The lengths in seconds of `longest_sounds`, of this stack and these spaces."""
    entries = {f"space {name}": SPACES[name] for name in spaces}
    found = {name: entry.seconds(stack.path) for name, entry in entries.items() if isinstance(entry, Limited)}
    found[f"stack {stack.row.name if stack.row else stack.path.name}"] = stack.seconds
    return dict(sorted(found.items(), key=lambda one: one[1]))


def check_lengths(recording: Recording, ids: Sequence[str], longest: Mapping[str, float] | None = None) -> None:
    """Refuses (InputError) sounds of more than one length, for all rows are compared at one, and sounds too long.

    longest  what reads or draws them -> the seconds it takes at most; nothing of a sound is left out in silence
    """
    if recording.stimuli.modality != "sound":
        return
    lengths = {name: len(heard(recording.stimuli, name)) for name in ids}
    for reads, seconds in list((longest or {}).items())[:1]:
        # resampling rounds up: what is longer by less than a hop is no longer sound
        over = [name for name, length in lengths.items() if length >= (seconds + HOP_SECONDS) * RATE]
        if over:
            most = max(over, key=lambda one: lengths[one])
            cut = min(seconds, *(length / RATE for length in lengths.values()))
            raise InputError(
                expected(
                    recording.source, f"sounds of at most {seconds:.3f} s, which is what {reads} takes",
                    f"{len(over)} of {len(ids)} sounds that are longer, up to {lengths[most] / RATE:.3f} s ({most})",
                    f"cut all to one length of at most {cut:.3f} s, as windows of their own, and pack or list them "
                    "again",
                )
            )  # fmt: skip
    if len(set(lengths.values())) > 1:
        short, long = min(lengths, key=lambda one: lengths[one]), max(lengths, key=lambda one: lengths[one])
        raise InputError(
            expected(
                recording.source, f"sounds of one length, {len(ids)} of them",
                f"{len(set(lengths.values()))} lengths from {lengths[short] / RATE:.3f} s ({short}) to "
                f"{lengths[long] / RATE:.3f} s ({long})",
                f"cut them to one length, such as {lengths[short] / RATE:.3f} s, and pack again",
            )
        )  # fmt: skip


def filled_up(recording: Recording, settings: Settings, ids: Sequence[str]) -> tuple[str, ...]:
    """A sentence on sounds, of one length all, that are shorter than what reads or draws them; none where they fit."""
    longest = longest_sounds(settings, recording.stimuli.modality)
    if not longest:
        return ()
    length = len(heard(recording.stimuli, ids[0])) / RATE
    wider = [f"{name} ({seconds:.3f} s)" for name, seconds in longest.items() if length + HOP_SECONDS <= seconds]
    said = f"sounds of {length:.3f} s are shorter than what {', '.join(wider)} take"
    then = "they are filled up, as each space's card says, and what is drawn is cut to their length"
    return (f"{said}: {then}",) * bool(wider)
