"""The shapes that signatures state, checked at every call that a test makes.

The product needs neither jaxtyping nor beartype: it imports shapes under `TYPE_CHECKING` only. So they cannot be
resolved where a function is defined, as jaxtyping's own import hook does; here a function's annotations are resolved
at its first call, when every module that they name can be imported. One that cannot be resolved is an error.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import is_dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, get_type_hints

from beartype import BeartypeConf, beartype
from jaxtyping import jaxtyped

PACKAGES = ("stages", "lab", "anyword")
SHAPE = re.compile(r"\b(Bool|Float|Int|UInt|Integer|Num|Shaped)\d*\[")


@functools.cache
def names_for_types(module: ModuleType) -> dict[str, Any]:
    """What a module's annotations may name: its own names and those it imports for type checkers only."""
    names = dict(vars(module))
    for node in ast.parse(Path(inspect.getfile(module)).read_text()).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), module.__name__, "exec"), names)  # noqa: S102 - imports, nothing else
    return names


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which refuses arguments and results that are not of the shapes, dtypes and types it states."""

    @functools.cache
    def resolved() -> Callable[..., Any]:
        inspect.unwrap(function).__annotations__ = get_type_hints(
            function, names_for_types(sys.modules[function.__module__]), include_extras=True
        )
        return jaxtyped(function, typechecker=beartype(conf=BeartypeConf(is_pep484_tower=True)))  # an int is a float

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        return resolved()(*args, **kwargs)

    return call


def states_shapes(value: Any) -> bool:
    return any(SHAPE.search(str(annotation)) for annotation in getattr(value, "__annotations__", {}).values())


def check(module: ModuleType) -> None:
    """Have every function, method, property and dataclass of a fresh module checked that states a shape."""

    def visit(owner: Any) -> None:
        for name, value in list(vars(owner).items()):
            inner = getattr(value, "__func__", value)  # of a static or class method
            if isinstance(value, property) and states_shapes(value.fget):
                setattr(owner, name, property(checked(value.fget)))  # type: ignore[arg-type]
            elif getattr(inner, "__module__", None) != module.__name__:
                continue
            elif isinstance(value, type):
                visit(value)
            elif isinstance(inner, FunctionType) and states_shapes(inner):
                setattr(owner, name, checked(inner) if value is inner else type(value)(checked(inner)))
        if is_dataclass(owner) and states_shapes(owner):
            owner.__init__ = checked(owner.__init__)  # type: ignore[method-assign]

    visit(module)


class CheckingLoader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        check(module)


class CheckingFinder(MetaPathFinder):
    """Finds the project's modules as other finders do, and has them checked."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] not in PACKAGES:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)):
                if isinstance(spec.loader, SourceFileLoader):
                    spec.loader = CheckingLoader(spec.loader.name, spec.loader.path)
                return spec
        return None


def install() -> None:
    """Check every module of the project that is imported from now on."""
    loaded = [name for name in sys.modules if name.partition(".")[0] in PACKAGES]
    if loaded:
        raise RuntimeError(f"imported before their shapes could be checked: {', '.join(loaded)}")
    sys.meta_path.insert(0, CheckingFinder())
