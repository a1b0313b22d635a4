"""Words that the tokenizer splits, as one token that learns."""

import json

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stages import REPOSITORY
from stages.learning.trainable_tokens import trainable_row
from stages.models.tokens import Encoding

TEXT = "a crimson disk and a disk"


def encoded(pieces):
    """An encoding of one text whose tokens cover `pieces`, between two marks and padded to 24."""
    ids = [500, *range(len(pieces)), 501]
    offsets = [(0, 0), *pieces, (0, 0)]
    pad = 24 - len(ids)
    return Encoding(torch.tensor([ids + [501] * pad]), (tuple(offsets + [(0, 0)] * pad),), padding_id=501)


def split(text, sizes):
    """Pieces of the words of a text, the k-th word in pieces of sizes[k] characters."""
    found, at = [], 0
    for word, size in zip(text.split(" "), sizes, strict=True):
        found += [(at + k, at + min(k + size, len(word))) for k in range(0, len(word), size)]
        at += len(word) + 1
    return found


@given(st.lists(st.integers(1, 7), min_size=6, max_size=6))
def test_joining_leaves_every_word_its_characters(sizes):
    plain = encoded(split(TEXT, sizes))
    found = trainable_row(TEXT, plain, 0, "content", join=True)
    joined = plain.join([found.joined])
    assert joined.input_ids.shape == plain.input_ids.shape
    assert [joined.offsets[0][t] for t in found.tokens] == [(2, 9), (10, 14), (21, 25)]
    content = [(word, size) for word, size in zip(TEXT.split(), sizes, strict=True) if word not in ("a", "and")]
    assert len(found.joined) == sum(len(word) > size for word, size in content)
    assert set(found.unknown) <= set(found.tokens)
    # Function words are as before, and what was not joined still covers what it covered.
    kept = [o for o in plain.offsets[0] if not any(plain.offsets[0][p[0]][0] <= o[0] < o[1] for p in found.joined)]
    assert all(o in joined.offsets[0] for o in kept if o != (0, 0) and TEXT[o[0] : o[1]] in ("a", "and"))


@given(st.lists(st.integers(1, 7), min_size=6, max_size=6), st.sampled_from([("disk",), ("crimson", "a"), (), "all"]))
def test_content_words_are_found_where_other_words_are_joined(sizes, choice):
    plain = encoded(split(TEXT, sizes))
    found = trainable_row(TEXT, plain, 0, choice, join=True)
    joined = plain.join([found.joined])
    places = [joined.offsets[0][token] for token in found.content]
    assert sorted(found.content) == list(found.content) and all(start < end for start, end in places)
    assert "".join(TEXT[slice(*place)] for place in places) == "crimsondiskdisk"


def test_without_joining_pieces_learn_as_before():
    plain = encoded(split(TEXT, [1, 3, 4, 3, 1, 2]))
    found = trainable_row(TEXT, plain, 0, "content")
    assert found.joined == ()
    assert [plain.offsets[0][t] for t in found.unknown] == [(2, 5), (5, 8), (8, 9), (21, 23), (23, 25)]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """invert and attend of a caption with words that the embedded tokenizer splits."""
    from stages.attend.command import run as attend
    from stages.config import Workflow
    from stages.invert.command import run as invert
    from stages.samples.command import index, run

    folder = tmp_path_factory.mktemp("joined")
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    config["datasets"]["demo"] = {"kind": "world", "split": "val", "first": 5, "count": 1}
    flow = Workflow(config)
    index(recipe=json.loads(flow.recipe("datasets", "demo")), output=folder / "index" / "manifest.json")
    listing = folder / "index" / "00000" / "manifest.json"
    samples = folder / "samples" / "manifest.json"
    run(index=listing, recipe=json.loads(flow.reader("demo")), output=samples)
    inverter = {
        "kind": "textual",
        "backbone": {"kind": "embedded"},
        "steps": 1,
        "draws": 1,
        "pieces": "joined",
        "lr": 0.001,
    }
    embeddings = folder / "invert" / "manifest.json"
    invert(samples=samples, recipe=inverter, output=embeddings)
    maps = folder / "attend" / "manifest.json"
    attend(
        samples=samples,
        embeddings=embeddings,
        recipe={"kind": "noised", "at": [500], "backbone": inverter["backbone"]},
        output=maps,
    )
    return samples, embeddings, maps


def test_a_split_word_learns_one_vector_and_has_one_map(result):
    from safetensors.numpy import load_file

    from stages.artifacts import ShardReader
    from stages.artifacts.maps import read_maps

    samples, embeddings, maps = result
    (row,) = ShardReader(samples, "samples").table("samples")
    assert row["text"] == "the large crimson box on gravel"
    tensors = load_file(ShardReader(embeddings, "invert").file("embeddings.safetensors"))
    assert len(tensors["joined"]) == 2  # crimson, box
    assert len(tensors["vectors"]) == 4  # large, crimson, box, gravel
    found = read_maps(ShardReader(maps, "attend").file("maps.zarr"))
    words = [row["text"][a:b] for a, b in zip(found.start, found.end, strict=True)]
    assert words == row["text"].split()
    assert np.isfinite(found.maps).all() and all(found.maps[n].any() for n in range(len(words)))
