"""Segmenters of transformers that take points: the library's own answers, whatever the class."""

import json

import numpy as np
import pytest
import torch
from tiny_point_models import KINDS, VIDEO, save_point_model, save_video_model

from stages.artifacts import AnywordError, SampleError
from stages.artifacts.language import Parse, Phrase, Span
from stages.models import point_prompted
from stages.segment.map_prompts import box_of, responses
from stages.segment.points import Points, Prompt, cut, records
from stages.segment.recipe import TransformersRecipe
from stages.segment.segmenter import Request

POINTS = np.array([[[10.5, 12.5], [33.25, 7.0]], [[50.0, 30.0], [5.0, 5.0]]])
LABELS = np.array([[1, 0], [1, 1]])


def image(seed=0, height=40, width=60):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    return save_point_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def model(folder):
    return point_prompted.load(str(folder))


def by_the_library(model, picture, points, labels, *, multimask, boxes=None):
    """Its processor, model and post-processing, in one go. Its points are numbers of pixels, ours places."""
    seen = model._encode(picture)
    half = 0.5 / np.array([seen.input_size[1] / picture.shape[1], seen.input_size[0] / picture.shape[0]])
    inputs = {"input_points": [(points - half).tolist()], "input_labels": [labels.tolist()]}
    if boxes is not None:
        inputs["input_boxes"] = [(boxes - np.tile(half, 2)).tolist()]
    inputs = model.processor(images=picture, return_tensors="pt", **inputs)
    sizes = [inputs["original_sizes"]]
    if "reshaped_input_sizes" in inputs:
        sizes.append(inputs.pop("reshaped_input_sizes"))
    inputs.pop("original_sizes")
    inputs["input_points"] = inputs["input_points"].float()
    if boxes is not None:
        inputs["input_boxes"] = inputs["input_boxes"].float()
    with torch.no_grad():
        outputs = model.model(**inputs, multimask_output=multimask)
    (masks,) = model.processor.post_process_masks(outputs.pred_masks, *sizes)
    best = outputs.iou_scores[0].argmax(dim=1)
    rows = torch.arange(len(best))
    return masks[rows, best].numpy(), outputs.iou_scores[0][rows, best].numpy()


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("boxed", [False, True])
def test_answers_are_the_librarys_on_the_same_points(model, multimask, boxed):
    picture = image()
    boxes = np.array([[2.0, 3.0, 40.0, 30.0], [20.0, 10.0, 59.0, 39.0]]) if boxed else None
    (seen,) = model.encode([picture])
    masks, scores = model.decode(seen, POINTS, LABELS, multimask=multimask, boxes=boxes)
    expected, wanted = by_the_library(model, picture, POINTS, LABELS, multimask=multimask, boxes=boxes)
    np.testing.assert_allclose(scores, wanted, atol=1e-5)
    assert masks.shape == (2, 40, 60) and (masks == expected).mean() > 0.999


def test_no_mask_depends_on_other_images_or_prompts(model):
    pictures = [image(1), image(2, 30, 30), image(3, 64, 20)]
    together = model.encode(pictures)
    for picture, seen in zip(pictures, together, strict=True):
        alone = model.encode([picture])[0]
        both = model.decode(seen, POINTS % 20, LABELS, multimask=True)
        for row in range(2):
            own = model.decode(alone, POINTS[row : row + 1] % 20, LABELS[row : row + 1], multimask=True)
            np.testing.assert_allclose(own[1][0], both[1][row], atol=1e-5)
            assert (own[0][0] == both[0][row]).mean() > 0.999


def test_boxes_and_maps_change_what_is_answered(model):
    (seen,) = model.encode([image()])
    points, labels = POINTS[:1], LABELS[:1]
    plain = model.decode(seen, points, labels, multimask=False)[1]
    corner = np.zeros((8, 8))
    corner[:3, :3] = 1.0
    by_map = [model.decode(seen, points, labels, multimask=False, odds=one)[1] for one in (corner, 1 - corner)]
    boxed = model.decode(seen, points, labels, multimask=False, boxes=np.array([[0.0, 0.0, 20.0, 20.0]]))[1]
    assert len({float(one[0]) for one in (plain, *by_map, boxed)}) == 4
    mask = model._as_mask(seen, corner)
    # Log odds over the image, padding outside: far from 0 on both sides.
    assert mask.shape[-1] == mask.shape[-2] and mask[0, 0, 0, 0] > 5 and mask[0, 0, -1, -1] < -5


