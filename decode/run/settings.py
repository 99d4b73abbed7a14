"""What can be asked of a run: frozen settings, one dataclass a section; a recipe fills them, flags override.

Mappings and methods bring settings of their own classes (`encoders/mappings/`, `decode/methods/`): only what they read.
A setting that cannot change a result (how many at once, on which device, how many samples) is marked `free`: a run may
be resumed under another value of it, and under no other value of anything else.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from brain.catalogue import Catalogue
from brain.console.bounds import seed_within, within
from brain.console.flags_page import flag_of
from brain.errors import UsageError, expected
from pipelines.settings import NumberType

REFITS = (19, 100_000)
NAME = r"[A-Za-z0-9_-]{1,60}"
"""What a map may be called: its name is part of files' names."""
EVERY = ("*",)
"""What stands for every voxel where regions are named."""
SPACES: Catalogue[Any] = Catalogue("encoders.spaces", "condition space")
METHODS: Catalogue[Any] = Catalogue("decode.methods", "decoding method")
MAPPINGS: Catalogue[Any] = Catalogue("encoders.mappings", "mapping")
LADDER = ("decoded", "shuffled", "mean", "prior", "repeat", "retrieval", "oracle", "round_trip")
"""The rows that are drawn where nobody chooses, of those that the method can draw."""


def free(default: Any) -> Any:
    """A field whose value never changes a result, so that a resumed run may have another."""
    return field(default=default, metadata={"free": True})


def fitting(default: Any, **more: Any) -> Any:
    """A field of a method that decides what it learns in the fit; `place=True`: a path, of which cards say the name."""
    return field(default=default, metadata={"stage": "fit", **more})


def named(default: Any, catalogue: str, *, is_free: bool = False) -> Any:
    """A field that names an entry, or entries, of the catalogue in that package."""
    return field(default=default, metadata={"catalogue": catalogue, "free": is_free})


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """How the work is done; only the seed can change a result."""

    seed: int = 0
    """Seed of the run, for folds and samples."""
    device: str = free("cpu")
    """Where networks run: cpu, cuda, cuda:1, mps."""
    batch: int = free(0)
    """Samples drawn side by side; 0 keeps the device busy."""

    def __post_init__(self) -> None:
        seed_within(self.seed)
        within("--batch", self.batch, 0)


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What is read of the data."""

    subject: str = ""
    """Subject, such as subj01; empty takes the only one."""
    sessions: tuple[int, ...] = ()
    """Sessions, counted from 1; empty takes all."""
    betas: str = ""
    """Version of the betas, such as betas_fithrf."""
    reader: str = named("", "brain.readers")
    """What opens the data; empty looks."""
    fields: str = ""
    """Names of your own file's fields: stimulus=figure,group=run."""
    standardise: Literal["", "session", "all", "none"] = ""
    """z-scores; empty: by the design."""
    split: str = ""
    """A split, or a family of folds: leave-out, cluster-5."""

    def __post_init__(self) -> None:
        for session in self.sessions:
            within("--sessions", session, 0)


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """Which conditions are decoded from which voxels."""

    stack: str = "miniature-image"
    """Checkpoints, see `afterimage stacks`, or a folder."""
    maps: tuple[str, ...] = ()
    """[NAME:]SPACE[@MAPPING]=REGION+REGION; * for every voxel."""
    mapping: str = named("ridge", "encoders.mappings")
    """What predicts conditions from voxels."""
    folds: int = 5
    """Folds of the training stimuli, for penalties and rescaling."""
    refits: int = free(199)
    """Fits to permuted patterns in folds, for p; 0 leaves p out."""

    def __post_init__(self) -> None:
        within("--folds", self.folds, 2)
        if self.refits and not REFITS[0] <= self.refits <= REFITS[1]:
            then = f"p cannot be 0.05 with fewer than {REFITS[0]}"
            raise UsageError(expected("--refits", f"0, or {REFITS[0]} to {REFITS[1]}", str(self.refits), then))


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """Which samples are drawn, and by which decoding method."""

    method: str = named("", "decode.methods")
    """The decoding method."""
    beside: tuple[str, ...] = named((), "decode.methods", is_free=True)
    """Further methods, each a row of its own."""
    rows: tuple[str, ...] = free(LADDER)
    """Rows of the ladder."""
    seeds: int = free(1)
    """Samples of each stimulus in row decoded."""
    control_seeds: int = free(1)
    """The same in rows shuffled, mean, oracle and of --beside."""
    test_repeats: int = 0
    """Repeats of a test stimulus that are averaged; 0 takes all."""
    dtype: NumberType = "float32"
    """Number type of the generator."""
    micro_batch: int = 0
    """Samples in one call of a network; 0 takes what fits."""

    def __post_init__(self) -> None:
        for name, low in (("seeds", 1), ("control_seeds", 1), ("test_repeats", 0), ("micro_batch", 0)):
            within(flag_of(name), getattr(self, name), low)


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How samples are judged."""

    judge: str = named("", "evaluation.judges")
    """Judge, or a folder; empty takes ours."""
    profile: str = named("clean", "evaluation.profiles")
    """Which metrics, and how samples reach them."""
    bootstrap: int = 2000
    """Resamples of the stimuli, for intervals."""
    permutations: int = 1000
    """Permutations for p; 0 leaves p out."""
    curves: bool = False
    """Also curves over regions, ranks, repeats and sessions."""
    curve_stimuli: int = 24
    """Test stimuli of which curves have samples."""
    export: bool = False
    """Also RDMs for rsatoolbox and a folder for a human test."""

    def __post_init__(self) -> None:
        within("--bootstrap", self.bootstrap, 100)
        within("--permutations", self.permutations, 0)
        within("--curve-stimuli", self.curve_stimuli, 2)


@dataclass(frozen=True, kw_only=True)
class Absent:
    """Settings of a method or mapping that this installation does not have, as they were stored."""

    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that was asked of a run, by section.

    mappings  kind of mapping -> its settings; methods: decoding method -> its settings. What is not named there has its
              own defaults, and of a setting that others there read too the value of the first of them (`after`)
    """

    recipe: str
    machine: MachineSettings = MachineSettings()
    data: DataSettings = DataSettings()
    maps: MapSettings = MapSettings()
    mappings: Mapping[str, Any] = field(default_factory=dict)
    sampling: SamplingSettings = SamplingSettings()
    methods: Mapping[str, Any] = field(default_factory=dict)
    evaluation: EvaluationSettings = EvaluationSettings()

    def mapping(self, kind: str) -> Any:
        """The settings of the mapping of that kind; one that nobody has is a UsageError."""
        return _own(self.mappings, MAPPINGS, kind, main=self.maps.mapping)

    def method(self, name: str) -> Any:
        """The settings of the decoding method of that name; one that nobody has is a UsageError."""
        return _own(self.methods, METHODS, name, main=self.sampling.method)

    def whole(self) -> Settings:
        """The same with the settings of every mapping and method that is asked for; absent ones stay as they are."""

        def filled(known: Mapping[str, Any], own: Callable[[str], Any], names: Iterable[str]) -> dict[str, Any]:
            return {name: known[name] if isinstance(known.get(name), Absent) else own(name) for name in names}

        kinds = dict.fromkeys((self.maps.mapping, *(one.mapping for one in maps_of(self.maps).values())))
        return replace(
            self, mappings=filled(self.mappings, self.mapping, kinds),
            methods=filled(self.methods, self.method, methods_asked(self)),
        )  # fmt: skip


