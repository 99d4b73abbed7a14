"""What must be known before any number is read: whose brain it is, what the judge was trained on, its words.

Sentences for the first screen of a page, for the terminal and for report.json; none where nothing is to be said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from brain.data.leaks import content_sha256
from brain.errors import counted
from brain.files.waveforms import RATE
from evaluation.facts import silenced_in
from evaluation.judges import drawn_only
from evaluation.metrics._parts.verdicts import quoted
from evaluation.samples.images import IMAGE
from evaluation.samples.types import Sample, Samples
from evaluation.statistics.findings import Words

LAYOUTS = {"nsd": "NSD"}
"""Readers of one data set -> its name; a simulated one has its layout and its ids, and is not that data set."""
KNOWN = {IMAGE: "drawn scenes", "sound": "synthesized sounds"}
NAMED = ("category", "kind")
"""Groups of labels of which the sentence says how often the judge is right."""
SHOWN = {IMAGE: "pictures", "sound": "sounds"}
NOTED = 8
"""Sentences on the recording that a page begins with; the card has all."""
TELLS = 0.995
"""Below this share of the pairs of references that a judge tells apart, it says so."""


def badge(simulated: str) -> str:
    """The badge of a simulated brain: "simulated: afterimage simulate, seed 0"; "" for a recorded one."""
    return f"simulated: {simulated}" if simulated else ""


def layout_of(simulated: str, reader: str) -> str:
    """What stands behind a subject, a split or an id of simulated data, so that nobody takes it for a person's."""
    if not simulated:
        return ""
    return f" (simulated, in {LAYOUTS[reader]}'s layout)" if reader in LAYOUTS else " (simulated)"


def simulated_lines(simulated: str, *, reader: str = "") -> tuple[str, ...]:
    """That no person was scanned, and whose names the files and ids have, in one sentence."""
    if not simulated:
        return ()
    theirs = ""
    if reader in LAYOUTS:
        theirs = f"; files, ids and splits follow {LAYOUTS[reader]}'s layout and none of them is {LAYOUTS[reader]}'s"
    return (f"Simulated brain ({simulated}): no person was scanned{theirs}.",)


def world_lines(
    card: Mapping[str, str],
    drawn_by: str,
    *,
    modality: str,
    trust: Mapping[str, float] | None = None,
    shown: str = "references",
) -> tuple[str, ...]:
    """That the judge knows a simulator's pictures or sounds only, where what is judged is not known to be such.

    card   of the judge; drawn_by what simulated the experiment that what is `shown` is of, "" where nobody says it
    trust  group of labels -> how often the judge names the references themselves right, 0..1
    """
    if drawn_by or not drawn_only(card):
        return ()
    known, kind = KNOWN[modality], SHOWN[modality]
    right = ", ".join(f"{group} {100 * trust[group]:.0f} %" for group in NAMED if trust and group in trust)
    measured = f"; of these it names right: {right}" if right else ""
    return (
        f"The judge {card['name']} knows {known} only ({card['world']}): these {shown} are not known to be such, and "
        f"what it says of other {kind} is untested{measured}.",
    )


def word_lines(words: Mapping[str, Words]) -> tuple[str, ...]:
    """One sentence a group of labels in which the judge does not know all the references' labels."""
    lines = []
    for group, found in words.items():
        if found.strange:
            done = f"computed over the {found.known} others" if found.known else "not computed"
            lines.append(
                f"The judge does not know {quoted(found.strange)}: it has a word for the {group} of {found.known} of "
                f"{found.labelled} references, and what asks for the {group} is {done}."
            )
    return tuple(lines)


