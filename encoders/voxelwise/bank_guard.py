"""No test stimulus in a bank: a decoder that is shown the answer among its candidates finds it.

    struck = refuse_tested(bank, stimuli, test_ids)   # by id, by a caption record of its own, by its picture
    bank.without(struck)
    words_known(bank, stimuli, test_ids)              # how many test stimuli have all their words in the bank: no leak
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from brain.data.clips import clip_of
from brain.data.leaks import Twin, near_duplicates
from brain.errors import InputError, expected
from brain.types import Float, Int, Stimuli
from brain.writing.origin import SIMULATOR
from encoders.conditions import Conditions
from encoders.voxelwise.bank_items import open_item
from encoders.voxelwise.banks import Bank, Components, plain
from encoders.voxelwise.posterior import first_few

NEAREST = 3
"""Items of a bank that are looked at beside each test stimulus: the nearest in a space of what is shown."""
THEN = "build the bank without the test stimuli"


def refuse_tested(
    bank: Bank, stimuli: Stimuli, tested: Sequence[str], *, true: Mapping[str, Conditions] | None = None,
    simulated: str = "",
) -> tuple[str, ...]:  # fmt: skip
    """Refuses (InputError) a bank that holds a test stimulus, by name.

    An item of its id (of a caption's picture, "#2" of its second); all its own captions, two or more, in a bank that
    was not drawn; or, of the items nearest to it in a space of what is shown, one that looks as it does; and a bank
    that was drawn by the seed of the data themselves.
    Scenes that our simulation drew from another seed may look alike by chance, once in some millions of pairs: their
    ids are returned, to be struck out of the bank.

    true       space -> true conditions of the test stimuli, to find the nearest; without them nothing is opened
    simulated  what simulated the data, as a recording says it
    """
    if "drawn" in bank.source and simulated == f"{SIMULATOR}, seed {bank.source.get('seed')}":
        found, then = f"seed {bank.source['seed']}, by which the data were drawn too", "build it with another --seed"
        raise InputError(expected(f"bank {bank.where}", "items of a seed of their own", found, then))
    own = set(bank.ids)
    if "captions" in bank.source:  # a picture's further captions are called ID#2, ID#3
        own |= {name.rpartition("#")[0] for name in bank.ids if name.rpartition("#")[2].isdecimal()}
    for name in tested:
        if name in own:
            raise InputError(expected(f"bank {bank.where}", "no test stimulus", f"{name} by its id", THEN))
    if "drawn" not in bank.source:
        known = {plain(caption) for caption in bank.captions if caption}
        for name in tested:
            said = {plain(one) for one in stimuli.captions.get(name, ())}
            if len(said) > 1 and said <= known:
                raise InputError(expected(f"bank {bank.where}", "no test stimulus", f"all captions of {name}", THEN))
    alike = (
        one
        for space, conditions in (true or {}).items()
        if space in bank.spaces
        for one in _alike(bank, stimuli, tested, bank.spaces[space], conditions)
    )
    struck = []
    for name, twin in alike:
        if twin.exact or "drawn" not in bank.source:
            found = f"{name}, which item {twin.train} looks like"
            raise InputError(expected(f"bank {bank.where}", "no test stimulus", found, THEN))
        struck.append(twin.train)
    return tuple(dict.fromkeys(struck))


def _alike(
    bank: Bank, stimuli: Stimuli, tested: Sequence[str], space: Components, true: Conditions
) -> Iterator[tuple[str, Twin]]:
    """Test stimuli with items that look like them, of those nearest in that space."""
    space.card.must_match(true.space)
    near = nearest(space, space.coordinates_of(true.take(tested).values))
    for name, rows in zip(tested, near.tolist(), strict=True):
        shown = [(bank.ids[row], item) for row in rows if (item := open_item(bank, row)) is not None]
        yield from ((name, twin) for twin in near_duplicates(shown, [(name, stimuli.open(name))]))


def same_items(bank: Bank, stimuli: Stimuli, names: Sequence[str], *, sound: bool) -> dict[str, Int]:
    """Training stimulus -> (candidate,) int64 items of the bank that are that stimulus: of its id (in a bank of
    captions of its picture), of a window of the same clip (of a `sound`), or with its caption word for word where the
    bank was not drawn. They must not settle how far a pattern is believed."""
    drawn = "drawn" in bank.source
    place: dict[str, list[int]] = {}
    for row, name in enumerate(bank.ids):
        if "captions" in bank.source and name.rpartition("#")[2].isdecimal():
            name = name.rpartition("#")[0]
        place.setdefault(clip_of(name) if sound else name, []).append(row)
    said: dict[str, list[int]] = {}
    for row, caption in enumerate(bank.captions if not drawn else ()):
        said.setdefault(plain(caption), []).append(row)
    found = {}
    for name in names:
        rows = set(place.get(clip_of(name) if sound else name, []))
        rows |= {row for one in stimuli.captions.get(name, ()) if plain(one) for row in said.get(plain(one), [])}
        found[name] = np.array(sorted(rows), np.int64)
    return found


def looked_at(bank: Bank, true: Mapping[str, Conditions]) -> str:
    """Nothing where `refuse_tested` looks at pictures or sounds, else a sentence that it does not."""
    if any(space in bank.spaces for space in true):
        return ""
    return "what the bank's items look or sound like was not compared with test stimuli: no space of that is in both"


def nearest(space: Components, coordinates: Float) -> Int:
    """(row, NEAREST) int64: the items whose coordinates lie nearest to each of these `coordinates` (row, component)."""
    items = space.coordinates.astype(np.float32)
    squares = np.square(items).sum(1)
    return np.stack([first_few(squares - 2 * items @ one, NEAREST) for one in coordinates])


def words_known(bank: Bank, stimuli: Stimuli, tested: Sequence[str]) -> str:
    """How many test stimuli are described in words that all stand in one item of the bank, in a sentence.

    Scenes are drawn from few words, so that this is no leak there; it says how closed the world is.
    """
    captioned = [name for name in tested if stimuli.captions.get(name)]
    if not any(bank.captions) or not captioned:
        return "how many test stimuli are in the bank by their words is not known: there are no captions to compare"
    said = {name: [set(plain(one).split()) for one in stimuli.captions[name]] for name in captioned}
    where: dict[str, set[int]] = {word: set() for own in said.values() for words in own for word in words}
    for row, words in enumerate(bank.words):
        for word in words & where.keys():
            where[word].add(row)
    # of each caption the items that have its first word, its second as well, and so on: few are left at once
    same = sum(
        any(words and set.intersection(*sorted((where[word] for word in words), key=len)) for words in own)
        for own in said.values()
    )
    return f"{same} of {len(captioned)} test stimuli have all the words of a caption of theirs in one item of the bank"


def same_words(bank: Bank, stimuli: Stimuli, name: str) -> Int:
    """(candidate,) int64: the items that have all words of a caption of this stimulus, or all its labels.

    Groups of labels that some item has no value of ("" of what need not be there) do not count.
    """
    said = [frozenset(plain(one).split()) for one in stimuli.captions.get(name, ())]
    same = np.zeros(len(bank), np.bool_)
    if said:
        words = bank.words
        same |= np.array([any(own <= one for own in said) for one in words])
    own = stimuli.labels.get(name, {})
    groups = [group for group in bank.labels if group in own and "" not in bank.names[group]]
    if groups:
        codes = [
            bank.names[group].index(own[group]) if own[group] in bank.names[group] else -1 for group in groups
        ]  # fmt: skip
        same |= np.all([bank.labels[group] == code for group, code in zip(groups, codes, strict=True)], axis=0)
    return np.flatnonzero(same).astype(np.int64)
