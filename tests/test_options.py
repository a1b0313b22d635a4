"""Numeric options of inversion and attention: each does what its description says, by the numbers."""

import pytest
import torch
from tiny_models import condition_of, save_tiny, tokens_of

from stages.artifacts import AnywordError
from stages.invert.recipe import Mask, TextualRecipe
from stages.invert.textual import optimise
from stages.learning.draws import draw
from stages.learning.mcpl import attended
from stages.learning.token_groups import TokenGroups
from stages.learning.trainable_tokens import trainable_tokens
from stages.models.diffusion import load
from stages.models.reading import AttentionReader
from stages.models.recipe import BackboneRecipe

TEXT = "a red circle and a blue star"
LR = 0.05


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return load(BackboneRecipe(kind="stable-diffusion", path=str(save_tiny(tmp_path_factory.mktemp("tiny")))))


@pytest.fixture(scope="module")
def learn(backbone):
    """(options) -> learned vectors less their first values, and those first values."""
    tokens = tokens_of(backbone, [TEXT])
    trainable = trainable_tokens(backbone, tokens, [TEXT], "content", join=False)
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    first = backbone.embed(tokens)[0][0, list(trainable.rows[0][0].tokens)]

    def run(**options):
        recipe = TextualRecipe(**{"steps": 1, "draws": 2, "lr": LR, "weight_decay": 0.0} | options)
        learned = optimise(backbone, latents, trainable, ["s"], recipe)[0]
        return learned.vectors[0] - first, first

    return run


def test_a_linear_schedule_halves_the_second_of_two_steps(learn):
    constant, _ = learn(steps=2)
    linear, _ = learn(steps=2, schedule="linear")
    assert 1.6 * LR < constant.abs().max() < 2.02 * LR
    assert 1.3 * LR < linear.abs().max() < 1.52 * LR
    assert torch.equal(learn(schedule="linear")[0], learn()[0])  # a first step has the whole rate


def test_decay_takes_its_share_of_the_rate(learn):
    moved, first = learn()
    decayed, _ = learn(weight_decay=0.5)
    torch.testing.assert_close(decayed, moved - LR * 0.5 * first, rtol=1e-4, atol=1e-6)


def test_a_contrast_without_weight_changes_nothing_and_more_weight_changes_more(learn):
    plain, _ = learn(steps=3)
    assert torch.equal(learn(steps=3, contrast={"weight": 0.0})[0], plain)
    little, much = (learn(steps=3, contrast={"weight": weight})[0] for weight in (0.001, 1.0))
    assert 0 < (little - plain).abs().sum() < (much - plain).abs().sum()


def test_a_threshold_of_the_mask_is_a_share_of_the_highest_cell(backbone):
    tokens = tokens_of(backbone, [TEXT])
    words = TokenGroups([[[2]]], tokens)
    maps = torch.zeros(1, 1, tokens.encodings[0].window, 2, 2)
    maps[0, 0, 2] = torch.tensor([[0.8, 0.41], [0.39, 0.1]])

    def kept(**options):
        return attended(maps, words, Mask(**options), (2, 2))[0, 0, 0].tolist()

    assert kept(threshold=0.0) == [[1, 1], [1, 1]]
    assert kept(threshold=0.5) == [[1, 1], [0, 0]]
    assert kept(threshold=0.6) == [[1, 0], [0, 0]]
    assert kept(hard=False) == [pytest.approx([1, 0.5125]), pytest.approx([0.4875, 0.125])]


def test_draws_lie_in_their_range_spread_evenly_and_in_opposite_pairs():
    steps, noise = draw(0, "invert", "s", 0, 8, (4, 2, 2), (200, 900), stratified=True)
    assert [int(step - 200) * 8 // 700 for step in sorted(steps)] == list(range(8))
    steps, noise = draw(0, "invert", "s", 0, 8, (4, 2, 2), (200, 900), antithetic=True)
    assert torch.equal(noise[:4], -noise[4:]) and torch.equal(steps[:4], steps[4:])
    assert int(steps.min()) >= 200 and int(steps.max()) < 900


def test_an_attenders_layers_are_those_and_no_others(backbone):
    condition = condition_of(backbone, [TEXT])
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    at = torch.tensor([400])

    def read(*layers):
        with torch.no_grad():
            return AttentionReader(backbone, layers=layers or None)(latents, at, condition).cross

    one, two = "down_blocks.0.attentions.0", "up_blocks.1.attentions.0"
    torch.testing.assert_close(read(one, two), (read(one) + read(two)) / 2)
    assert not torch.allclose(read(one), read(two))
    every = [one, two, "up_blocks.1.attentions.1"]
    torch.testing.assert_close(read(*every), read())  # this backbone advises none, so all count
    with pytest.raises(AnywordError, match="no cross-attention layer at 16x16 begins with 'mid_block'"):
        read("mid_block")
