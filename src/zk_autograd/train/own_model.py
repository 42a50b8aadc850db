"""A user's own model: `factory(columns, classes)` in a module of theirs returns an nn.Module from
(rows, columns) to (rows, classes).

The factory is called once, with torch's generator seeded from the seed, and its weights are kept.
Its model is tried on two rows of zeros before anything is begun.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from zk_autograd.core.errors import UsageError
from zk_autograd.local.own_folders import temporary_folder
from zk_autograd.train.names import Factory
from zk_autograd.train.own_code import top_level

_CONTRACT = "it must take (columns, classes) and return a torch.nn.Module"


def built(source: Factory, columns: int, classes: int) -> nn.Module:
    """The model. UsageError, one sentence, for a module or factory that is missing or fails, and
    for a model that can't be trained."""
    make = _callable(source)
    try:
        model = make(columns, classes)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{source} failed: {_last_line(error)}; {_CONTRACT}") from error
    if not isinstance(model, nn.Module):
        raise UsageError(f"{source} returned a {type(model).__name__}; {_CONTRACT}")
    _try(source, model, columns, classes)
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not trained:
        raise UsageError(f"{source} returned a model without parameters to train")
    for name, parameter in trained:
        if parameter.dtype != torch.float32:
            raise UsageError(
                f"{source} returned a model whose {name} is {parameter.dtype}; only float32 parameters have an exact step: return "
                "model.float()"
            )
    return model


def code_digest(source: Factory) -> bytes:
    """SHA-256 of the file of the factory's module, and of no file that it imports."""
    module = _module(source)
    path = getattr(module, "__file__", None)
    try:
        return sha256(Path(path or "").read_bytes()).digest()
    except OSError:
        raise UsageError(
            f"{source.module} has no file that can be read, so the run can't say what code it trained"
        ) from None


def _module(source: Factory) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        # At the end, so that what the module imports from beside it is found, but no file that lies
        # there by chance passes for another module.
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        with _from_source():
            _import_top_level(source.module.partition(".")[0])
            return importlib.import_module(source.module)
    except ModuleNotFoundError as error:
        if error.name is not None and (source.module == error.name or source.module.startswith(error.name + ".")):
            raise UsageError(
                f"--model {source}: there is no module {source.module} in the current folder or on PYTHONPATH"
            ) from error
        raise UsageError(f"--model {source}: {source.module} can't be imported: {_last_line(error)}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"--model {source}: {source.module} can't be imported: {_last_line(error)}") from error


def _import_top_level(name: str) -> None:
    """Imports the module or package that own_code inspected, if there is one."""
    spec = None if name in sys.modules else top_level(name)
    if spec is None or spec.loader is None:
        return
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise


@contextmanager
def _from_source() -> Iterator[None]:
    """Inside, modules are compiled from their text, whose digest is what a header names, not loaded
    as somebody once compiled them."""
    before = sys.pycache_prefix
    with temporary_folder("zk-code-") as empty:
        sys.pycache_prefix = str(empty)
        try:
            yield
        finally:
            sys.pycache_prefix = before


def _callable(source: Factory) -> Callable[[int, int], object]:
    module = _module(source)
    try:
        found = getattr(module, source.name)
    except AttributeError:
        own = [n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        raise UsageError(
            f"--model {source}: {source.module} has no {source.name}"
            + (f"; it has {', '.join(own[:8])}" if own else "")
        ) from None
    if not callable(found):
        raise UsageError(f"{source} is a {type(found).__name__}, not a callable; {_CONTRACT}")
    made: Callable[[int, int], object] = found
    return made


def _try(source: Factory, model: nn.Module, columns: int, classes: int) -> None:
    """One forward pass, which leaves buffers and generator as they were."""
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found = model(torch.zeros(2, columns))
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"the model of {source} failed on two rows of {columns} columns: {_last_line(error)}"
        ) from error
    if not isinstance(found, torch.Tensor):
        raise UsageError(
            f"the model of {source} returns a {type(found).__name__}; it must return a tensor (rows, classes)"
        )
    if found.shape != (2, classes) or found.dtype != torch.float32:
        raise UsageError(
            f"the model of {source} returns {found.dtype} of shape {tuple(found.shape)} for two rows; it must return float32 of "
            f"shape (2, {classes}), a logit for each class"
        )


def _last_line(error: BaseException) -> str:
    """As a traceback's last line, without line breaks."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
