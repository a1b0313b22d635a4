"""Training of the embedded diffusion model: denoising of captioned scenes, step by step from easy to full."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.training import autoencoder, backbone, dataset, evaluate, evaluate_backbone, probe, tokenizer, training
from stages.world.caption import caption
from stages.world.sample import sample
from stages.world.scene import scene

if TYPE_CHECKING:
    import torch

BATCH = 16
RATE = 6e-4
EMPTY = 0.08
"""Share of captions left out, so that the model also denoises without one."""
WEIGHT_CAP = 6.0


@dataclass(frozen=True)
class Phase:
    """A step of the curriculum: up to which training step, and from which chunks batches are drawn."""

    until: int
    sources: tuple[tuple[str, bool, int, float], ...]
    """(level, easy registers only, how many chunks, share of the batch)."""
    supervise: float = 0.0
    """Weight of the masks' pull on the attention of words that name something."""
    contrast: float = 0.0
    """Weight of the margin by which a wrong word must denoise worse than the right one."""
    bare: tuple[tuple[str, int, float], ...] = ()
    """(level, how many chunks, share of the batch) of captions that say nouns alone."""
    rate: tuple[float, float] | None = None
    """Learning rate at the phase's start and end; a cosine over the whole curriculum where there is none."""
    wrong: int = 8
    """Rows of a batch that are denoised with a wrong word too."""
    colours: float = 0.3
    """Share of the wrong words that are colours."""
    spread: float = 1.0
    """Share of the masks' pull that asks a word to cover all of its mask; the rest asks it to stay inside."""
    shape: float = 0.0
    """Share of the batch whose noise is at the levels of SHAPE."""
    batch: int = BATCH


CURRICULUM: tuple[Phase, ...] = (
    Phase(1750, (("simple", True, 6, 1.0),)),
    Phase(2250, (("simple", True, 6, 0.5), ("full", False, 12, 0.5)), supervise=0.06),
    Phase(3500, (("simple", True, 6, 0.12), ("full", False, 12, 0.88)), supervise=0.06),
    Phase(4000, (("simple", True, 6, 0.12), ("full", False, 12, 0.88)), supervise=0.06, contrast=0.05),
    Phase(5000, (("simple", True, 6, 0.12), ("full", False, 12, 0.88)), supervise=0.06, contrast=0.5),
)
"""Until the second step attention is left to itself; what it reached there is in the model card. The last two steps are
to make words matter for denoising, which is what inversion goes by: a shape is plain to see in all but the strongest
noise, so without them a wrong noun cost the diffusion loss a thousandth. The shipped weights are those of step 4250."""
MARGIN = 0.15
"""Share by which a wrong word must raise the error around its object."""
SHAPE = (300, 900)
"""Noise levels in which an object's shape is not plain to see, but is not lost either."""


def phase_at(step: int, phases: tuple[Phase, ...] = CURRICULUM) -> Phase:
    return next((phase for phase in phases if step < phase.until), phases[-1])


def _draw(
    chunks: list[tuple[list[dataset.Chunk], float]], seed: int, step: int, batch: int
) -> tuple[torch.Tensor, ...]:
    """Latents, tokens, names, roles and cover of the step's batch."""
    import torch

    rng = np.random.default_rng([seed, step])
    which = rng.choice(len(chunks), size=batch, p=[share for _, share in chunks])
    rows: list[tuple[np.ndarray, ...]] = []
    for source in which:
        parts = chunks[source][0]
        part = parts[int(rng.integers(len(parts)))]
        row, variant = int(rng.integers(dataset.CHUNK)), int(rng.integers(dataset.VARIANTS))
        rows.append(
            (
                part.latents[row],
                part.tokens[row, variant],
                part.names[row, variant],
                part.roles[row, variant],
                part.cover[row],
            )
        )
    latents, tokens, names, roles, covers = (np.stack(column) for column in zip(*rows, strict=True))
    return (
        torch.from_numpy(latents).float(),
        torch.from_numpy(tokens.astype(np.int64)),
        torch.from_numpy(names.astype(np.int64)),
        torch.from_numpy(roles.astype(np.int64)),
        torch.from_numpy(covers).float() / 255,
    )