def _own(known: Mapping[str, Any], catalogue: Catalogue[Any], name: str, *, main: str) -> Any:
    entry = catalogue[name]  # which is refused where nobody has it, whatever is stored
    if name in known and not isinstance(known[name], Absent):
        return known[name]
    first = [known[main]] if main in known else []
    return after(entry.settings, [*first, *(own for other, own in known.items() if other != main)])


FIXED = {
    "machine": MachineSettings, "data": DataSettings, "maps": MapSettings, "sampling": SamplingSettings,
    "evaluation": EvaluationSettings,
}  # fmt: skip
"""Sections whose class is always the same."""
CHOSEN: dict[str, Catalogue[Any]] = {"mappings": MAPPINGS, "methods": METHODS}
"""Sections that hold the settings of entries, by name."""
STAGE = {"machine": "machine", "data": "fit", "maps": "fit", "mappings": "fit", "sampling": "decode",
         "methods": "decode", "evaluation": "evaluate"}  # fmt: skip
"""Section -> the stage that its settings bind, where a field does not say another."""


@dataclass(frozen=True, kw_only=True)
class MapSpec:
    """One map of a run: its name, the space it predicts, the kind of mapping, the regions whose voxels it reads."""

    name: str
    space: str
    mapping: str
    regions: tuple[str, ...]


def maps_of(maps: MapSettings) -> dict[str, MapSpec]:
    """Name -> map, in the order asked for; a malformed entry, or a name twice, is a UsageError."""
    found: dict[str, MapSpec] = {}
    for entry in maps.maps:
        left, _, regions = entry.partition("=")
        name, colon, space = left.rpartition(":")
        space, at, kind = space.partition("@")
        names = tuple(one.strip() for one in regions.split("+"))
        if not space or not all(names) or (colon and not name) or (at and not kind):
            raise UsageError(f"--maps: expected SPACE=REGION+REGION such as clip-text=ventral+lateral, found {entry!r}")
        if not re.fullmatch(NAME, name or "map"):
            then = f"such as early:{space}={regions}"
            what = "a name of letters, digits, - and _, 60 at most"
            raise UsageError(expected("--maps", what, f"{name!r:.80}", then))
        if name != space and name in SPACES.names():
            then = f"such as early-{name}:{space}={regions}"
            raise UsageError(expected("--maps", f"a map into {space} of a name that is no other space's", name, then))
        name = name or space
        if name in found:
            then = f"join its regions with +, or name one of them: NAME:{space}=REGION"
            raise UsageError(expected("--maps", f"{name!r} once", "it twice", then))
        if "*" in names:
            alone(names, flag="--maps", written=f"'{left}=*'")
        found[name] = MapSpec(name=name, space=space, mapping=kind or maps.mapping, regions=names)
    if not found:
        raise UsageError("--maps: expected at least one SPACE=REGION, found none; name a recipe that has them")
    return found


