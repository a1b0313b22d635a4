"""bfloat16 on a CPU that has no arithmetic for it: as fast as float32, and as exact as where it has."""

import pytest
import torch
from tiny_families import KINDS, save_family
from tiny_models import condition_of, save_tiny
from torch.utils._python_dispatch import TorchDispatchMode

from lab.training.training import autocast
from stages.models import cpu_bfloat16
from stages.models.cpu_bfloat16 import SummedInFloat32
from stages.models.diffusion import load
from stages.models.face import Read
from stages.models.recipe import BackboneRecipe

TEXT = "a red circle and a blue circle"
LOOPS = ("mm", "addmm", "bmm", "baddbmm", "convolution", "_scaled_dot_product_flash_attention_for_cpu")
OF_ARGUMENTS = {
    "linear": (torch.nn.functional.linear, [(5, 8), (6, 8), (6,)]),
    "conv2d": (torch.nn.functional.conv2d, [(2, 3, 6, 6), (4, 3, 3, 3), (4,)]),
    "conv_transpose2d": (torch.nn.functional.conv_transpose2d, [(2, 3, 6, 6), (3, 4, 2, 2), (4,)]),
    "attention": (torch.nn.functional.scaled_dot_product_attention, [(2, 2, 7, 4)] * 3),
    "bmm": (torch.bmm, [(2, 3, 4), (2, 4, 5)]),
    "baddbmm": (torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)]),
    "matmul": (torch.matmul, [(2, 3, 4), (4, 5)]),
    "@": (lambda one, other: one @ other, [(2, 3, 4), (4, 5)]),
}


class Loops(TorchDispatchMode):
    """Sums of products in bfloat16 that reach the CPU, forward and backward, by name."""

    def __init__(self):
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__.removesuffix("_backward")
        if name in LOOPS and any(getattr(one, "dtype", None) == torch.bfloat16 for one in args):
            self.seen.add(name)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def old_cpu(monkeypatch):
    monkeypatch.setattr(cpu_bfloat16, "has_bfloat16", lambda: False)


@pytest.mark.parametrize("name", OF_ARGUMENTS)
def test_a_product_is_that_of_float32_rounded_once(name):
    func, shapes = OF_ARGUMENTS[name]
    generator = torch.Generator().manual_seed(0)
    given = [torch.randn(shape, generator=generator).bfloat16().requires_grad_() for shape in shapes]
    wide = [one.detach().float().requires_grad_() for one in given]
    exact = func(*wide)
    exact.sum().backward()
    with SummedInFloat32(), Loops() as loops:
        found = func(*given)
        found.sum().backward()
        assert torch.equal(func(*wide), exact)  # what is float32 stays as it is
    assert found.dtype == torch.bfloat16 and torch.equal(found, exact.bfloat16())
    assert all(torch.equal(one.grad, other.grad.bfloat16()) for one, other in zip(given, wide, strict=True))
    assert not loops.seen


@pytest.fixture(scope="module", params=["stable-diffusion", "ldm", *KINDS])
def model(request, tmp_path_factory):
    folder, kind = tmp_path_factory.mktemp(request.param), request.param.partition("-")[0]
    if request.param in KINDS:
        save_family(folder, request.param)
        return load(BackboneRecipe(kind=kind, path=str(folder), resolution=32, dtype="bfloat16"))
    save_tiny(folder, request.param)
    return load(BackboneRecipe(kind=request.param, path=str(folder), dtype="bfloat16"))


def learned(model):
    """What is predicted, and the gradient of it and of what is read."""
    condition = condition_of(model, [TEXT])
    context = condition.context.requires_grad_()
    channels = model.autoencoder.config.latent_channels
    latents = torch.randn(1, channels, *model.latent_size, generator=torch.Generator().manual_seed(0))
    read = Read(tuple(layer.name for layer in model.read_by_default))
    predicted, readings = model.run(latents, torch.tensor([600]), condition, [read])
    loss = predicted.square().mean() + sum(one.float().square().sum() for one in readings.values())
    loss.backward()
    return predicted.detach(), context.grad


def test_no_product_is_left_to_loops_in_any_family(model, old_cpu):
    with Loops() as loops:
        predicted, gradient = learned(model)
    assert not loops.seen
    assert predicted.isfinite().all() and gradient.abs().max() > 0


def test_results_are_those_of_a_cpu_that_has_it_but_for_rounding(model, monkeypatch):
    found = []
    for has_it in (True, False):
        monkeypatch.setattr(cpu_bfloat16, "has_bfloat16", lambda has_it=has_it: has_it)
        found.append(learned(model))
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() < 0.03 * one.norm()


def test_a_pass_that_spares_memory_learns_the_same(model, old_cpu):
    plain = learned(model)
    try:
        assert model.spare()
        with Loops() as loops:
            spared = learned(model)
    finally:
        model.denoiser.disable_gradient_checkpointing()
    assert not loops.seen
    assert all(torch.equal(one, other) for one, other in zip(plain, spared, strict=True))


def test_training_takes_float32_there(old_cpu):
    layer = torch.nn.Linear(4, 4)
    with autocast("cpu"):
        assert layer(torch.zeros(1, 4)).dtype == torch.float32
