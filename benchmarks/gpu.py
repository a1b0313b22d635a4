"""Speed of invert and attend on a GPU: `python benchmarks/gpu.py --backbone sd15 --device cuda`.

--backbone is a folder in diffusers' layout, `embedded`, or `sd15` or `ldm`: random weights in the shape of Stable
Diffusion 1.5 or of latent diffusion text-to-image, which are as fast as trained ones. Each way to compute is measured
by itself against float32. Seconds for a whole image are those of a few steps times the steps; the paper's, beside
them, are 470 s for 1100 steps and 28 s for 50, on an A100. Figures go to benchmarks/results.json, below `speed`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import Any

import torch
from inversion import Case, save

from stages import REPOSITORY
from stages.artifacts.errors import AnywordError
from stages.attend import ddim
from stages.attend.averager import Averager
from stages.models.devices import choose_device
from stages.models.diffusion import load
from stages.models.published import SHAPES
from stages.models.reading import AttentionReader
from stages.models.recipe import BackboneRecipe
from stages.models.unet import UNetModel

HERE = Path(__file__).parent
PAPER = {1100: 470.0, 50: 28.0}
"""Seconds an image by steps of inversion (Segment Anyword, table 10), one A100 of 40 GB."""
WAYS = ("float32", "tf32", "bfloat16", "contiguous", "compile", "cuda-graphs")
"""float32 and bfloat16 as the pipeline runs them; tf32: float32 with TF32 matrix products; contiguous, compile and
cuda-graphs: bfloat16 without channels_last, with torch.compile, and with torch.compile's CUDA graphs."""
CUDA_ONLY = {"tf32", "contiguous", "cuda-graphs"}


def save_random(shape: str, folder: Path) -> Path:
    """A model of random weights in one of SHAPES, with the embedded model's tokenizer, the only one at hand."""
    import diffusers
    import transformers
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

    wanted = SHAPES[shape]["parts"]
    tokenizer = transformers.CLIPTokenizer.from_pretrained(REPOSITORY / "models/backbone/tokenizer")
    tokenizer.model_max_length = 77
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(**wanted["unet"])
    autoencoder: Any
    encoder: Any
    if SHAPES[shape]["kind"] == "ldm":
        parts = ("vqvae", "bert")
        autoencoder = diffusers.VQModel(**wanted["vqvae"])
        encoder = LDMBertModel(LDMBertConfig(vocab_size=len(tokenizer), pad_token_id=0, **wanted["bert"]))
    else:
        parts = ("vae", "text_encoder")
        autoencoder = diffusers.AutoencoderKL(**wanted["vae"])
        encoder = transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=len(tokenizer),
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                **wanted["text_encoder"],
            )
        )
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
    )
    modules = {"unet": unet, parts[0]: autoencoder, parts[1]: encoder, "tokenizer": tokenizer, "scheduler": scheduler}
    for name, module in modules.items():
        module.save_pretrained(folder / name)
    index = {name: ["diffusers", type(module).__name__] for name, module in modules.items()}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


class Contiguous(torch.nn.Module):
    """A UNet whose latents come in torch's default memory format."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet
        self.dtype, self.config = unet.dtype, unet.config

    def forward(self, latents: torch.Tensor, *inputs: Any, **options: Any) -> Any:
        return self.unet(latents.contiguous(), *inputs, **options)


@contextlib.contextmanager
def way(name: str, recipe: BackboneRecipe, device: torch.device) -> Iterator[UNetModel]:
    """The backbone, computing in one of WAYS."""
    dtype = "float32" if name in ("float32", "tf32") else "bfloat16"
    backbone = load(recipe.model_copy(update={"dtype": dtype}), device)
    before = torch.get_float32_matmul_precision()
    if name == "tf32":
        torch.set_float32_matmul_precision("high")
    elif name == "contiguous":
        backbone.unet = Contiguous(backbone.unet.to(memory_format=torch.contiguous_format))
    elif name in ("compile", "cuda-graphs"):
        mode = "reduce-overhead" if name == "cuda-graphs" else "default"
        backbone.unet = torch.compile(backbone.unet, mode=mode)
    try:
        yield backbone
    finally:
        torch.set_float32_matmul_precision(before)
        if name in ("compile", "cuda-graphs"):
            torch._dynamo.reset()


def attend(case: Case, steps: int) -> None:
    """Attend's work on a batch: DDIM inversion, then the maps at the stored latents. Never compiled: it reads single
    layers, which a compiled UNet has no more."""
    backbone = copy(case.backbone)
    backbone.unet = getattr(case.backbone.unet, "_orig_mod", case.backbone.unet)
    levels, stored = ddim.ddim_inversion(backbone, case.latents, case.condition, steps)
    averager = Averager(case.batch, (0, 1000))
    ddim.maps_at(AttentionReader(backbone), stored, levels, case.condition, averager, rows=8 * case.batch)
    averager.mean(0)


def seconds(function: Callable[[], Any], device: torch.device, repeats: int) -> tuple[float, float]:
    """Median seconds of a call, and those of the first one (which compiles)."""
    taken = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - begin)
    return sorted(taken[1:])[(repeats - 1) // 2], taken[0]


def matmul_rate(device: torch.device, dtype: torch.dtype, repeats: int) -> float:
    """FLOP/s of a large square matrix product: what the device can do at best."""
    side = 8192 if device.type == "cuda" else 512
    one = torch.randn(side, side, device=device, dtype=dtype)
    taken, _ = seconds(lambda: one @ one, device, max(3, repeats))
    return 2 * side**3 / taken


def largest_batch(backbone: UNetModel, draws: int, most: int = 256) -> int:
    """The largest power of two of images whose step of inversion fits into the GPU's memory."""
    fits = 0
    size = 1
    while size <= most:
        try:
            Case(backbone, 1, draws, size).invert()
        except torch.OutOfMemoryError:
            break
        finally:
            torch.cuda.empty_cache()
        fits, size = size, size * 2
    if not fits:
        raise AnywordError("not one image fits into the GPU's memory.", remedy="Give fewer --draws.")
    return fits


