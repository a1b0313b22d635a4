"""Points bound by grammar: where they come from, whom they exclude, and that switches do what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.artifacts.language import Parse, Phrase, Predicate, Span
from stages.artifacts.maps import resized
from stages.prompt.binding import bind
from stages.prompt.recipe import PrompterRecipe
from stages.prompt.regions import draw, high_response, largest_region, scaled

TEXT = "a red circle touching a blue circle"
RED, ONE, TOUCHING = Span(start=2, end=5), Span(start=6, end=12), Span(start=13, end=21)
BLUE, TWO = Span(start=24, end=28), Span(start=29, end=35)
PARSE = Parse(
    phrases=(
        Phrase(span=Span(start=0, end=12), root=ONE, adjectives=(RED,)),
        Phrase(span=Span(start=22, end=35), root=TWO, adjectives=(BLUE,)),
    ),
    predicates=(Predicate(span=TOUCHING, subject=0, object=1),),
)


def blob(row, column, size=16, width=1.5):
    rows, columns = np.mgrid[:size, :size]
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))


def word_maps():
    """Maps of TEXT's words; `circle` words respond at both circles, as they do in practice."""
    left, right = blob(4, 4), blob(11, 12)
    maps = {ONE: left + 0.9 * right, TWO: 0.9 * left + right, RED: left, BLUE: right, TOUCHING: left + right}
    return {(span.start, span.end): values for span, values in maps.items()}


def inside(point, row, column, radius=3.5, size=16):
    return np.hypot(point.y * size - row - 0.5, point.x * size - column - 0.5) <= radius


def test_adjectives_give_points_and_other_phrases_negatives():
    points = bind(PARSE, word_maps(), PrompterRecipe(), "s")
    left = points["phrase", 0]
    assert [(p.label, p.word) for p in left] == [(1, (6, 12)), (1, (2, 5)), (0, (29, 35)), (0, (24, 28))]
    assert all(inside(p, 4, 4) == (p.label == 1) for p in left)
    assert all(inside(p, 11, 12) == (p.label == 1) for p in points["phrase", 1])


def test_a_predicate_takes_subject_and_object_as_positives():
    points = bind(PARSE, word_maps(), PrompterRecipe(), "s")["predicate", 0]
    assert {p.label for p in points} == {1}
    assert any(inside(p, 4, 4) for p in points)
    assert any(inside(p, 11, 12) for p in points)


@pytest.mark.parametrize("adjectives", [True, False])
def test_as_many_positives_with_adjectives_as_without(adjectives):
    points = bind(PARSE, word_maps(), PrompterRecipe(adjectives=adjectives, exclusion=False), "s")
    words = [p.word for p in points["phrase", 0]]
    assert words == ([(6, 12), (2, 5)] if adjectives else [(6, 12), (6, 12)])


def test_a_lone_noun_gets_two_points_and_background_around_it():
    lone = Parse(phrases=(Phrase(span=ONE, root=ONE),))
    maps = {(6, 12): blob(4, 4)}
    points = bind(lone, maps, PrompterRecipe(), "s")["phrase", 0]
    assert [p.label for p in points].count(1) == 2
    assert 1 <= [p.label for p in points].count(0) <= 3
    assert all(p.word == (-1, -1) and not inside(p, 4, 4, 2) for p in points if p.label == 0)
    none = bind(lone, maps, PrompterRecipe(background_points=(0, 0)), "s")["phrase", 0]
    assert {p.label for p in none} == {1}


def test_a_negative_inside_the_target_is_dropped_unless_told_otherwise():
    maps = {span: blob(4, 4) for span in word_maps()}
    assert all(p.label == 1 for p in bind(PARSE, maps, PrompterRecipe(), "s")["phrase", 0])
    kept = bind(PARSE, maps, PrompterRecipe(drop_contested=False), "s")["phrase", 0]
    assert any(p.label == 0 for p in kept)


