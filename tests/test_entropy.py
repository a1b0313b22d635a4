"""InvSeg's entropy term on the maps of a text's runs of words."""

import pytest
import torch
from tiny_models import save_tiny, tokens_of

from stages.invert.recipe import TextualRecipe
from stages.invert.textual import optimise
from stages.learning.entropy import entropy
from stages.learning.token_groups import TokenGroups
from stages.learning.trainable_tokens import trainable_tokens
from stages.models.diffusion import load
from stages.models.recipe import BackboneRecipe
from stages.models.tokens import Encoding, Tokens

TEXT = "red disk and blue ring"  # two runs: red disk, blue ring
OFFSETS = ((0, 0), (0, 3), (4, 6), (6, 8), (9, 12), (13, 17), (18, 22), (0, 0))
TOKENS = [1, 2, 3, 5, 6]  # disk in two pieces


@pytest.fixture
def words():
    encoding = Encoding(torch.zeros(1, 8, dtype=torch.long), (OFFSETS,))
    return TokenGroups([[TOKENS]], Tokens((encoding,)))


def maps_of(left, right):
    """One image, two draws: the first run's tokens see `left`, the second's `right`."""
    maps = torch.zeros(1, 2, 8, 4, 4)
    maps[:, :, [1, 2, 3]] = left
    maps[:, :, [5, 6]] = right
    return maps


def test_runs_that_part_the_image_cost_nothing_and_equal_ones_all(words):
    left = torch.zeros(4, 4)
    left[:, :2] = 1.0
    assert float(entropy(maps_of(left, 1 - left), words)) == pytest.approx(0, abs=1e-3)
    ramp = torch.arange(16.0).reshape(4, 4)
    assert float(entropy(maps_of(ramp, ramp), words)) == pytest.approx(1, abs=1e-3)


def test_a_run_is_the_mean_of_its_words_and_a_word_of_its_pieces(words):
    left = torch.zeros(4, 4)
    left[0] = 1.0
    maps = maps_of(left, left.flip(0))
    whole = entropy(maps, words)
    maps[:, :, 2], maps[:, :, 3] = 2 * left, torch.zeros(4, 4)  # pieces of disk, with the same mean
    assert torch.allclose(entropy(maps, words), whole)


def test_its_gradient_moves_an_undecided_run_to_what_is_left(words):
    left = torch.zeros(4, 4)
    left[:, :2] = 1.0
    undecided = (0.5 + 0.01 * torch.arange(16.0).reshape(4, 4)).requires_grad_()
    entropy(maps_of(left, undecided), words).sum().backward()
    taken, free = undecided.grad[1:3, :2].mean(), undecided.grad[1:3, 2:].mean()
    assert taken > free


def test_phrases_are_told_apart_whatever_learns(tmp_path):
    """A lone word that learns still sees what the text's other phrases ask for; function words part phrases even where
    they learn."""
    backbone = load(BackboneRecipe(kind="stable-diffusion", path=str(save_tiny(tmp_path))))
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))

    def learned(words, **options):
        recipe = TextualRecipe(words=words, steps=2, draws=2, lr=0.01, known_rate=1.0, **options)
        trainable = trainable_tokens(backbone, tokens_of(backbone, [TEXT]), [TEXT], words, join=False)
        return optimise(backbone, latents, trainable, ["s"], recipe)[0].losses[0]

    plain = learned("content")
    asked = [learned(words, entropy={"weight": 1.0}) for words in ("content", "all", ("ring",))]
    assert asked[0] > plain
    assert asked == [pytest.approx(asked[0], rel=1e-5)] * 3


def test_an_image_does_not_see_its_company(words):
    encoding = Encoding(torch.zeros(2, 8, dtype=torch.long), (OFFSETS, OFFSETS))
    both = TokenGroups([[TOKENS, TOKENS]], Tokens((encoding,)))
    maps = torch.rand(2, 2, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    alone = [entropy(maps[n : n + 1], words)[0] for n in range(2)]
    assert torch.allclose(entropy(maps, both), torch.stack(alone))


def test_texts_without_a_word_that_learns_cost_nothing(words):
    """Also where they come after all that have one, and where none has."""
    maps = torch.rand(2, 1, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    nothing, own = entropy(maps, words.of([3, 0]))
    assert nothing == 0 and own > 0
    assert entropy(maps, words.of([1, 2])).tolist() == [0, 0]
    encoding = Encoding(torch.zeros(1, 8, dtype=torch.long), (OFFSETS,))
    assert entropy(maps, TokenGroups([[]], Tokens((encoding,))).of([0, 1])).tolist() == [0, 0]
