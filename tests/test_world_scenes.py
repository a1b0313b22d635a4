"""The embedded world's scenes: the same everywhere, with the truth exactly as it shows, in the promised shares."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.world.layout import PERIOD
from stages.world.render import COLOURS, GROUNDS, PATTERNS
from stages.world.scene import MAX_OCCLUSION, SPLIT_SIZE, SPLITS, scene, seed_of
from stages.world.shapes import NOUNS, patch


@pytest.fixture(scope="module")
def many():
    return [scene("val", index) for index in range(500)]


def test_a_scene_is_the_same_wherever_it_is_drawn():
    first, again = scene("test", 7), scene("test", 7)
    assert np.array_equal(first.image, again.image)
    assert [x.noun for x in first.instances] == [x.noun for x in again.instances]
    for one, other in zip(first.instances, again.instances, strict=True):
        assert np.array_equal(one.mask, other.mask)


def test_scenes_differ_between_indices_and_splits():
    digests = {
        hashlib.sha256(scene(split, index).image.tobytes()).hexdigest() for split in SPLITS for index in range(20)
    }
    assert len(digests) == 3 * 20


def test_splits_are_disjoint_ranges_of_seeds():
    ranges = sorted((first, first + SPLIT_SIZE) for first in SPLITS.values())
    assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(ranges))
    with pytest.raises(ValueError, match=r"scene index 1000000000 is not in"):
        seed_of("train", SPLIT_SIZE)
    with pytest.raises(ValueError, match="'nope' is not one of train, val, test"):
        scene("nope", 0)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(SPLITS)), st.integers(0, SPLIT_SIZE - 1))
def test_masks_part_the_image(split: str, index: int):
    drawn = scene(split, index)
    parts = [x.mask for x in drawn.instances] + [x.mask for x in drawn.grounds]
    assert (np.sum(parts, axis=0) == 1).all(), "every pixel belongs to exactly one object or ground"
    assert all(x.mask.any() for x in drawn.instances)
    assert all(-0.001 <= x.occluded <= MAX_OCCLUSION for x in drawn.instances)
    assert 1 <= len(drawn.instances) <= 4


def test_masks_lie_where_the_colour_does(many):
    """A plain object's visible middle has its own colour: the mask is where the object shows, not where it is."""
    checked = 0
    for drawn in many[:150]:
        for thing in drawn.instances:
            if thing.pattern != "plain":
                continue
            inner = thing.mask.copy()
            for axis in (0, 1):
                for step in (-3, 3):
                    inner &= np.roll(thing.mask, step, axis)
            if inner.sum() < 10:
                continue
            shown = np.median(drawn.image[inner], axis=0)
            distances = {
                name: np.abs(shown / max(shown.max(), 1) - np.array(rgb) / max(rgb)).sum()
                + abs(shown.max() - max(rgb)) / 128
                for name, rgb in COLOURS.items()
            }
            assert min(distances, key=distances.__getitem__) == thing.colour
            checked += 1
    assert checked > 50


def test_the_world_has_the_promised_variety(many):
    things = [x for drawn in many for x in drawn.instances]
    assert {x.noun for x in things} == set(NOUNS)
    assert len(NOUNS) >= 10
    assert {x.colour for x in things} == set(COLOURS)
    assert len(COLOURS) == 8
    assert {x.pattern for x in things} == set(PATTERNS)
    assert {g.name for drawn in many for g in drawn.grounds} == set(GROUNDS)
    assert len(GROUNDS) >= 4
    kinds = {r.kind for drawn in many for r in drawn.relations}
    assert kinds == {"touching", "covering", "inside", "above", "left of"}


def test_shares_are_as_promised(many):
    things = [x for drawn in many for x in drawn.instances]
    assert np.mean([len(drawn.grounds) == 2 for drawn in many]) > 0.5
    assert np.mean([drawn.same_noun for drawn in many]) == pytest.approx(0.25, abs=0.05)
    assert np.mean([x.small for x in things]) == pytest.approx(1 / 6, abs=0.04)


def test_objects_that_share_a_noun_differ_in_adjectives(many):
    for drawn in many:
        for a, one in enumerate(drawn.instances):
            for other in drawn.instances[a + 1 :]:
                if one.noun == other.noun:
                    assert (one.colour, one.pattern) != (other.colour, other.pattern)


def test_a_named_pattern_shows_two_periods(many):
    for drawn in many:
        for thing in drawn.instances:
            if thing.pattern_shows:
                rows, columns = thing.mask.any(1).nonzero()[0], thing.mask.any(0).nonzero()[0]
                assert min(np.ptp(rows), np.ptp(columns)) + 1 >= 2 * PERIOD[0]


def test_relations_leave_their_trace(many):
    from scipy.ndimage import binary_dilation

    for drawn in many:
        for relation in drawn.relations:
            one, other = drawn.instances[relation.subject], drawn.instances[relation.object]
            near = binary_dilation(other.mask, iterations=3)
            if relation.kind == "covering":
                assert other.occluded > 0.1
            if relation.kind in ("touching", "covering", "inside"):
                assert (one.mask & near).any()
            if relation.kind == "above":
                assert one.mask.any(1).nonzero()[0].max() <= other.mask.any(1).nonzero()[0].min() + 12
            if relation.kind == "left of":
                assert one.centre[1] < other.centre[1]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_shape_is_negative_inside_and_keeps_its_distance(noun: str):
    shape = patch(noun, radius=20.0, angle=0.3)
    assert shape.inside.any()
    assert (shape.distance[shape.inside] < 0).all()
    steps = np.abs(np.diff(shape.distance, axis=1))
    assert steps.max() < 1.2, "a distance changes by at most one pixel from a pixel to the next"