def attention_loss(
    seen: dict[str, torch.Tensor],
    names: torch.Tensor,
    roles: torch.Tensor,
    cover: torch.Tensor,
    weight: torch.Tensor,
    cover_all: float = 1.0,
) -> torch.Tensor:
    """How far naming words' attention strays from what they name, mean over words; 0 where it covers just that.

    `seen` are the layers' probabilities (b, heads, 256, tokens); `names` bits of slots and `roles` (b, tokens);
    `cover` (b, slots, 16, 16); `weight` (b,) the samples' say. A word's own attention over all places, averaged
    over layers and heads, is compared with its mask spread evenly: the Kullback-Leibler divergence, and −log of
    the share that lies inside. Only where a word looks is pulled, not how much attention it takes from others.
    """
    import torch

    maps = torch.stack([share.mean(1) for share in seen.values()]).mean(0).transpose(1, 2)  # b, tokens, 256
    own = maps / maps.sum(-1, keepdim=True).clamp_min(1e-8)
    bits = (names[..., None] >> torch.arange(dataset.SLOTS, device=names.device)) & 1  # b, tokens, slots
    mask = (bits.float() @ cover.flatten(2)).clamp(max=1)  # b, tokens, 256
    even = mask / mask.sum(-1, keepdim=True).clamp_min(1e-8)
    spread = (even * (even.clamp_min(1e-8).log() - own.clamp_min(1e-8).log())).sum(-1)
    inside = -(own * (mask > 0)).sum(-1).clamp_min(1e-6).log()
    use = ((roles > 0) & (mask.sum(-1) > 0)).float()
    return ((cover_all * spread + inside) * use * weight[:, None]).sum() / use.sum().clamp_min(1)


