"""Training of the embedded SAM: prompts lie where they should, the fast decoder is the real one, runs resume."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.training import sam_prompts
from lab.training.evaluate_sam import evaluate_model, pick
from lab.training.sam_batch import PART, PROMPTS, SCENES, Batch
from lab.training.sam_files import write
from lab.training.sam_losses import dense_loss, mask_loss
from lab.training.train_sam import Trainee, decode, embed, step_loss, train
from lab.training.training import owners
from stages.models import sam
from stages.models.embedded_sam import EmbeddedSamConfig, build
from stages.world.scene import scene

TINY = {"encoder_embed_dim": 32, "encoder_depth": 2, "encoder_global_attn_indexes": [1], "prompt_embed_dim": 32}
TINY |= {"decoder_mlp_dim": 32, "iou_head_hidden_dim": 32, "patch_size": 8}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build(EmbeddedSamConfig.model_validate(TINY))


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(seed, count=3, side=24):
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, side, side), dtype=np.float32)
    for mask in masks:
        row, column = rng.integers(0, side - 6, 2)
        mask[row : row + 2 + rng.integers(4), column : column + 2 + rng.integers(4)] = 1
    return torch.from_numpy(masks)


def at(masks, points):
    where = points.round().long().clamp(0, masks.shape[-1] - 1)
    return torch.stack([mask[xy[:, 1], xy[:, 0]] for mask, xy in zip(masks, where, strict=True)])


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_points_lie_where_their_labels_say(seed):
    masks, others = blobs(seed), blobs(seed + 1)
    others = others * (1 - masks)
    points, labels = sam_prompts.scattered(masks, others, 2, 3, False, dice(seed))
    assert points.shape == (3, 5, 2)
    assert torch.equal(at(masks, points), labels.float())
    for other, inside in zip(others, at(others, points), strict=True):
        assert not other.any() or inside[2:].all()  # negatives lie in other things where there are any
    points, labels = sam_prompts.corrections(others, masks, 4, dice(seed))
    assert torch.equal(at(masks, points), labels.float())
    assert at((others - masks).abs(), points).all()


def test_a_faultless_answer_is_confirmed_inside_the_mask():
    masks = blobs(3)
    points, labels = sam_prompts.corrections(masks, masks, 2, dice())
    assert labels.all()
    assert at(masks, points).all()


def test_joined_regions_both_get_a_point():
    masks, partners = blobs(1), blobs(2)
    points, labels = sam_prompts.joined(masks, partners, 1, dice())
    assert points.shape == (3, 3, 2)
    assert labels.all()
    assert at(masks, points[:, :1]).all()
    assert at(partners, points[:, 1:2]).all()


def test_training_computes_what_segment_anything_computes(model):
    images = torch.rand(2, 3, 128, 128) * 255
    points, labels = torch.rand(2, 3, 2) * 127, torch.tensor([[1, 0, 1]] * 2)
    with torch.no_grad():
        embeddings = embed(model, images)
        torch.testing.assert_close(
            embeddings, model.image_encoder(torch.stack([model.preprocess(one) for one in images]))
        )
        logits, scores = decode(model, embeddings, points, labels, (0, 1, 2, 3))
        for number in range(2):
            sparse, dense = model.prompt_encoder(
                points=(points[number][None], labels[number][None]), boxes=None, masks=None
            )
            theirs, iou = model.mask_decoder.predict_masks(
                image_embeddings=embeddings[number][None],
                image_pe=model.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
            )
            torch.testing.assert_close(logits[number][None], theirs, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(scores[number][None], iou, atol=1e-5, rtol=1e-4)


def test_a_part_of_an_image_has_the_places_that_it_has_in_the_whole(model):
    """With attention inside windows only and the neck's border left out, a part is embedded as in the whole."""
    windowed = build(EmbeddedSamConfig.model_validate({**TINY, "encoder_global_attn_indexes": []}))
    windowed.load_state_dict(model.state_dict())
    image = torch.rand(1, 3, 128, 128) * 255
    torch.nn.init.normal_(windowed.image_encoder.pos_embed)
    with torch.no_grad():
        whole = embed(windowed, image)
        part = embed(windowed, image[:, :, 64:, :64], torch.tensor([[0, 64]]))
    torch.testing.assert_close(part[..., 1:, :-1], whole[..., 9:, :7], atol=1e-4, rtol=1e-4)


