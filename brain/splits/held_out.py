"""Test stimuli that the experimenters held out, of sounds the middle window of each clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from brain.data.clips import check_groups, groups_of, middle_windows
from brain.errors import InputError, expected
from brain.files.tables import in_part
from brain.splits import Family
from brain.splits.tenth_by_hash import tenth_by_hash
from brain.types import Split


def clip_splits(stimulus: Iterable[str], sides: Mapping[str, str], *, what: str = "sound") -> tuple[Split, ...]:
    """The splits over clips. `sides`: clip -> "train" or "test"; empty makes a tenth of the clips the test by digest.

    test-clips    training: every window of the training clips; test: the middle window of each test clip, so that
                  test stimuli are independent; the other windows of test clips are in neither. Of pictures
                  (`what` "image") it is called test-images
    test-windows  the same training; test: every window of the test clips (Park et al.'s candidates), where that differs

    Sides for some clips and not for all are an InputError: the others would be in neither without a word.
    """
    ids, sound = sorted(set(stimulus)), what == "sound"
    clips = dict(zip(ids, groups_of(ids, sound=sound).tolist(), strict=True))
    if len(set(clips.values())) < 2:
        return ()
    lost = in_part(list(clips.values()), sides) if sides else ()
    if lost:
        total = len(set(clips.values()))
        then = "say it for all of them, or for none"
        found = f"none for {len(lost)} of {total} (first: {lost[0]})"
        raise InputError(expected(f"the sides of the {what}s", "train or test for each of them", found, then))
    if sides:
        train = [name for name in ids if sides.get(clips[name]) == "train"]
        test = [name for name in ids if sides.get(clips[name]) == "test"]
    else:
        tenth = tenth_by_hash(ids, sound=sound)
        train, test = list(tenth.train), list(tenth.test)
    if not train or not test:
        return ()
    tests = middle_windows(test) if sound else tuple(test)
    splits = [Split(name="test-clips" if sound else "test-images", train=tuple(train), test=tests)]
    if len(splits[0].test) < len(test):
        splits.append(Split(name="test-windows", train=tuple(train), test=tuple(test)))
    for split in splits:
        check_groups(split, sound=sound)
    return tuple(splits)


ENTRIES = (
    Family(
        name="test-clips",
        title="test clips, middle windows",
        description="the clips that were held out are the test, by the middle window of each, so that no two overlap",
        pattern="test-clips",
    ),
    Family(
        name="test-windows",
        title="test clips, all windows",
        description="the clips that were held out are the test, by every window; windows of a clip overlap",
        citation="Park et al. 2025",
        pattern="test-windows",
    ),
    Family(
        name="test-images",
        title="test images",
        description="the pictures that were held out are the test",
        pattern="test-images",
    ),
)