def spaces_of(maps: MapSettings) -> tuple[str, ...]:
    """The spaces of a run's maps, each once, in their order."""
    return tuple(dict.fromkeys(spec.space for spec in maps_of(maps).values()))


def kinds_of(maps: MapSettings) -> tuple[str, ...]:
    """The kinds of mapping of a run's maps, each once."""
    return tuple(dict.fromkeys(spec.mapping for spec in maps_of(maps).values()))


def alone(names: tuple[str, ...], *, flag: str, written: str) -> None:
    """Refuses (UsageError) the sign for every voxel beside regions: which of both is meant?"""
    if names != EVERY:
        others = ", ".join(name for name in names if name != "*") or "itself"
        then = f"write {written} for every voxel, or leave * out"
        raise UsageError(expected(flag, "* alone, for it is every voxel already", f"* beside {others}", then))


def after(own: Any, others: Sequence[Any]) -> Any:
    """`own` settings of an entry beside `others`: a setting that several read has the value of the first of them."""
    for other in reversed(others):
        own = like(own, other)
    return own


def like(own: Any, other: Any) -> Any:
    """`own` settings with the values of another entry's settings wherever both have a field of one name."""
    known = {one.name for one in dataclasses.fields(other)} if dataclasses.is_dataclass(other) else set()
    same = {one.name: getattr(other, one.name) for one in dataclasses.fields(own) if one.name in known}
    return replace(own, **same)


def methods_asked(settings: Settings) -> tuple[str, ...]:
    """The method and those beside it, each once."""
    return tuple(dict.fromkeys((settings.sampling.method, *settings.sampling.beside)))


def parts_of(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Section and settings of every part; of mappings and methods one an entry, "methods/takagi"."""
    for section in FIXED:
        yield section, getattr(settings, section)
    for section in CHOSEN:
        for name, own in getattr(settings, section).items():
            yield f"{section}/{name}", own


def stage_of(section: str, one: dataclasses.Field[Any]) -> str:
    """The stage that this field of a part binds."""
    return str(one.metadata.get("stage", STAGE[section.partition("/")[0]]))


def binding(settings: Settings, stage: str) -> dict[tuple[str, str], Any]:
    """(part, name) -> value as plain JSON, of every setting that binds this stage and is not free."""
    return {
        (part, one.name): plain(getattr(own, one.name))
        for part, own in parts_of(settings)
        if not isinstance(own, Absent)
        for one in dataclasses.fields(own)
        if stage_of(part, one) == stage and not one.metadata.get("free")
    }


def taken_on(settings: Settings, stored: Settings, stages: Collection[str]) -> Settings:
    """`stored` with all that `settings` ask of these stages."""
    fixed = {name: merged(getattr(settings, name), getattr(stored, name), name, stages) for name in FIXED}
    chosen: dict[str, Any] = {}
    for section in CHOSEN:
        new, old = getattr(settings, section), getattr(stored, section)
        asked = new if STAGE[section] in stages or not old else {name: new[name] for name in new if name in old}
        both = {name: merged(own, old.get(name, own), section, stages) for name, own in asked.items()}
        chosen[section] = {**both, **{name: own for name, own in old.items() if name not in both}}
    return replace(stored, recipe=settings.recipe, **fixed, **chosen)


def merged(new: Any, old: Any, section: str, stages: Collection[str]) -> Any:
    """`old` settings of one part with `new` values of the fields that bind one of these stages."""
    if isinstance(new, Absent) or isinstance(old, Absent) or type(new) is not type(old):
        return new
    values = {one.name: getattr(new, one.name) for one in dataclasses.fields(new) if stage_of(section, one) in stages}
    return replace(old, **values)


def to_json(settings: Any) -> dict[str, Any]:
    """A section's settings as plain JSON; tuples become lists."""
    if isinstance(settings, Absent):
        return dict(settings.values)
    return {name: plain(value) for name, value in dataclasses.asdict(settings).items()}


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def public(settings: Any) -> dict[str, Any]:
    """The same for a card: of a path of the user's own, its name alone."""
    places = {one.name for one in dataclasses.fields(settings) if one.metadata.get("place")}
    return {
        name: value.rstrip("/").rpartition("/")[2] if name in places | {"stack", "judge"} else value
        for name, value in to_json(settings).items()
    }