def wrong_captions(
    ids: torch.Tensor,
    names: torch.Tensor,
    roles: torch.Tensor,
    words: dict[str, list[int]],
    generator: torch.Generator,
    colours: float = 0.3,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Captions with one object's noun, in a share of `colours` its colour, replaced by another, and that object's slot.

    `words` holds the token ids of nouns and of colours. The slot is -1 where a caption names no single object.
    """
    import torch

    wrong, slots = ids.clone(), torch.full((len(ids),), -1)
    for row in range(len(ids)):
        role = "colour" if float(torch.rand((), generator=generator)) < colours else "noun"
        known = torch.isin(ids[row], torch.tensor(words[role]))
        single = torch.isin(names[row], torch.tensor([1, 2, 4, 8]))
        places = (known & single & (roles[row] == dataset.ROLES.index(role))).nonzero().flatten()
        if len(places) == 0:
            continue
        place = places[int(torch.randint(len(places), (), generator=generator))]
        same = (names[row] == names[row, place]) & (ids[row] == ids[row, place])  # also where it is said again
        others = [word for word in words[role] if word != int(ids[row, place])]
        wrong[row, same] = others[int(torch.randint(len(others), (), generator=generator))]
        slots[row] = int(names[row, place]).bit_length() - 1
    return wrong, slots


def object_region(cover: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
    """The cells of each row's slot and those around them (b, 16, 16), 1 or 0."""
    import torch

    plane = cover[torch.arange(len(slots)), slots.clamp_min(0)]
    return torch.nn.functional.max_pool2d((plane > 0.05).float()[:, None], 3, 1, 1)[:, 0]


def contrast_loss(
    right: torch.Tensor, wrong: torch.Tensor, slots: torch.Tensor, cover: torch.Tensor, sight: torch.Tensor
) -> torch.Tensor:
    """How much of MARGIN is missing between the error with the right word and with a wrong one.

    Hard negatives after Krojer et al. 2023 ("Are diffusion models vision-and-language reasoners?"), on the object's
    cells and those around them. `right`, `wrong`: squared error (b, 16, 16), mean over channels.
    """
    use = slots >= 0
    region = object_region(cover, slots)
    area = region.sum((1, 2)).clamp_min(1)
    good, bad = (right * region).sum((1, 2)) / area, (wrong * region).sum((1, 2)) / area
    missing = (MARGIN - (bad - good) / good.detach().clamp_min(1e-4)).clamp_min(0)
    use = use & (region.sum((1, 2)) > 0)
    return (missing * sight * use).sum() / use.sum().clamp_min(1)


def vocabulary(marks: Any) -> dict[str, list[int]]:
    """Token ids of the nouns and colours that training captions hold."""
    from stages.world.render import COLOURS
    from stages.world.shapes import NOUNS

    ids = {"noun": list(NOUNS), "colour": list(COLOURS)}
    return {role: [marks.convert_tokens_to_ids(word + "</w>") for word in found] for role, found in ids.items()}


def _average(shadow: list[torch.Tensor], live: list[torch.Tensor], step: int) -> None:
    import torch

    decay = min(0.998, (step + 1) / (step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(shadow, live, 1 - decay)


class _Shadow:
    """The weights' moving average, as something that a checkpoint can hold."""

    def __init__(self, modules: list[Any]) -> None:
        self.modules = modules
        self.values = [p.detach().clone() for m in modules for p in m.parameters()]

    def live(self) -> list[Any]:
        return [p.detach() for m in self.modules for p in m.parameters()]

    def swap(self) -> None:
        """Exchange the average with the live weights: once to measure or save, once more to go on."""
        for mine, theirs in zip(self.values, self.live(), strict=True):
            kept = theirs.clone()
            theirs.copy_(mine)
            mine.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        return {"values": self.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for mine, saved in zip(self.values, state["values"], strict=True):
            mine.copy_(saved)


def train(
    out: Path,
    vae: Path,
    minutes: float | None = None,
    seed: int = 0,
    runs: Path = training.RUNS,
    every: int = 250,
    start: Path | None = None,
    phases: tuple[Phase, ...] = CURRICULUM,
) -> dict[str, float]:
    """Train to the curriculum's end, or for `minutes` and go on at the next call; writes the model to `out`.

    `vae` is a saved autoencoder, whose encoder is final. Without a checkpoint, `start` is a saved model to go on from
    at its own step, with the optimiser warmed up anew. Returns the last figures on validation scenes.
    """
    import torch
    from diffusers import AutoencoderKL

    training.one_thread()
    torch.manual_seed(seed)
    device = torch.device(training.device())
    words = start / "tokenizer" if start else runs / "tokenizer"
    if not (words / "vocab.json").is_file():
        texts = (
            caption(scene("train", index), np.random.default_rng([seed, index, variant])).text
            for index in range(1000)
            for variant in range(3)
        )
        tokenizer.train(texts, words)
    marks = tokenizer.load(words)
    known = vocabulary(marks)
    projection = autoencoder.as_projection(AutoencoderKL.from_pretrained(vae).eval())
    unet, text, first = backbone.build_unet(), backbone.build_text_encoder(len(marks)), 0
    if start:
        unet, text, *_, record = backbone.load(start)
        first = int(record["trained_steps"])
    unet = unet.train().to(device)
    text = text.train().to(device)
    scheduler = backbone.build_scheduler()
    learning = [*unet.parameters(), *text.parameters()]
    optimiser = torch.optim.AdamW(learning, lr=RATE, betas=(0.9, 0.99), weight_decay=1e-2)
    shadow = _Shadow([unet, text])
    run = training.Run(
        runs / "backbone", {"unet": unet, "text": text, "optimiser": optimiser, "average": shadow}, minutes
    )
    run.step = run.extra["first"] = first
    run.resume()
    first = int(run.extra.get("first", 0))
    levels = {level: _held_out(level, projection, device) for level in ("simple", "full")}
    alphas = scheduler.alphas_cumprod.to(device)
    empty = torch.tensor(marks("", padding="max_length")["input_ids"])
    total = phases[-1].until
    phase: Phase | None = None
    chunks: list[tuple[list[dataset.Chunk], float]] = []
    seen: dict[str, torch.Tensor] = {}
    losses: list[tuple[float, float, float]] = []
    figures: dict[str, float] = {}
    while run.step < total and not run.out_of_time():
        if phase_at(run.step, phases) != phase:
            phase = phase_at(run.step, phases)
            begun = max([first, *(other.until for other in phases if other.until <= run.step)])
            chunks = [
                ([dataset.chunk(n, level, easy, marks, projection, runs / "data") for n in range(count)], share)
                for level, easy, count, share in phase.sources
            ]
            chunks += [
                ([dataset.chunk(n, level, False, marks, projection, runs / "data", True) for n in range(count)], share)
                for level, count, share in phase.bare
            ]
            seen = probe.watch(unet) if phase.supervise else {}
            run.tick()
        rate = RATE * (0.5 + 0.5 * math.cos(math.pi * run.step / total)) + 1e-6
        if phase.rate:
            rate = float(np.interp(run.step, (begun, phase.until), phase.rate))
        rate *= min(1.0, (run.step - first + 1) / 200)
        for group in optimiser.param_groups:
            group["lr"] = rate
        clean, ids, names, roles, cover = (x.to(device) for x in _draw(chunks, seed, run.step, phase.batch))
        generator = torch.Generator().manual_seed(seed * 1_000_003 + run.step)
        dropped = torch.rand(phase.batch, generator=generator) < EMPTY
        ids[dropped], roles[dropped] = empty.to(device), 0
        noise = torch.randn(clean.shape, generator=generator).to(device)
        times = torch.randint(0, 1000, (phase.batch,), generator=generator)
        late = torch.randint(*SHAPE, (phase.batch,), generator=generator)
        times = torch.where(torch.rand(phase.batch, generator=generator) < phase.shape, late, times).to(device)
        noisy = scheduler.add_noise(clean, noise, times)
        few = phase.wrong if phase.contrast else 0
        wrong, slots = wrong_captions(ids[:few], names[:few], roles[:few], known, generator, phase.colours)
        with training.autocast(device):
            states = text(torch.cat([ids, wrong])).last_hidden_state
            guess = unet(torch.cat([noisy, noisy[:few]]), torch.cat([times, times[:few]]), states).sample
        errors = (guess.float() - torch.cat([noise, noise[:few]])).square().mean(1)
        weight = (1 / alphas[times]).clamp(max=WEIGHT_CAP)  # (SNR + 1) / SNR: high noise decides the layout
        error = errors[: phase.batch].mean((1, 2))
        loss = (weight * error).mean()
        pull = contrast = torch.zeros((), device=device)
        # In the strongest noise nothing can be seen; what no word can find must not steer.
        sight = (alphas[times] / 0.03).clamp(max=1)
        if phase.supervise:
            pull = attention_loss(
                {name: one[: phase.batch] for name, one in seen.items()}, names, roles, cover, sight, phase.spread
            )
        if few:
            contrast = contrast_loss(errors[:few], errors[phase.batch :], slots, cover[:few], sight[:few])
        optimiser.zero_grad()
        (loss + phase.supervise * pull + phase.contrast * contrast).backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        run.step += 1
        _average(shadow.values, shadow.live(), run.step - first)
        losses.append((float(error.detach().mean()), float(pull.detach()), float(contrast.detach())))
        if run.step % 100 == 0:
            run.save()
            training.log.info("step %d: loss %.4f, pull %.4f, contrast %.4f", run.step, *np.mean(losses[-100:], axis=0))
        if run.step % every == 0:
            figures = _measure(run, shadow, unet, text, marks, scheduler, levels, losses)
            losses.clear()
            if phase.supervise:
                seen = probe.watch(unet)
            run.save()
            _publish(out, run, shadow, unet, text, words, vae)
    run.save()
    probe.unwatch(unet)  # what was seen last hangs on a graph, which cannot be copied
    _publish(out, run, shadow, unet, text, words, vae)
    if run.step >= total:
        evaluate.choose(out)
    return figures


def _held_out(level: str, projection: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, list[Any]]:
    """Forty validation samples of a level and their latents."""
    register = "plain" if level == "simple" else None
    samples = [sample("val", 50_000 + index, level, register) for index in range(40)]
    unit = training.to_unit(np.stack([item.image for item in samples]))
    return autoencoder.project(projection, unit).to(device), samples


def _measure(
    run: training.Run,
    shadow: _Shadow,
    unet: Any,
    text: Any,
    marks: Any,
    scheduler: Any,
    levels: dict[str, tuple[torch.Tensor, list[Any]]],
    losses: list[tuple[float, float, float]],
) -> dict[str, float]:
    shadow.swap()
    figures: dict[str, float] = {}
    for level, (latents, samples) in levels.items():
        names, words = evaluate_backbone.word_maps(
            unet, text, marks, latents, samples, scheduler, times=(250, 550, 850)
        )
        scored, _ = evaluate_backbone.score(words, list(range(len(names))))
        short = {k.replace("_pointing", ""): round(v, 3) for k, v in scored.items() if "synonym" not in k}
        figures |= {f"{level}.{k}": v for k, v in short.items()}
        for layer in range(len(names)):
            alone, _ = evaluate_backbone.score(words, [layer])
            figures[f"{level}.noun_layer{layer}"] = round(alone["noun_pointing"], 3)
    shadow.swap()
    means = dict(zip(("loss", "pull", "contrast"), np.mean(losses, axis=0).tolist(), strict=True))
    run.note(**means, **figures)
    return figures


def _publish(out: Path, run: training.Run, shadow: _Shadow, unet: Any, text: Any, words: Path, vae: Path) -> None:
    """Write the averaged weights in diffusers' layout."""
    shadow.swap()
    record = {
        "world": "embedded",
        "map_resolution": backbone.SIDE,
        "cross_attention_layers": sorted(
            name.removesuffix(".processor") for name in unet.attn_processors if ".attn2." in name
        ),
        "trained_steps": run.step,
        "trained_minutes": round(run.seconds / 60),
    }
    backbone.save(out, unet, text, words, vae, record)
    shadow.swap()
