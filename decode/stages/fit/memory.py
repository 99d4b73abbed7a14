"""What certainly does not fit into memory is refused before a stimulus is encoded or a weight is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from brain.machine.capacity import machine_room, must_fit, room_on
from brain.machine.devices import check_device
from brain.types import Recording, Split
from decode.run.patterns import columns_of
from decode.run.settings import MapSpec, Settings, maps_of, spaces_of
from encoders.mappings import CATALOGUE as MAPPINGS
from encoders.ridge import ridge_bytes
from encoders.spaces import CATALOGUE as SPACES

CERTAIN = ("unet", "vae")
"""Components that every generator holds, whatever it leaves out of its stack."""
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a number."""


def check_networks(settings: Settings, *, drawn: bool) -> None:
    """Refuses (StorageError) a stack whose weights alone do not fit where they are to run; no weight is read.

    drawn  whether the generator is meant, in its own type; else the towers that encode, all in float32
    """
    named, machine = settings.maps.stack, settings.machine
    towers = tuple(dict.fromkeys(filter(None, (SPACES[space].component for space in spaces_of(settings.maps)))))
    parts = CERTAIN if drawn else towers
    if not named or not parts:
        return
    from pipelines.stacks.find import resolve

    check_device(machine.device)
    stack = resolve(named, numbers=False)
    dtype = settings.sampling.dtype if drawn else "float32"
    needed = WIDTHS[dtype] * sum(stack.weights(part) for part in parts)
    elsewhere = "take --device cpu, " if machine.device.startswith("cuda") else "take "
    smaller = "--dtype float16, " if drawn and dtype == "float32" else ""
    must_fit(
        f"the weights of {', '.join(parts)} of stack {named} in {dtype}", needed, room_on(machine.device),
        where=machine.device, then=f"{elsewhere}{smaller}a smaller --stack, or free some of it",
    )  # fmt: skip


def check_fitting(
    recording: Recording, folds: Sequence[Split], shapes: Mapping[str, Sequence[int]], settings: Settings
) -> None:
    """Refuses (StorageError) ridges that certainly do not fit into this machine's memory, before anything is encoded.

    shapes  space -> the shape of a condition in it
    """
    solved = [spec for spec in maps_of(settings.maps).values() if not MAPPINGS[spec.mapping].network]
    if not solved:
        return
    needed, name = max(
        (fitting_bytes(recording, fold, shapes, spec, settings), spec.name) for fold in folds for spec in solved
    )
    must_fit(
        f"fitting {name}", needed, machine_room(), where="this machine",
        then="read fewer voxels by --maps SPACE=REGION, fewer --sessions, or take a machine with more memory",
    )  # fmt: skip


def fitting_bytes(
    recording: Recording, fold: Split, shapes: Mapping[str, Sequence[int]], spec: MapSpec, settings: Settings
) -> int:
    """Bytes that fitting a map holds at once, at the least: trials, conditions, patterns, the ridge."""
    trials = recording.responses.of(fold.train)
    single = getattr(settings.mapping(spec.mapping), "trials", "") == "single"
    samples = int(trials.sum()) if single else len(set(recording.responses.stimulus[trials].tolist()))
    voxels = len(columns_of(recording, spec.regions))
    targets = math.prod(shapes[spec.space])
    true = len({*fold.train, *fold.test}) * sum(math.prod(shape) for shape in shapes.values())
    held = recording.responses.values.nbytes + 4 * (true + samples * (voxels + targets))
    return held + ridge_bytes(samples, voxels, targets, folds=settings.maps.folds)
