"""Scenes are drawn from (seed, index) alone, say what they show, and show it at any size."""

from __future__ import annotations

import numpy as np
import pytest

from brain.simulated.scenes.colours import COLOURS
from brain.simulated.scenes.scene import CANVAS, SYNONYMS, draw_scene, render, vocabulary
from brain.simulated.scenes.things import CATEGORIES, KINDS, palette

SOME = [draw_scene(seed=3, index=index) for index in range(300)]


def test_a_scene_is_the_same_wherever_it_is_drawn() -> None:
    again = draw_scene(seed=3, index=17)
    assert again == SOME[17]
    assert np.array_equal(np.asarray(render(again, 64)), np.asarray(render(SOME[17], 64)))


def test_another_seed_or_index_is_another_scene() -> None:
    pictures = {np.asarray(render(scene, 64)).tobytes() for scene in (*SOME[:20], draw_scene(seed=4, index=0))}
    assert len(pictures) == 21


def test_every_category_kind_and_colour_comes_up() -> None:
    many = [draw_scene(seed=3, index=index) for index in range(2000)]
    assert {scene.category for scene in many} == set(CATEGORIES)
    assert {scene.kind for scene in many} == set(KINDS)
    assert {scene.colour for scene in many} == set(COLOURS)
    assert all(scene.colour in palette(scene.kind) for scene in many)
    assert 0.2 < np.mean([bool(scene.companion) for scene in many]) < 0.4


def test_captions_say_the_labels_in_aligned_words() -> None:
    for scene in SOME:
        lengths = {len(caption.split()) for caption in scene.captions}
        assert len(scene.captions) == 3 and len(lengths) == 1
        first = scene.captions[0].split()
        for label in ("kind", "colour", "size", "position", "setting", "light"):
            word = SYNONYMS.get(scene.labels[label], (scene.labels[label],))[0]
            assert word in first, (label, scene.captions[0])
        assert {word for caption in scene.captions for word in caption.split()} <= set(vocabulary())


def test_a_large_picture_reduced_is_the_small_picture() -> None:
    for scene in SOME[:5]:
        large = np.asarray(render(scene, 128), np.float64).reshape(64, 2, 64, 2, 3).mean((1, 3))
        apart = np.abs(large - np.asarray(render(scene, 64), np.float64))
        assert apart.mean() < 0.5 and (apart > 2).mean() < 0.01  # rounding, and light above white


def test_the_labels_are_in_the_picture() -> None:
    """A change of the main thing's position moves the pixels that differ from the same scene elsewhere."""
    left = [scene for scene in SOME if scene.position == "left" and scene.size == "large"]
    right = [scene for scene in SOME if scene.position == "right" and scene.size == "large"]
    mean = lambda scenes: np.mean([np.asarray(render(s, 64), np.float64) for s in scenes[:25]], 0)  # noqa: E731
    spread = lambda scenes: np.std([np.asarray(render(s, 64), np.float64) for s in scenes[:25]], 0)  # noqa: E731
    assert mean(left).shape == (64, 64, 3)
    assert spread(left)[30:50, 10:30].mean() > spread(left)[30:50, 50:].mean()
    assert spread(right)[30:50, 34:54].mean() > spread(right)[30:50, :14].mean()


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=str(CANVAS)):
        render(SOME[0], 100)
