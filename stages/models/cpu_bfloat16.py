"""bfloat16 on a CPU that has no arithmetic for it: products are summed in float32 and rounded once.

Where oneDNN takes no bfloat16 (x86 before AVX512), torch falls back to plain loops, tens of times slower than float32.
Hardware that has it multiplies rounded values, sums in float32 and rounds the sum; so does this, at float32's speed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

PRODUCTS = frozenset(
    [
        torch.nn.functional.linear,
        torch.nn.functional.conv2d,
        torch.nn.functional.conv_transpose2d,
        torch.nn.functional.scaled_dot_product_attention,
        torch.baddbmm,
        torch.bmm,
        torch.matmul,
        torch.Tensor.matmul,
        torch.Tensor.__matmul__,
        torch.einsum,
    ]
)
"""Functions of torch that sum products, as the denoisers call them."""


@cache
def has_bfloat16() -> bool:
    """Whether this machine's CPU multiplies bfloat16 by a library and not by loops."""
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def products(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """A context in which a model of this dtype is computed as fast as the device can."""
    loops = dtype == torch.bfloat16 and device.type == "cpu" and not has_bfloat16()
    return SummedInFloat32() if loops else nullcontext()


class SummedInFloat32(TorchFunctionMode):
    """Within it, products of bfloat16 are those of the same values in float32, rounded to bfloat16."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in PRODUCTS or not any(map(_is_rounded, (*args, *kwargs.values()))):
            return func(*args, **kwargs)
        return func(*map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()}).bfloat16()


def _is_rounded(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16


def _wide(value: Any) -> Any:
    return value.float() if _is_rounded(value) else value
