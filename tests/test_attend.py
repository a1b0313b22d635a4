"""Attention along the chain: exact equivalences, every word's map, refusals."""

import numpy as np
import pytest
import torch
from tiny_models import alphas_of, condition_of, save_samples, save_tiny

from stages.artifacts import AnywordError, ArtifactError, ShardReader
from stages.artifacts.language import words
from stages.artifacts.maps import read_maps
from stages.attend import ddim, null_text
from stages.attend.averager import Averager
from stages.attend.command import run
from stages.models.diffusion import load
from stages.models.reading import AttentionMaps, AttentionReader, refine
from stages.models.recipe import BackboneRecipe

TEXTS = ["a red circle and a blue circle", "the disk is on grass .", "a green square inside a ring"]
LONG = "a red circle is on grass. a green square is inside a ring. a blue star is above it."
EVERY = (0, 1000)


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def folder(request, tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp(request.param), prediction=request.param)


@pytest.fixture(scope="module")
def backbone(folder):
    return load(BackboneRecipe(kind="stable-diffusion", path=str(folder)))


def state(backbone, count=3):
    latents = torch.randn(count, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    return latents, condition_of(backbone, TEXTS[:count])


def test_inversion_is_the_ddim_equation(backbone, folder):
    """z_next = sqrt(a') x0 + sqrt(1 - a') e, the UNet told the timestep it is going to."""
    latents, condition = state(backbone, 1)
    levels, stored = ddim.ddim_inversion(backbone, latents, condition, 10)
    assert levels == [1 + 100 * k for k in range(10)]
    alphas = alphas_of(folder)
    z, before = latents, alphas[0]
    for t, got in zip(levels, stored, strict=True):
        with torch.no_grad():
            out = backbone.predict(z, torch.tensor([t]), condition)
        if backbone.path.prediction_type == "v_prediction":
            x0 = before.sqrt() * z - (1 - before).sqrt() * out
            e = before.sqrt() * out + (1 - before).sqrt() * z
        else:
            e, x0 = out, (z - (1 - before).sqrt() * out) / before.sqrt()
        z = alphas[t].sqrt() * x0 + (1 - alphas[t]).sqrt() * e
        torch.testing.assert_close(got, z, rtol=1e-4, atol=1e-4)
        z, before = got, alphas[t]


def test_maps_batched_over_time_are_the_sequential_ones(backbone):
    latents, condition = state(backbone)
    levels, stored = ddim.ddim_inversion(backbone, latents, condition, 6)
    batched, sequential = Averager(3, EVERY), Averager(3, EVERY)
    ddim.maps_at(AttentionReader(backbone), stored, levels, condition, batched, rows=7)
    for n in range(3):
        for k, t in enumerate(levels):
            with torch.no_grad():
                maps = AttentionReader(backbone)(stored[k, n : n + 1], torch.tensor([t]), condition.select([n]))
            sequential.add(maps, [n], [t])
    for n in range(3):
        torch.testing.assert_close(batched.mean(n), sequential.mean(n), rtol=1e-4, atol=1e-6)


def test_direct_inversion_is_reading_the_stored_latents(backbone, folder):
    """Denoise step by step and add back what was lost (Ju et al., 2024): the latents met are the stored ones."""
    from diffusers import DDIMScheduler

    latents, condition = state(backbone, 1)
    levels, stored = ddim.ddim_inversion(backbone, latents, condition, 6)
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    scheduler.set_timesteps(6)
    corrected = Averager(1, EVERY)
    z = stored[-1]
    down = [*reversed(stored[:-1]), latents]
    with torch.no_grad():
        for t, wanted in zip(reversed(levels), down, strict=True):
            maps, out = AttentionReader(backbone).with_prediction(z, torch.tensor([t]), condition)
            corrected.add(maps, [0], [t])
            denoised = scheduler.step(out, t, z).prev_sample
            z = denoised + (wanted - denoised)
    ours = Averager(1, EVERY)
    ddim.maps_at(AttentionReader(backbone), stored, levels, condition, ours, rows=4)
    torch.testing.assert_close(ours.mean(0), corrected.mean(0), rtol=1e-4, atol=1e-6)


def test_plain_denoising_drifts_from_the_stored_latents(backbone):
    latents, condition = state(backbone, 1)
    levels, stored = ddim.ddim_inversion(backbone, latents, condition, 6)
    averager = Averager(1, EVERY)
    end = ddim.denoise(AttentionReader(backbone), stored[-1], levels, condition, averager)
    assert (end - latents).abs().max() > 1e-3
    assert averager.mean(0).sum(dim=0).allclose(torch.ones(16, 16), atol=1e-4)


def test_averages_do_not_depend_on_order_and_ranges_leave_steps_out():
    maps = torch.rand(4, 5, 2, 2)
    one, two = Averager(1, (100, 300)), Averager(1, (100, 300))
    steps = [1, 101, 201, 301]
    wanted = [k for k, t in enumerate(steps) if one.wants(t)]
    for k in wanted:
        one.add(AttentionMaps(maps[k : k + 1]), [0], [steps[k]])
    two.add(AttentionMaps(maps[wanted]), [0] * len(wanted), [steps[k] for k in wanted])
    assert torch.equal(one.mean(0), two.mean(0))
    torch.testing.assert_close(one.mean(0), maps[1:3].mean(0))
    with pytest.raises(AnywordError, match="no timestep"):
        Averager(1, (0, 1)).mean(0)


# The stage


@pytest.fixture(scope="module")
def shard(folder, tmp_path_factory):
    from stages.invert.command import run as invert

    place = tmp_path_factory.mktemp("shard")
    samples = save_samples(place / "samples", [*TEXTS, "red " * 40, LONG])
    backbone = {"kind": "stable-diffusion", "path": str(folder)}
    recipe = {"kind": "textual", "backbone": backbone, "steps": 2, "draws": 2, "lr": 0.5}
    invert(samples=samples, recipe=recipe, output=place / "invert/manifest.json", device="cpu")
    return place, backbone


def attend(shard, name, batch_size=8, **options):
    place, backbone = shard
    output = place / name / "manifest.json"
    recipe = {"kind": "direct", "backbone": backbone, "steps": 4} | options
    run(
        samples=place / "samples/manifest.json",
        embeddings=place / "invert/manifest.json",
        recipe=recipe,
        output=output,
        batch_size=batch_size,
        device="cpu",
    )
    return ShardReader(output, "attend")


def test_every_word_has_a_map_and_batches_do_not_change_it(shard):
    one, eight = attend(shard, "one", batch_size=1), attend(shard, "eight")
    maps = read_maps(one.file("maps.zarr"))
    for position, text in [*enumerate(TEXTS), (4, LONG)]:
        assert set(maps.of_sample(position)) == {(span.start, span.end) for span in words(text)}
    assert not maps.of_sample(3) and "window" in one.failures["s3"]
    assert (maps.maps.max(axis=(1, 2)) > 0).all()  # also words beyond the first window
    np.testing.assert_allclose(maps.maps, read_maps(eight.file("maps.zarr")).maps, rtol=1e-4, atol=1e-6)


def test_learned_vectors_change_the_maps(shard, tmp_path):
    """Maps come from the learned embeddings, not from the table's."""
    from stages.invert.command import run as invert

    place, backbone = shard
    recipe = {"kind": "textual", "backbone": backbone, "steps": 0}
    invert(samples=place / "samples/manifest.json", recipe=recipe, output=tmp_path / "m/manifest.json", device="cpu")
    run(
        samples=place / "samples/manifest.json",
        embeddings=tmp_path / "m/manifest.json",
        recipe={"kind": "direct", "backbone": backbone, "steps": 4},
        output=tmp_path / "a/manifest.json",
        device="cpu",
    )
    plain = read_maps(ShardReader(tmp_path / "a/manifest.json", "attend").file("maps.zarr"))
    learned = read_maps(attend(shard, "learned").file("maps.zarr"))
    assert np.abs(plain.maps - learned.maps).max() > 1e-4


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "ddim"},
        {"kind": "null-text", "inner_steps": 2, "steps": 3},
        {"kind": "direct", "refine": 1, "scales": {"16": 0.5, "8": 0.5}},
        {"kind": "noised", "at": [100, 700], "draws": 2},
        {"kind": "single-step", "at": [261]},
    ],
)
def test_every_kind_gives_the_same_maps_twice(shard, options):
    if options["kind"] in ("noised", "single-step"):
        place, backbone = shard
        values = {"backbone": backbone} | options
        folders = []
        for k, batch in enumerate((1, 8)):
            output = place / f"{options['kind']}{k}" / "manifest.json"
            run(
                samples=place / "samples/manifest.json",
                embeddings=place / "invert/manifest.json",
                recipe=values,
                output=output,
                batch_size=batch,
                device="cpu",
            )
            folders.append(ShardReader(output, "attend"))
    else:
        name = "-".join(options)
        folders = [attend(shard, f"{name}{k}", batch_size=b, **options) for k, b in enumerate((1, 8))]
    one, two = (read_maps(folder.file("maps.zarr")).maps for folder in folders)
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
    assert one.shape[1:] == (16, 16)


