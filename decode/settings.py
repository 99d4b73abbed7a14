"""What can be asked of a run: frozen settings, one dataclass a stage; a recipe fills them, flags override.

A setting that cannot change a result (how many at once, on which device, how many samples) is marked `free`: a run may
be resumed under another value of it, and under no other value of anything else.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from brain.bounds import seed_within, within
from brain.errors import InputError, UsageError, expected
from encoders.settings import unflagged

Stage = TypeVar("Stage")
MINDVIS = "mindvis"
"""The method that draws from voxels themselves, by a stack that was fine-tuned on them (double conditioning)."""
REFITS = (19, 100_000)
EVERY = ("*",)
"""What stands for every voxel where regions are named."""


def free(default: Any) -> Any:
    """A field whose value never changes a result, so that a resumed run may have another."""
    return field(default=default, metadata={"free": True})


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """How the work is done; only the seed can change a result."""

    seed: int = 0
    """The run's seed: folds and every sample's own seed derive from it."""
    device: str = free("cpu")
    """Where networks run: cpu, cuda, cuda:1, mps."""
    batch: int = free(0)
    """How many samples are drawn side by side; 0 is what keeps the device busy. It never changes a sample."""

    def __post_init__(self) -> None:
        seed_within(self.seed)
        within("--batch", self.batch, 0)


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """From responses to mappings."""

    subject: str = ""
    """Which subject, such as subj01; empty takes the first one there is."""
    sessions: tuple[int, ...] = ()
    """Which sessions, counted from 1; empty takes all there should be."""
    betas: str = ""
    """Which version of the betas, such as betas_fithrf; empty takes the reader's default."""
    reader: str = ""
    """Which reader opens the data; empty looks at the data and decides."""
    fields: str = ""
    """Where the own-data format's fields have other names in your file: stimulus=figure,group=run."""
    standardise: str = ""
    """How voxels are standardised, by training trials: session (z-scores within each), all (over all), none; empty
    looks at the design: session where what was shown does not depend on the session, else it asks you."""
    split: str = ""
    """The split's name, or a family such as leave-out or cluster-5 whose splits are folds; empty takes the first."""
    stack: str = "miniature-image"
    """The pretrained checkpoints: a name from `afterimage stacks`, or a folder in their layout; empty needs none."""
    maps: tuple[str, ...] = ()
    """What is decoded from which voxels: SPACE=REGION+REGION, or SPACE=* alone for every voxel."""
    mapping: str = "ridge"
    """What reads the voxels: ridge, residual (a network), prior (its diffusion prior) or shared (others' trunk)."""
    network_steps: int = 0
    """Steps of every training of a network; 0 takes each network's own plan. Networks train on single trials."""
    voxels: tuple[str, ...] = ()
    """Regions whose voxels the stack is fine-tuned on for the method mindvis; * alone: every voxel; empty: none is."""
    paths: str = "both"
    """Method mindvis: by which paths the brain speaks to the UNet, cross (attention), time (embedding) or both."""
    start: str = "ridge"
    """Method mindvis: where fine-tuning starts, ridge (to the stack's own conditions of the pictures) or silent."""
    encoder: str = ""
    """Method mindvis: what masked brain modelling has learned, a file of `encoders.pretrain`; empty pretrains one."""
    masked_steps: int = 1500
    """Method mindvis: steps of that pretraining, on the run's training trials; 0 starts from random weights."""
    tune_steps: int = 1000
    """Method mindvis: steps of fine-tuning, 16 trials each; three tenths without a better validation end it."""
    trials: str = "averaged"
    """What a ridge is fitted on: averaged (one pattern a stimulus) or single (every trial; for few stimuli)."""
    alphas: tuple[float, ...] = ()
    """The ridge penalties to choose from, one chosen for each target."""
    shared_penalty: bool = False
    """One penalty for all targets together: steadier where few stimuli have to choose it."""
    folds: int = 5
    """Folds of the training stimuli that choose the penalty and settle a guess' norm and spread."""
    refits: int = free(199)
    """In folds: how often patterns are permuted and all is fitted anew, for p; 0 leaves p out."""
    chunk: int = 1024
    """How many targets are solved at once. It decides the last bits."""
    pixels: str = ""
    """The pixels of the space pixels, such as grey-10x10 or rgb-64x64; empty takes the pictures' own, 64x64 at most."""

    def __post_init__(self) -> None:
        for session in self.sessions:
            within("--sessions", session, 0)
        for name, low in (("network_steps", 0), ("masked_steps", 0), ("tune_steps", 1), ("folds", 2), ("chunk", 1)):
            within(f"--{name.replace('_', '-')}", getattr(self, name), low)
        if self.refits and not REFITS[0] <= self.refits <= REFITS[1]:
            then = f"p cannot be 0.05 with fewer than {REFITS[0]}"
            raise UsageError(expected("--refits", f"0, or {REFITS[0]} to {REFITS[1]}", str(self.refits), then))
        for alpha in self.alphas:
            if not 0 < alpha < math.inf:
                raise UsageError(expected("--alphas", "finite numbers above 0", f"{alpha:g}", "correct it"))
        if self.pixels:
            _check_pixels(self.pixels)
        if "*" in self.voxels:
            _alone(self.voxels, flag="--voxels", written="--voxels '*'")


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """From test patterns to pictures."""

    method: str = ""
    """Which generator draws: a name from `pipelines/generators/`."""
    rows: tuple[str, ...] = free(
        ("decoded", "shuffled", "mean", "prior", "repeat", "retrieval", "oracle", "round_trip")
    )
    """Which rows of the ladder are drawn beside the references."""
    beside: tuple[str, ...] = free(())
    """Other generators that draw from the same decoded conditions, each a row of its own."""
    seeds: int = free(1)
    """Samples for each stimulus in the row decoded."""
    control_seeds: int = free(1)
    """Samples for each stimulus in the rows shuffled, mean and oracle."""
    steps: int = 20
    """Steps of the sampler."""
    guidance: float = 3.0
    """Classifier-free guidance: 1 is none."""
    strength: float = 0.8
    """How far a decoded latent is noised before the walk, above 0 to 1: 1 forgets it."""
    noise_level: int = 0
    """How far a decoded image embedding is noised, a step of the stack's noising scheduler."""
    loa_weight: float = 1.0
    """Sounds, coarse to fine: how much decoded LOA counts beside what the language model makes of decoded CLAP."""
    anchor_weight: float = 1.0
    """Sounds, anchored: how much the retrieved exemplar counts beside the decoded mel latent."""
    candidates: int = 8
    """Sounds: of how many samples the row reranked keeps the best."""
    eta: float = 0.0
    """Noise added in each step: 0 is none, 1 as in DDPM."""
    scheduler: str = ""
    """ddim, ddpm, dpm++, euler, euler-ancestral or pndm; empty takes the stack's own."""
    dtype: str = "float32"
    """Numbers of the generator: float32, bfloat16 or float16."""
    lane: int = 0
    """Samples in one call of a network; 0 takes what fits the stack and the device. It decides the last bits."""
    test_repeats: int = 0
    """How many repeats of a test stimulus are averaged; 0 takes all."""


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """From pictures to a report."""

    judge: str = ""
    """The judge: a name from `evaluation/judges/`, or a classifier's folder; empty takes the bundled one."""
    bootstrap: int = 2000
    """Resamples of the stimuli for the intervals."""
    permutations: int = 1000
    """Permutations for the p-values; 0 leaves them out."""
    profile: str = "clean"
    """Which metrics, and how pictures reach them: clean, or paper-... for those of a paper, faults included."""
    curves: bool = False
    """Also fewer regions, ranks, repeats and training sessions: minutes of fitting and drawing."""
    curve_stimuli: int = 24
    """Test stimuli for which the pictures of curves are drawn; their conditions are scored on all."""
    export: bool = False
    """Also RDMs for rsatoolbox and a folder for a blinded test with people, in RUN/report."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that was asked of a run, by stage."""

    recipe: str
    machine: MachineSettings = MachineSettings()
    fit: FitSettings = FitSettings()
    decode: DecodeSettings = DecodeSettings()
    evaluate: EvaluateSettings = EvaluateSettings()


