"""Readings of attention as their papers write them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.artifacts import AnywordError
from stages.artifacts.recipes import validated
from stages.attend.recipe import AttenderRecipe
from stages.attend.rescaling import among_content, rescaled
from stages.models.head_weights import by_output, head_weights
from stages.models.reading import refine, sharpened


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(heads=st.integers(1, 5), seed=st.integers(0, 99))
def test_heads_weigh_by_how_they_go_along_with_the_sum(heads, seed):
    outputs, projection = drawn(2, heads, 6, 4, seed=seed), drawn(12, heads * 4, seed=seed + 1)
    weights = head_weights(outputs, projection)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, 6), rtol=1e-3, atol=1e-3)
    own = [outputs[:, n] @ projection[:, 4 * n : 4 * n + 4].T for n in range(heads)]
    whole = sum(own)
    for n in range(heads):
        expected = (own[n] * whole).sum(-1) / whole.square().sum(-1)
        torch.testing.assert_close(weights[:, n], expected, rtol=1e-3, atol=1e-4)


def test_a_head_that_says_nothing_has_no_say():
    outputs = drawn(1, 2, 3, 4)
    outputs[:, 1] = 0
    shares = drawn(1, 2, 3, 5).softmax(dim=-1)
    torch.testing.assert_close(by_output(shares, outputs, drawn(8, 8)), shares[:, 0])


def test_words_are_compared_at_each_cell():
    """A word that is weak everywhere but the strongest of all in one place is found there."""
    strong = torch.full((9, 9), 0.5)
    weak = torch.full((9, 9), 0.01)
    weak[6:, 6:] = 0.2
    maps = rescaled(torch.stack([strong, weak, torch.ones(9, 9)]), torch.tensor([1, 1, 0]))
    assert maps[1].argmax() == 80 and maps[1, 0, 0] < 1e-5 and maps[1].max() == pytest.approx(1)
    # The third, no content word, has changed nothing of the others.
    torch.testing.assert_close(maps[:2], rescaled(torch.stack([strong, weak]), torch.tensor([1, 1])))
    # How strong a word's passes are as a whole cancels against nothing: twice both maps is the same.
    torch.testing.assert_close(maps[:2], rescaled(2 * torch.stack([strong, weak]), torch.tensor([1, 1])))


@given(seed=st.integers(0, 50), words=st.integers(1, 4))
def test_rescaled_maps_are_finite_and_fill_0_to_1(seed, words):
    found = rescaled(drawn(words, 6, 4, seed=seed).clamp_min(0), torch.zeros(words, dtype=torch.long))
    assert found.isfinite().all() and found.min() >= 0 and found.max() <= 1
    nothing = rescaled(torch.zeros(words, 6, 4), torch.ones(words, dtype=torch.long))
    assert (nothing == 0).all()


def test_content_is_told_by_the_texts_own_words():
    maps = drawn(4, 6, 6).abs()  # "the", "red", "disk", and a mark
    found = among_content(maps.numpy(), "the red disk", [1, 1, 2])
    expected = rescaled(maps, torch.tensor([0, 1, 2, 0]))
    torch.testing.assert_close(found, expected)


def test_sharpening_is_isegs_formula():
    own = drawn(5, 5).softmax(dim=-1)
    share = own / own.max(dim=0).values  # of each column
    for strength in (0.015, 0.2):
        raw = (share + strength * torch.log10(math.e * share)).clamp_min(0)
        torch.testing.assert_close(sharpened(own, strength), raw / raw.sum(dim=1, keepdim=True))
    few, many = (int((sharpened(own, strength) == 0).sum()) for strength in (0.01, 0.9))
    assert few < many
    lost = torch.eye(3) * 0.9 + 1e-9
    lost[2] = 1e-9  # a row of which nothing would be left
    assert sharpened(lost, 1.0).isfinite().all()


def test_sharp_refinement_keeps_maps_from_0_with_sum_1():
    maps, own = drawn(3, 2, 2).abs(), drawn(4, 4).softmax(dim=-1)
    found = refine(maps, own, 3, 0.05)
    torch.testing.assert_close(found.sum(dim=(1, 2)), torch.ones(3))
    assert (found.amin(dim=(1, 2)) == 0).all()
    with pytest.raises(AnywordError, match="give `refine` too"):
        validated("attend", {"kind": "direct", "sharpen": 0.1}, AttenderRecipe)
