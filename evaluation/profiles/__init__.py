"""Profiles: which metrics a report holds and how pictures reach them; each says what is wrong with it.

    python -m evaluation FOLDER --profile paper-mindeye2

A metric whose network is not at hand is said to be absent; the report's own judge never takes its place unnamed.
"""

from __future__ import annotations

from dataclasses import dataclass

from brain.catalogue import Catalogue
from evaluation.metrics import CATALOGUE as METRICS
from evaluation.metrics import Metric
from evaluation.samples.images import IMAGE
from evaluation.samples.sounds import SOUND


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Which metrics a report holds.

    description  one line: what it computes; wrong: one line on what is wrong with that
    citation     the paper whose numbers these are, "" for none
    named        the metrics of a published profile, in the order of its tables; () takes those whose cards name it
    side         pixel metrics see pictures of side x side pixels; 0 is the references' own size, 256 at most
    through      before that, both are brought to through x through pixels; 0 is none of it
    sets         judges in whose features the samples of a row are compared as a set with the references
    of_sounds    the profile that is taken in its place for sounds, "" for itself
    """

    name: str
    title: str
    description: str
    wrong: str
    citation: str = ""
    named: tuple[str, ...] = ()
    side: int = 0
    through: int = 0
    sets: tuple[str, ...] = ()
    of_sounds: str = ""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of its metrics in the order of the tables; metrics of measured regions always follow."""
        return self.named or self._by_cards()

    @property
    def present(self) -> tuple[Metric, ...]:
        """Those of its metrics that the catalogue has."""
        return tuple(METRICS[name] for name in self.metrics if name in METRICS.names())

    @property
    def gone(self) -> tuple[str, ...]:
        """Names of those that the catalogue does not have."""
        return tuple(name for name in self.metrics if name not in METRICS.names())

    def _by_cards(self) -> tuple[str, ...]:
        here = [metric for metric in METRICS if self.name in metric.profiles]
        return tuple(one.name for one in sorted(here, key=lambda one: (one.profiles[self.name], one.name)))


CATALOGUE: Catalogue[Profile] = Catalogue("evaluation.profiles", "profile")


def find_profile(name: str, modality: str = IMAGE) -> Profile:
    """The profile of that name, or the one it has for sounds; an unknown name is a UsageError with the nearest.

    modality  "image" or "sound": what is judged
    """
    found = CATALOGUE[name]
    return CATALOGUE[found.of_sounds] if modality == SOUND and found.of_sounds else found