def needed_maps(fit: FitSettings) -> dict[str, tuple[str, ...]]:
    """Space -> region names of `maps`; EVERY is every voxel. A malformed entry is a UsageError."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in fit.maps:
        space, _, regions = entry.partition("=")
        names = tuple(name.strip() for name in regions.split("+"))
        if not space or not all(names):
            raise UsageError(f"--maps: expected SPACE=REGION+REGION such as clip-text=ventral+lateral, found {entry!r}")
        if space in found:
            raise UsageError(f"--maps: {space!r} stands twice; join its regions with +")
        if "*" in names:
            _alone(names, flag="--maps", written=f"'{space}=*'")
        found[space] = names
    if not found:
        raise UsageError("--maps: expected at least one SPACE=REGION, found none; name a recipe that has them")
    return found


def _alone(names: tuple[str, ...], *, flag: str, written: str) -> None:
    """Refuses (UsageError) the sign for every voxel beside regions: which of both is meant?"""
    if names != EVERY:
        others = ", ".join(name for name in names if name != "*") or "itself"
        then = f"write {written} for every voxel, or leave * out"
        raise UsageError(expected(flag, "* alone, for it is every voxel already", f"* beside {others}", then))


def _check_pixels(pixels: str) -> None:
    """Refuses (UsageError) pixels that the space of that name does not know."""
    from encoders.spaces import CATALOGUE  # imports arrays, which flags can be read without

    try:
        CATALOGUE["pixels"].open(Path(), model=pixels, revision="", device="")
    except UsageError as fault:
        then = "write the kind and a height and a width from 1 to 9999"
        raise UsageError(expected("--pixels", "pixels such as grey-10x10 or rgb-64x64", repr(pixels), then)) from fault


def to_json(settings: Any) -> Any:
    """A settings value as plain JSON; tuples become lists."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(settings).items()
    }