def measure(backbone: UNetModel, options: argparse.Namespace, batch: int, rate: float, flop: float) -> dict[str, float]:
    """Figures of one way. flop: of one image's step of inversion; rate: the device's FLOP/s in that arithmetic."""
    device = backbone.device
    case = Case(backbone, options.steps, options.draws, batch)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    invert, first = seconds(case.invert, device, options.repeats)
    step = invert / batch / options.steps
    figures = {
        "batch": batch,
        "invert_seconds_image_step": step,
        "invert_first_seconds": first,
        "invert_tflops": flop / step / 1e12,
        "invert_share_of_matmul": flop / step / rate,
        **{f"invert_images_per_second_{n}_steps": 1 / step / n for n in PAPER},
        **{f"invert_seconds_image_{n}_steps": step * n for n in PAPER},
    }
    if device.type == "cuda":
        figures["peak_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
    taken, _ = seconds(lambda: attend(case, options.chain), device, options.repeats)
    return figures | {"attend_seconds_image": taken / batch, "attend_images_per_second": batch / taken}


def run(options: argparse.Namespace, weights: Path) -> dict[str, dict[str, float]]:
    device = choose_device(options.device)
    shape = SHAPES.get(options.backbone)
    if shape:
        recipe = BackboneRecipe(kind=shape["kind"], path=str(save_random(options.backbone, weights)))
    elif options.backbone == "embedded":
        recipe = BackboneRecipe()
    else:
        recipe = BackboneRecipe(kind=options.kind, path=options.backbone)
    found: dict[str, dict[str, float]] = {}
    batch, flop = options.batch, 0.0
    for name in options.ways:
        if name in CUDA_ONLY and device.type != "cuda":
            say(f"{name:12} not run: only on cuda")
            continue
        with way(name, recipe, device) as backbone:
            if not batch:
                batch = largest_batch(backbone, options.draws) if device.type == "cuda" else 1
            flop = flop or Case(load(recipe, device), 1, options.draws, 1).flops()
            rate = matmul_rate(device, getattr(torch, "float32" if name == "tf32" else str(backbone.unet.dtype)[6:]), 3)
            found[name] = measure(backbone, options, batch, rate, flop)
        one = found[name]
        say(
            f"{name:12} batch {batch:4d}  invert {one['invert_seconds_image_step'] * 1e3:9.2f} ms an image and step, "
            f"{one['invert_seconds_image_1100_steps']:8.2f} s for 1100 (paper 470), "
            f"{one['invert_seconds_image_50_steps']:7.2f} s for 50 (paper 28), "
            f"{100 * one['invert_share_of_matmul']:5.1f} % of a matrix product's rate; "
            f"attend {one['attend_seconds_image']:7.3f} s an image"
        )
    return found


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> dict[str, dict[str, float]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="sd15", help="sd15, ldm, embedded, or a folder")
    parser.add_argument("--kind", default="stable-diffusion", choices=("stable-diffusion", "ldm"), help="of a folder")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"comma-separated, of {', '.join(WAYS)}")
    parser.add_argument("--batch", type=int, default=0, help="images; 0: the largest power of two that fits")
    parser.add_argument("--draws", type=int, default=8, help="noise draws an image (the paper's 8)")
    parser.add_argument("--steps", type=int, default=5, help="inversion steps a measurement")
    parser.add_argument("--chain", type=int, default=50, help="DDIM steps of attend")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    options = parser.parse_args(arguments)
    options.ways = [name.strip() for name in options.ways.split(",") if name.strip()]
    unknown = [name for name in options.ways if name not in WAYS]
    try:
        if unknown:
            raise AnywordError(f"--ways '{unknown[0]}' is unknown.", remedy=f"Use {', '.join(WAYS)}.")
        with tempfile.TemporaryDirectory() as weights:
            found = run(options, Path(weights))
    except AnywordError as error:
        sys.exit(f"gpu: {error}")
    device = choose_device(options.device)
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    known = json.loads(options.output.read_text()).get("speed", {}) if options.output.exists() else {}
    key = f"{Path(options.backbone).name} on {hardware}"
    save({"speed": {**known, key: found}}, options.output)
    return found


if __name__ == "__main__":
    main()