def test_steps_kept_for_audit_average_to_the_map(shard):
    folder = attend(shard, "steps", keep="steps", timesteps=[0, 600])
    maps = read_maps(folder.file("maps.zarr"), parts=True)
    assert maps.part_names == ("t = 1", "t = 251", "t = 501")  # of 1, 251, 501, 751
    np.testing.assert_allclose(maps.parts.mean(axis=1), maps.maps, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kept", ["layers", "heads"])
def test_layers_and_heads_kept_for_audit_average_to_the_very_map_that_is_made_without_them(shard, kept):
    plain = read_maps(attend(shard, "plain").file("maps.zarr"))
    maps = read_maps(attend(shard, kept, keep=kept).file("maps.zarr"), parts=True)
    np.testing.assert_array_equal(maps.maps, plain.maps)
    np.testing.assert_allclose(maps.parts.mean(axis=1), maps.maps, rtol=1e-4, atol=1e-6)
    assert len(set(maps.part_names)) == maps.parts.shape[1] > 1
    layers = {name.partition(", head ")[0] for name in maps.part_names}
    assert all(name.endswith("attn2") for name in layers)
    assert (len(layers) < len(maps.part_names)) == (kept == "heads")
    assert np.ptp(maps.parts, axis=1).max() > 1e-3  # they are not one map under many names


def test_marks_are_kept_on_request_beside_the_words(shard):
    maps = read_maps(attend(shard, "marks", special=True, keep="steps").file("maps.zarr"), parts=True)
    plain = read_maps(attend(shard, "no-marks").file("maps.zarr"))
    own = maps.of_sample(0)
    assert set(own) - set(plain.of_sample(0)) == {(-1, -1), (-2, -2)}
    for place, values in plain.of_sample(0).items():
        np.testing.assert_allclose(own[place], values, rtol=1e-5)
    # Words, marks and padding share one softmax.
    assert (sum(own.values()) < 1).all()


@torch.no_grad()
def test_scales_weigh_resolutions_and_the_finest_gives_the_side(backbone):
    latents, condition = state(backbone, 1)
    t = torch.tensor([300])
    fine = AttentionReader(backbone)(latents, t, condition).cross
    coarse = AttentionReader(backbone, scales={8: 1.0})(latents, t, condition).cross
    both = AttentionReader(backbone, scales={16: 3.0, 8: 1.0})(latents, t, condition).cross
    up = torch.nn.functional.interpolate(coarse, size=(16, 16), mode="bilinear", align_corners=False)
    assert coarse.shape[-1] == 8
    torch.testing.assert_close(both, 0.75 * fine + 0.25 * up)


@torch.no_grad()
def test_refinement_spreads_maps_along_self_attention(backbone):
    latents, condition = state(backbone, 1)
    maps = AttentionReader(backbone, own=True)(latents, torch.tensor([300]), condition)
    torch.testing.assert_close(maps.own.sum(dim=2), torch.ones(1, 256))  # each cell shares itself out
    refined = refine(maps.cross[0], maps.own[0], 1)
    torch.testing.assert_close(refined.flatten(1)[:, 5], maps.cross[0].flatten(1) @ maps.own[0, 5])
    everywhere = torch.full((1, 16, 16), 0.3)
    torch.testing.assert_close(refine(everywhere, maps.own[0], 3), everywhere)


def test_null_text_comes_nearer_to_the_image_than_plain_guidance(backbone):
    latents, condition = state(backbone, 2)
    levels, stored = ddim.ddim_inversion(backbone, latents, condition, 3)
    ends = []
    for inner in (1, 8):
        averager = Averager(2, EVERY)
        ends.append(
            null_text.denoise(AttentionReader(backbone), latents, stored, levels, condition, averager, inner=inner)
        )
        assert averager.mean(0).sum(dim=0).allclose(torch.ones(16, 16), atol=1e-4)
    assert (ends[1] - latents).square().mean() < (ends[0] - latents).square().mean()


def test_embeddings_of_another_backbone_are_refused_by_name(shard, tmp_path):
    other = save_tiny(tmp_path / "other", seed=1)
    with pytest.raises(ArtifactError, match="learned with backbone"):
        attend(shard, "other", backbone={"kind": "stable-diffusion", "path": str(other)})
