"""One pass and its gradients, as inversion makes thousands: what is wrong with a model shows in seconds."""

from __future__ import annotations

import torch

from stages.artifacts.errors import AnywordError
from stages.models.face import DiffusionModel

TEXT = "a red circle"


def attempt(model: DiffusionModel) -> None:
    """Denoise a grey image of the smallest size that the model takes, and follow the error back to the words.

    Raises:
        AnywordError: the pass fails, or its prediction or gradients are not finite, or no word has a gradient.
    """
    height, width = model.smallest_image
    try:
        tokens = model.tokenize(TEXT)
        embeddings = [values.requires_grad_() for values in model.embed(tokens)]
        latents = model.latents(torch.zeros(1, 3, height, width, device=model.device))
        timesteps = torch.full((1,), model.path.timesteps // 2, device=model.device)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0)).to(latents)
        predicted = model.predict(
            model.path.noised(latents, noise, timesteps), timesteps, model.condition(tokens, embeddings)
        )
        error = predicted - model.path.target(latents, noise, timesteps)
        gradients = torch.autograd.grad(error.square().mean(), embeddings)
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError) as problem:
        raise AnywordError(
            f"backbone {model.record.id}: loads, but its first pass fails ({' '.join(str(problem).split())[:200]}).",
            remedy="Its parts do not fit together: choose a text-to-image model of its family, or another kind.",
        ) from problem
    said = {"code of an image": [latents], "prediction": [predicted], "gradient": gradients}
    for name, values in said.items():
        if not all(one.isfinite().all() for one in values):
            raise AnywordError(f"backbone {model.record.id}: its {name} is not finite.", remedy="Use dtype: float32.")
    if not any(one.any() for one in gradients):
        raise AnywordError(
            f"backbone {model.record.id}: its prediction does not depend on the words, so there is nothing to learn.",
            remedy="Choose a text-to-image model.",
        )
