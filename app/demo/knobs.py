"""What can be asked for in the demo: the knobs of a run, what they mean, and the command that does the same."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields, replace

from app.demo.runs import Run
from brain.errors import UsageError
from decode.methods import CATALOGUE as METHODS
from decode.methods import read_from
from decode.run.settings import Settings, like
from decode.stages.synthesize.methods import RANDOM, known_methods, method_card
from encoders.spaces import CATALOGUE as SPACES

MOST_SAMPLES, MOST_PICTURES = 4, 8
DEFAULTS = {"strength": 1.0, "guidance": 1.0, "steps": 20}
"""What a control shows whose setting the run's method does not read."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """A knob of the demo: its value in the run, its range, and one sentence of help.

    used  whether the run's generator reads it at all
    """

    label: str
    help: str
    value: float
    low: float
    high: float
    step: float
    used: bool = True


@dataclass(frozen=True, kw_only=True)
class Asked:
    """With what to draw again; silenced: the regions whose voxels stand at their training mean."""

    strength: float
    guidance: float
    steps: int
    seed: int
    samples: int = 1
    silenced: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What to synthesize."""

    region: str
    against: str = ""
    method: str = "guided"
    pictures: int = 4
    seed: int = 0


def settings_of(run: Run, asked: Asked) -> Settings:
    """The run's settings with what is asked now, of the decoded row alone."""
    if not 1 <= asked.samples <= MOST_SAMPLES:
        raise UsageError(f"samples: expected 1 to {MOST_SAMPLES}, found {asked.samples}")
    name = run.settings.sampling.method
    sampling = replace(run.settings.sampling, rows=("decoded",), beside=(), seeds=int(asked.samples))
    own = like(run.settings.method(name), Knobs.of(asked))
    machine = replace(run.settings.machine, seed=int(asked.seed))
    return replace(run.settings, sampling=sampling, methods={**run.settings.methods, name: own}, machine=machine)


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """What the demo asks of a method that reads it."""

    strength: float
    guidance: float
    steps: int

    @classmethod
    def of(cls, asked: Asked) -> Knobs:
        """Out of what was asked for."""
        return cls(strength=float(asked.strength), guidance=float(asked.guidance), steps=int(asked.steps))


def reads(run: Run) -> set[str]:
    """The names of the settings that the run's method reads; none where this installation does not have it."""
    name = run.settings.sampling.method
    return {one.name for one in fields(METHODS[name].settings)} if name in METHODS.names() else set()


def command_of(run: Run, stimulus: str, asked: Asked, *, place: str = "") -> str:
    """The command that draws the same files; `place` stands for the run's path, "" for the path itself."""
    beside = ["--beside"] if run.settings.sampling.beside else []
    known = {
        "strength": repr(float(asked.strength)), "guidance": repr(float(asked.guidance)), "steps": f"{asked.steps:d}",
    }  # fmt: skip
    knobs = [word for name, value in known.items() if name in reads(run) for word in (f"--{name}", value)]
    words = [
        "afterimage", "decode", place or run.called, "--stimuli", stimulus, *knobs,
        "--seed", f"{asked.seed:d}",
        "--seeds", f"{asked.samples:d}", "--rows", "decoded", *beside,
        *(("--silence", *asked.silenced) if asked.silenced else ()), "--to", "FOLDER",
    ]  # fmt: skip
    return shlex.join(words)


def synthesis_command(run: Run, asked: Objective) -> str:
    """The command that makes the same pictures."""
    against = ["--against", asked.against] if asked.against else []
    words = [
        "afterimage", "synthesize", run.called, "--region", asked.region, *against, "--method", asked.method,
        "--n", f"{asked.pictures:d}", "--seed", f"{asked.seed:d}", "--to", "FOLDER",
    ]  # fmt: skip
    return shlex.join(words)


def controls(run: Run) -> dict[str, Control]:
    """The knobs of drawing again, as this run has them."""
    known, name = reads(run), run.settings.sampling.method
    own = run.settings.method(name) if known else None
    value = {one: float(getattr(own, one, default)) for one, default in DEFAULTS.items()}
    draws, starts = "steps" in known, "strength" in known and noises(run)
    return {
        "strength": Control(
            label="Strength", value=value["strength"], low=min(0.05, value["strength"]), high=1, step=0.01,
            used=starts,
            help=_strength(run) if starts else "This run's method starts from noise and reads no strength.",
        ),
        "guidance": Control(
            label="Guidance", value=value["guidance"], low=0, high=max(15.0, 2 * value["guidance"]), step=0.1,
            used=draws,
            help="Classifier-free guidance: 1 is the decoded condition alone, 0 is without it.",
        ),
        "steps": Control(
            label="Steps", value=value["steps"], low=1, high=max(100, value["steps"]), step=1, used=draws,
            help="Denoising steps, of which the last strength x steps are taken."
            if starts else "Denoising steps: beyond a few dozen little changes.",
        ),
        "seed": Control(
            label="Seed", value=run.settings.machine.seed, low=min(0, run.settings.machine.seed),
            high=max(2**31 - 1, run.settings.machine.seed), step=1, used=draws,
            help="Which noise it starts from; the run's own value gives the run's own samples.",
        ),
        "samples": Control(
            label="Samples", value=1, low=1, high=MOST_SAMPLES, step=1, used=draws,
            help="How many are drawn, each from noise of its own.",
        ),
    }  # fmt: skip


def _strength(run: Run) -> str:
    """What the strength noises: the decoded latent or, of sounds, a mixture of it with the nearest training sound's."""
    share = anchored(run)
    if run.modality == "image" or share == 0:
        return "How far the decoded latent is noised: low keeps it, 1 forgets it."
    mixed = "" if share == 1 else f" ({100 * share:g} %, the rest decoded)"
    return f"How far the start, the nearest training sound{mixed}, is noised: low keeps that sound, 1 forgets it."


def anchored(run: Run) -> float:
    """How much the nearest training sound counts in what the run's method starts from; 0 where it has none."""
    if "anchor_weight" not in reads(run):
        return 0.0
    return float(run.settings.method(run.settings.sampling.method).anchor_weight)


def noises(run: Run) -> bool:
    """Whether the run's method starts from a decoded latent."""
    method = METHODS[run.settings.sampling.method]
    read = read_from(run.settings.maps, (*method.needs, *method.takes), method=method.name)
    return any(SPACES[space].noised for space in read)


def activation_of(asked: Objective) -> str:
    """What the guiding encoders predict at each step, in words."""
    if asked.method == RANDOM:
        return f"as many other voxels as {asked.region} has, drawn at random"
    return f"{asked.region} minus {asked.against}" if asked.against else asked.region


def methods() -> dict[str, str]:
    """The methods of synthesis and what each is, in one line."""
    return {name: method_card(name).description for name in known_methods()}


def regions(run: Run) -> list[str]:
    """The regions of a run's data, by its card."""
    return list(run.data_facts().get("regions", {}))