def test_batches_follow_from_seed_and_step_and_show_what_they_say():
    for step in range(3):
        one, two = Batch(step, "cpu", "part"), Batch(step, "cpu", "part")
        assert torch.equal(one.images, two.images) and torch.equal(one.masks, two.masks)
        assert one.images.shape == (SCENES, 3, PART, PART)
        assert one.masks.shape == one.others.shape == (SCENES * PROMPTS, PART, PART)
        assert not (one.masks * one.others).any()
        for number, (x, y) in enumerate(one.corners.tolist()):
            drawn = scene("train", step * SCENES + number)
            seen = np.s_[y : y + PART, x : x + PART]
            assert np.array_equal(one.images[number].permute(1, 2, 0).numpy(), drawn.image[seen])
            regions = [r.mask[seen] for r in (*drawn.instances, *drawn.grounds)]
            for mask in one.masks[number * PROMPTS : (number + 1) * PROMPTS]:
                assert any(np.array_equal(mask.numpy() > 0, region) for region in regions)


def test_losses_are_least_at_the_truth():
    masks = blobs(5)
    right, wrong = (20 * masks - 10)[:, None], (10 - 20 * masks)[:, None]
    good, iou = mask_loss(torch.cat([right, wrong], dim=1), masks)
    assert (good[:, 0] < 0.05).all() and (good[:, 1] > 1).all()
    assert torch.equal(iou[:, 0], torch.ones(3)) and not iou[:, 1].any()
    drawn = scene("train", 4)
    owner = torch.from_numpy(owners(drawn))[None]
    truth = torch.zeros(1, 3, 128, 128)
    truth[:, 0] = 20.0 * (owner < 100) - 10
    line = (torch.arange(128) + 0.5) / 64 - 1
    for number, one in enumerate(drawn.instances):
        rows, columns = np.nonzero(one.mask)
        truth[0, 1][owner[0] == number] = float(line[columns].mean())
        truth[0, 2][owner[0] == number] = float(line[rows].mean())
    assert float(dense_loss(truth, owner)) < 0.001 < float(dense_loss(-truth, owner))


@pytest.mark.parametrize("view", ["halved", "part", "whole"])
def test_a_step_is_finite_and_moves_weights_and_their_twin_alike(view):
    trainee = Trainee(EmbeddedSamConfig.model_validate(TINY), "cpu")
    before = trainee.model["dense"].weight.clone()
    for step in range(2):
        loss, figures = step_loss(trainee.twin, Batch(step, "cpu", view), 1.0)
        assert all(np.isfinite(value) for value in figures.values())
        loss.backward()
        trainee.update(1e-3, step)
    assert not torch.equal(before, trainee.model["dense"].weight)
    twin = dict(trainee.twin.named_parameters())
    for name, master in trainee.model.named_parameters():
        torch.testing.assert_close(twin[name].float(), master, atol=0.05, rtol=0.01)


def test_every_weight_but_those_of_boxes_learns():
    trainee = Trainee(EmbeddedSamConfig.model_validate(TINY), "cpu")
    corners = {f"sam.prompt_encoder.point_embeddings.{number}.weight" for number in (2, 3)}
    learning = {name for name, _ in trainee.model.named_parameters()} - corners
    seen = set()
    for step in range(60):  # mask prompts come in one step of ten
        loss, _ = step_loss(trainee.twin, Batch(step, "cpu", "part"), 1.0)
        loss.backward()
        seen |= {name for name, one in trainee.twin.named_parameters() if one.grad is not None and one.grad.any()}
        if seen == learning:
            break
    assert seen == learning


def test_a_stopped_training_goes_on_and_its_weights_load(tmp_path):
    config = EmbeddedSamConfig.model_validate(TINY)
    options = {"folder": tmp_path / "runs", "watched": 1, "config": config}
    train(0.02, tmp_path / "out", **options)
    train(0.02, tmp_path / "out", **options)
    curve = [json.loads(line) for line in (tmp_path / "runs" / "curve.jsonl").read_text().splitlines()]
    assert len(curve) == 2
    assert 0 < curve[0]["step"] < curve[1]["step"]
    loaded = sam.load("embedded", tmp_path / "out")
    again = evaluate_model(loaded.model, 1, "val")
    assert again["sam_iou_1"] == pytest.approx(curve[1]["sam_iou_1"], abs=0.05)  # weights were rounded to float16


def test_evaluation_points_lie_inside():
    mask = scene("val", 0).instances[0].mask
    points = pick(mask, 50, np.random.default_rng(0))
    assert mask[points[:, 1], points[:, 0]].all()


def test_weights_are_written_as_float16(tmp_path, model):
    write(model, EmbeddedSamConfig.model_validate(TINY), tmp_path)
    size = (tmp_path / "model.safetensors").stat().st_size
    count = sum(tensor.numel() for tensor in model.state_dict().values())
    assert 2 * count < size < 2 * count + 50_000


def test_the_embedded_weights_cut_what_their_card_says():
    """A guard against shipping other weights or another encoder than were measured; the card has all 300 scenes."""
    figures = evaluate_model(sam.load("embedded").model, 12, "test")
    assert figures["sam_iou_1"] > 0.75
    assert figures["sam_iou_4"] > 0.75