def requests(points=True, maps=True):
    parse = Parse(phrases=(Phrase(span=Span(start=0, end=6), root=Span(start=2, end=6)),))
    values = np.zeros((4, 4))
    values[1:3, 1:3] = 1.0
    row = {"kind": "phrase", "index": 0, "points": [{"x": 20.0, "y": 15.0, "label": 1}] if points else []}
    return Request(
        text="a disk", size=(40, 60), image=image, targets=[row], parse=parse, maps={(2, 6): values} if maps else None
    )


def test_a_recipe_prompts_with_boxes_and_maps(folder):
    answers = set()
    for more in ({}, {"box": 0.5}, {"mask": True}, {"box": 0.5, "mask": True}, {"answer": "multi"}):
        recipe = TransformersRecipe(path=str(folder), **more)
        segmenter = Points(recipe, "cpu")
        (found,) = segmenter.cuts([requests()])
        answers.add(found["phrase", 0].score)
        assert found["phrase", 0].mask.shape == (40, 60)
        (nothing,) = segmenter.cuts([requests(points=False)])
        assert not nothing["phrase", 0].mask.any()
        assert segmenter.models == records(recipe)
        if more.keys() & {"box", "mask"}:
            with pytest.raises(AnywordError, match="needs maps"):
                list(segmenter.cuts([requests(maps=False)]))
    assert len(answers) >= 4


def test_a_box_or_a_map_makes_one_point_unambiguous():
    calls = []

    class Fake:
        def decode(self, encoded, points, labels, *, multimask, **more):
            calls.append((len(points), multimask, sorted(more)))
            return np.zeros((len(points), 4, 4), bool), np.zeros(len(points), np.float32)

    point, label, values = np.ones((1, 2)), np.ones(1, int), np.zeros((2, 2))
    box = np.array([0.0, 0.0, 2.0, 2.0])
    prompts = [Prompt(point, label), Prompt(point, label, box), Prompt(point, label, box), Prompt(point, label)]
    cut(Fake(), None, (4, 4), [*prompts, Prompt(point, label, box, values), Prompt(point, label, None, values)])
    assert calls == [
        (2, True, []), (1, False, ["odds"]), (2, False, ["boxes"]), (1, False, ["boxes", "odds"]),
    ]  # fmt: skip


def test_the_box_is_that_of_the_largest_region_in_the_images_pixels():
    values = np.zeros((4, 8))
    values[0, 0] = 1.0
    values[1:3, 4:7] = 0.6
    assert box_of(values, 0.5, (40, 160)).tolist() == [80, 10, 140, 30]
    assert box_of(values, 0.9, (40, 160)).tolist() == [0, 0, 20, 10]
    assert box_of(np.zeros((4, 8)), 0.5, (40, 160)) is None
    parse = Parse(phrases=(Phrase(span=Span(start=0, end=6), root=Span(start=2, end=6)),))
    assert responses(parse, {(2, 6): values})["phrase", 0].max() == 1.0


def test_what_is_no_such_model_is_refused_in_one_line(folder, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(AnywordError, match="holds a bert, no segmenter that takes points"):
        point_prompted.load(str(tmp_path))
    with pytest.raises(AnywordError, match="no such folder"):
        point_prompted.load("./nowhere")


def test_an_image_that_vanishes_is_refused_where_its_shape_is_kept(model):
    if model._pads:
        with pytest.raises(SampleError, match="too thin"):
            model.check((1, 500))
    else:
        model.check((1, 500))


@pytest.mark.parametrize("name", VIDEO)
def test_the_model_for_images_is_read_out_of_a_folder_for_video(tmp_path, name):
    whole = save_video_model(tmp_path / "video", name).state_dict()
    model = point_prompted.load(str(tmp_path / "video"))
    for key, values in model.model.state_dict().items():
        own = [whole[one] for one in (key, f"tracker_model.{key}") if one in whole]
        if not own:  # the whole SAM 3 shares its detector's encoder
            moved = key.replace("vision_encoder.backbone", "detector_model.vision_encoder.backbone")
            own = [whole[moved.replace("vision_encoder.neck", "tracker_neck")]]
        assert torch.equal(values, own[0]), key
    (seen,) = model.encode([image()])
    assert model.decode(seen, POINTS, LABELS, multimask=True)[0].shape == (2, 40, 60)


def test_a_folder_is_taken_by_path_for_one_image(folder, tmp_path):
    from PIL import Image

    from stages.choice import with_models

    Image.fromarray(image()).save(tmp_path / "image.png")
    chosen = with_models(tmp_path / "image.png", experiment="spacy", sam=str(folder))
    assert chosen["segmenters"]["given"] == {"kind": "transformers", "path": str(folder)}