def test_owner_and_part_do_not_exclude_each_other_by_default():
    owned = PARSE.model_copy(
        update={"phrases": (PARSE.phrases[0].model_copy(update={"possessor": 1}), PARSE.phrases[1])}
    )
    assert all(p.label == 1 for p in bind(owned, word_maps(), PrompterRecipe(), "s")["phrase", 1])
    strict = bind(owned, word_maps(), PrompterRecipe(possessors_exclusive=True), "s")["phrase", 1]
    assert any(p.label == 0 for p in strict)


def test_joining_and_competition_tell_same_nouns_apart():
    """Both circles answer to both 'circle' words, the wrong one even louder: adjectives or rivalry must decide."""
    maps = word_maps()
    maps[6, 12], maps[29, 35] = maps[29, 35], maps[6, 12]
    plain = bind(PARSE, maps, PrompterRecipe(exclusion=False), "s")["phrase", 0]
    assert not inside(plain[0], 4, 4)
    joined = bind(PARSE, maps, PrompterRecipe(noun_map="joined"), "s")["phrase", 0]
    assert all(inside(p, 4, 4) for p in joined if p.label == 1)


def test_a_constant_map_gives_no_points_rather_than_random_ones():
    maps = {span: np.full((16, 16), 0.1) for span in word_maps()}
    points = bind(PARSE, maps, PrompterRecipe(), "s")
    assert all(found == [] for found in points.values())


def test_draws_depend_on_the_sample_not_on_its_neighbours():
    again = bind(PARSE, word_maps(), PrompterRecipe(), "s")
    assert bind(PARSE, word_maps(), PrompterRecipe(), "s") == again
    assert bind(PARSE, word_maps(), PrompterRecipe(), "t") != again
    assert bind(PARSE, word_maps(), PrompterRecipe(seed=1), "s") != again


maps_of_any_kind = st.integers(0, 2**32 - 1).map(lambda s: np.random.default_rng(s).random((16, 16)) ** 4)


@given(maps_of_any_kind, st.floats(0.05, 1.0), st.sampled_from(["uniform", "response", "centre"]), st.integers(1, 9))
def test_points_lie_in_the_largest_region_of_high_response(values, threshold, sampling, count):
    region = high_response(values, threshold)
    points = draw(region, values, count, sampling, np.random.default_rng(0))
    assert points.shape == (count, 2)
    assert (scaled(values)[region] >= threshold).all()
    columns, rows = (points * 16).astype(int).T
    assert region[rows, columns].all()


@given(maps_of_any_kind)
def test_the_largest_region_is_connected_and_no_smaller_than_any_other(values):
    from scipy import ndimage

    mask = values > 0.3
    region = largest_region(mask)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())[1:] if count else np.zeros(1)
    assert region.sum() == sizes.max()
    assert ndimage.label(region, np.ones((3, 3)))[1] == min(count, 1)


def test_enlarging_keeps_range_and_place():
    large = resized(blob(4, 11), (64, 64))
    row, column = np.unravel_index(large.argmax(), large.shape)
    assert abs(row - 4.5 * 4) <= 2
    assert abs(column - 11.5 * 4) <= 2
    assert large.min() >= 0
    assert large.max() <= 1


@pytest.mark.parametrize("numerals", [False, True])
def test_a_numeral_says_how_many_and_points_nowhere(tmp_path, numerals):
    from toy_results import CIRCLE, Toy, span, write_results

    from stages.artifacts import ShardReader
    from stages.prompt.command import run

    text = "two red circles"
    whole = Phrase(
        span=Span(start=0, end=15), root=span(text, "circles"), adjectives=(span(text, "two"), span(text, "red"))
    )
    write_results(tmp_path, [Toy("one", text, Parse(phrases=(whole,)), truth={("phrase", 0): CIRCLE})])
    folders = {
        "samples": tmp_path / "samples" / "00000",
        "phrases": tmp_path / "parse" / "truth" / "00000",
        "maps": tmp_path / "attend" / "toy" / "toy" / "00000",
    }
    output = tmp_path / "points" / "manifest.json"
    run(**folders, recipe={"kind": "points", "background_points": [0, 0], "numerals": numerals}, output=output)
    (row,) = ShardReader(output, "prompt").table("points")
    words = {text[point["start"] : point["end"]] for point in row["points"]}
    assert words == ({"circles", "two", "red"} if numerals else {"circles", "red"})
