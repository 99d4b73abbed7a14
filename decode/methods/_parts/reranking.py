"""What an encoding model says of drawn sounds: which of several the brain would have answered like this, and what of
the decoded condition is left in them.

    scorer = open_scorers(run, recording, folds, settings=settings, tested=recording.responses)["test"]
    scorer(waves, "clip3_slide1")           # (candidate,) log likelihood of the measured responses

The model is that of a Bayesian reading (`encoders.voxelwise.encoding`): principal components of the true CLAP of the
training sounds to the voxels that CLAP is decoded from, with its noise. It has seen no test trial; a sample that was
picked by it was picked by the measured response (Ciferri et al. 2025), so that the brain's own metrics no longer judge
it fairly: the report says how many were compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from brain.data.averages import average_repeats
from brain.errors import InputError, UsageError
from brain.files.waveforms import RATE, resampled
from brain.types import Float, Recording, Responses, Split, Stimuli
from decode.methods import Kept, RowTask, read_from
from decode.run.folder import RunFolder
from decode.run.patterns import columns_of, first_repeats
from decode.run.seeds import sample_seed
from decode.run.settings import Settings, maps_of, spaces_of
from encoders.conditions import Conditions
from encoders.patterns import standardised
from encoders.ridge import Double
from encoders.spaces import CATALOGUE
from encoders.voxelwise.banks import bank_of
from encoders.voxelwise.encoding import Evidence, fit_encoding
from encoders.voxelwise.features import Features
from evaluation.samples.read import read_samples

SPACE = "clap"
RERANKED = "reranked"
COMPONENTS = 64
"""Principal components of CLAP that sounds are compared by."""


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """The encoding model of one fold.

    clap      the opened CLAP space of the run's stack
    features  what a sound is compared by
    measured  test stimulus -> the evidence of its averaged response
    """

    clap: Any = field(repr=False)
    features: Features = field(repr=False)
    measured: Mapping[str, Evidence] = field(repr=False)

    def __call__(self, waves: Float, stimulus: str) -> Double:
        """Waves (candidate, sample) at 16 kHz -> (candidate,) log likelihood of the stimulus' response."""
        rate, space = self.clap.extractor.sampling_rate, self.features.spaces[SPACE]
        heard = [resampled(wave, RATE, to=rate) for wave in waves]
        coordinates = space.coordinates_of(self.clap.encode_waves(heard, batch=8))
        return np.asarray(self.measured[stimulus].log_likelihood(coordinates)[0], np.float64)


def check_reranking(settings: Settings) -> None:
    """Refuses (UsageError) the row reranked of a run that decodes no CLAP."""
    found = ", ".join(spaces_of(settings.maps))
    if RERANKED in settings.sampling.rows and not read_from(settings.maps, (SPACE,)):
        raise UsageError(f"--rows: reranked needs {SPACE} among --maps, found {found}; leave it out")


def reranked(task: RowTask) -> Iterator[Kept]:
    """Draws several samples of each stimulus and keeps the one under which the measured response is likeliest."""
    from pipelines.reranking import best_of

    scorers = open_scorers(task.run, task.recording, task.folds, settings=task.settings, tested=task.tested)
    count, ladder = task.own.candidates, task.ladder
    conditions = task.decoder.conditions(ladder, "decoded", [name for name, _ in task.asked])
    names = [name for name, _ in task.asked for _ in range(count)]
    seeds = [sample_seed(ladder.seed, name, number) for name, _ in task.asked for number in range(count)]
    # all in one stream, for candidates of several stimuli fill the micro-batches that those of one would leave empty
    stream = task.decoder.draw(conditions, names, seeds, watch=task.watch)
    for name, index in task.asked:
        scorer = scorers[ladder.fold(name).name]
        candidates = list(islice(stream, count))
        best = best_of(candidates, partial(scorer, stimulus=name))
        yield Kept(drawn=best.drawn, index=index, candidates=best.candidates)


def open_scorers(
    run: RunFolder, recording: Recording, folds: Sequence[Split], *, settings: Settings, tested: Responses
) -> dict[str, Scorer]:
    """Fold -> its encoding model, fitted on the recording, and the evidence of the responses to `tested` stimuli."""
    spec = maps_of(settings.maps)[read_from(settings.maps, (SPACE,))[SPACE]]
    clap, true = open_clap(settings), Conditions.load(run.conditions(SPACE, "true"))
    columns = columns_of(recording, spec.regions)
    responses, shown = recording.responses.voxels(columns), tested.voxels(columns)
    found = {}
    for fold in folds:
        training, scaler = standardised(responses, fold.train)
        train = average_repeats(training)
        nothing = Stimuli(ids=train.ids, modality="sound", opener=lambda name: None)
        features = Features.of({SPACE: bank_of({SPACE: true}, nothing, components=COMPONENTS).spaces[SPACE]})
        owner = np.searchsorted(train.ids, training.stimulus)
        encoding = fit_encoding(
            features.of_conditions({SPACE: true}, train.ids), train.values, groups=train.ids, showings=train.repeats,
            deviations=training.values - train.values[owner], folds=settings.maps.folds, seed=settings.machine.seed,
            sound=True,
        )  # fmt: skip
        if encoding.noise is None:
            raise InputError(f"fold {fold.name}: {SPACE} predicts no voxel to re-rank by; leave the row reranked out")
        trials = first_repeats(shown.trials(shown.of(fold.test)), settings.sampling.test_repeats)
        own = average_repeats(scaler.apply(trials))
        rows = ((name, slice(row, row + 1)) for row, name in enumerate(own.ids))
        measured = {name: encoding.evidence(own.values[row], own.repeats[row]) for name, row in rows}
        found[fold.name] = Scorer(clap=clap, features=features, measured=measured)
    return found


def open_clap(settings: Settings) -> Any:
    """The CLAP space on the run's stack."""
    from pipelines.stacks.find import resolve

    stack = resolve(settings.maps.stack)
    return CATALOGUE[SPACE].open(stack.path, model=stack.model, revision=stack.revision, device=settings.machine.device)


def write_generated(run: RunFolder, settings: Settings) -> None:
    """Encodes the first decoded sound of every stimulus, unless it is done: RUN/conditions/MAP.generated.safetensors.

    It is what the report needs to say how much of the decoded condition the generator has lost. A run that decodes no
    CLAP has none.
    """
    into = [spec.name for spec in maps_of(settings.maps).values() if spec.space == SPACE]
    if not into:
        return
    samples = read_samples(run.path, references=None)
    if samples.modality != "sound":
        return
    drawn = {one.stimulus: one for one in samples.of("decoded") if one.index == 0 and not one.withheld}
    path = run.conditions(SPACE if SPACE in into else into[0], "generated")
    if not drawn or (path.is_file() and set(Conditions.load(path).ids) == set(drawn)):
        return
    made = Stimuli(ids=tuple(drawn), modality="sound", opener=lambda name: (samples.hear(drawn[name]), RATE))
    open_clap(settings).encode(made, made.ids, batch=16).save(path)