def identical_lines(samples: Samples) -> tuple[str, ...]:
    """Which rows hold the very references, bit for bit, and which references are one: a sentence each, none for none.

    Pictures are compared by their pixels and sounds by their samples, in whatever file they lie.
    """
    shown = {name: content_of(samples, one) for name, one in samples.references.items()}
    lines = []
    for row in samples.rows():
        kept = [one for one in samples.of(row) if not one.withheld]
        same = sum(content_of(samples, one) == shown[one.stimulus] for one in kept)
        if same:
            lines.append(
                f"Row {row}: {same} of {len(kept)} samples ARE their references, bit for bit; their scores say nothing "
                "of a decoder."
            )
    counts = Counter(shown.values())
    twins = sorted(name for name, content in shown.items() if counts[content] > 1)
    if twins:
        first = next(name for name in twins[1:] if shown[name] == shown[twins[0]])
        lines.append(
            f"{len(twins)} of {len(shown)} references are the same as another, bit for bit (first: {twins[0]} and "
            f"{first}): no metric can tell these apart."
        )
    return tuple(lines)


def content_of(samples: Samples, sample: Sample) -> str:
    """The digest of a sample's pixels, or of its waveform, in whatever file it lies."""
    if samples.modality == IMAGE:
        return content_sha256(samples.open(sample))
    return content_sha256((samples.hear(sample), RATE))


def recorded_lines(data: Mapping[str, Any]) -> tuple[str, ...]:
    """What was left out or decided while a run's data were read, out of its card; NOTED sentences and how many more."""
    found = [str(one) for name in ("masked", "notes") if isinstance(data.get(name), list) for one in data[name]]
    said = [f"{_begun(one)}." for one in dict.fromkeys(found)]
    more = [f"{len(said) - NOTED} more notes on the data stand in the card."] if len(said) > NOTED else []
    return (*said[:NOTED], *more)


def silenced_lines(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Which regions were silenced while samples were drawn beside a run, by their card; none where none was."""
    regions = silenced_in(card)
    if not regions:
        return ()
    count = card["beside"].get("silenced_voxels")
    voxels = f"the {counted(count, 'voxel')}" if type(count) is int else "the voxels"
    named = " and ".join((", ".join(regions[:-1]), regions[-1])) if len(regions) > 1 else regions[0]
    return (
        f"Silenced: {voxels} of {named} stand at their training mean, and nothing was fitted anew: a difference from "
        "the run says what this decoder takes from there, not what a brain does without it. Of methods that weigh "
        "candidates by their likelihood, a voxel at the mean is evidence for the mean, and not the absence of any.",
    )


def _begun(sentence: str) -> str:
    """The sentence with a capital, unless it begins with the name of a file."""
    first = sentence.partition(" ")[0].strip(":")
    return f"{sentence[:1].upper()}{sentence[1:]}" if first.isalpha() else sentence


def copied_lines(leaks: Mapping[str, Any]) -> tuple[str, ...]:
    """How many of the tested stimuli are training stimuli or nearly so, out of a look for leaks; none where none is."""
    pairs = [pair for name in ("exact", "near") if isinstance(leaks.get(name), list) for pair in leaks[name]]
    copied = sorted({str(pair["test"]) for pair in pairs if isinstance(pair, Mapping) and "test" in pair})
    if not copied:
        return ()
    return (
        f"{len(copied)} test stimuli are training stimuli, or nearly so ({quoted(copied)}): what identifies them "
        "says little. Give copies of one picture one id, or keep them on one side of the split.",
    )


def matched_lines(bare: Sequence[str], unmatched: Sequence[str], *, references: int, shown: str) -> tuple[str, ...]:
    """That references have no sample, or files no reference, in one sentence: the names may be off by one."""
    if not bare and not unmatched:
        return ()
    lone = [f"{len(bare)} of {references} references have no sample ({quoted(bare)})"] if bare else []
    strays = [f"{len(unmatched)} {shown} are named like no reference ({quoted(unmatched)})"] if unmatched else []
    return (f"{' and '.join(lone + strays)}: what is scored is the rest; see that both sides count alike.",)


def blind_lines(apart: float, judge: str, *, shown: str = "references") -> tuple[str, ...]:
    """That a judge does not tell the `shown` from one another: how often it finds each among the others, 0..1."""
    if not apart < TELLS:
        return ()
    return (
        f"The judge {judge} does not tell all these {shown} apart (each found among the others: {100 * apart:.1f} %), "
        "so that its identification scores cannot be high whatever was decoded; take another --judge.",
    )