def differences(old: dict[str, Any], new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, old and new value of each setting that differs and is not free. `old` is JSON, `new` a stage's settings."""
    fresh = to_json(new)
    for setting in dataclasses.fields(new):
        if setting.metadata.get("free"):
            continue
        if setting.name not in old or old[setting.name] != fresh[setting.name]:
            yield setting.name, old.get(setting.name), fresh[setting.name]


def from_json(kind: type[Stage], stored: dict[str, Any], *, where: object = "settings.json") -> Stage:
    """A stage's settings from JSON, in the file `where`.

    An unknown or missing name is a UsageError, for it is another version's run. A value of another type than the
    setting's is a UsageError that names it; one that no flag could have given an InputError that does.
    """
    names = {setting.name for setting in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if set(stored) != names:
        odd = ", ".join(sorted(set(stored) ^ names))
        raise UsageError(f"{where}: {odd} not understood by this version; start a new run with --out")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    for name, hint in get_type_hints(kind).items():
        if not _is(values[name], hint):
            kind_of = getattr(hint, "__name__", hint) if get_origin(hint) is None else hint
            raise UsageError(f"{where}: {name} expected {kind_of}, found {values[name]!r:.60}; start a new run")
    try:
        return kind(**values)
    except UsageError as fault:
        then = "put the file back, or start a new run with --out"
        raise InputError(f"{where}: {unflagged(fault)}; {then}") from fault


def _is(value: Any, hint: Any) -> bool:
    """Is it a value of that type? A whole number is a float, a truth value is no number."""
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_is(one, get_args(hint)[0]) for one in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint
