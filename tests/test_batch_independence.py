"""A sample's masks do not depend on its company: alone, in a batch, or in another shard, on the embedded models."""

import json

import pytest
import yaml
from pycocotools import mask as coco

from stages import REPOSITORY
from stages.artifacts import ShardReader
from stages.attend import command as attend
from stages.config import Workflow
from stages.invert import command as invert
from stages.parse import command as parse
from stages.prompt import command as prompt
from stages.samples import command as samples
from stages.segment import command as segment


def masks(folder, *, first, count, batch_size):
    """Masks by (sample, kind, index) of scenes of the embedded world, by the demo's recipes."""
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    config["datasets"]["demo"] = {"kind": "world", "split": "val", "first": first, "count": count}
    flow = Workflow(config)

    def at(stage):
        return folder / stage / "manifest.json"

    def recipe(section, name):
        return json.loads(flow.recipe(section, name))

    samples.index(recipe=recipe("datasets", "demo"), output=folder / "index" / "manifest.json")
    listing = folder / "index" / "00000" / "manifest.json"
    samples.run(index=listing, recipe=json.loads(flow.reader("demo")), output=at("samples"))
    own = {"samples": at("samples")}
    parse.run(**own, recipe=recipe("parsers", "truth"), output=at("parse"))
    size = {"batch_size": batch_size, "device": "cpu"}
    invert.run(**own, recipe=recipe("inverters", "embedded"), output=at("invert"), **size)
    maps = json.loads(flow.attend_recipe("embedded", "direct"))
    attend.run(**own, embeddings=at("invert"), recipe=maps, output=at("attend"), **size)
    points = recipe("prompters", "binding")
    prompt.run(**own, phrases=at("parse"), maps=at("attend"), recipe=points, output=at("prompt"))
    chosen = recipe("segmenters", "embedded")
    segment.run(**own, points=at("prompt"), recipe=chosen, output=at("segment"), **size)
    return {
        (row["sample_id"], row["kind"], row["index"]): {
            "size": [row["height"], row["width"]],
            "counts": row["counts"].encode(),
        }
        for row in ShardReader(at("segment"), "segment").table("masks")
    }


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return masks(tmp_path_factory.mktemp("together"), first=300, count=4, batch_size=4)


@pytest.mark.parametrize(("first", "count", "batch_size"), [(302, 1, 1), (301, 3, 2)])
def test_masks_are_the_same_alone_in_a_batch_and_in_another_shard(together, tmp_path, first, count, batch_size):
    apart = masks(tmp_path, first=first, count=count, batch_size=batch_size)
    assert apart.keys() <= together.keys()
    assert len({key[0] for key in apart}) == count
    for key, mask in apart.items():
        assert coco.iou([mask], [together[key]], [0]).item() >= 0.99, key
