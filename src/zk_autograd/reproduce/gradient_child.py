"""The process that computes float gradients with somebody else's model (reproduce.gradient_process
starts it): it gives up its user's files, then runs the model's code, and answers until its input
ends.

What it is told are weights and rows; what the run's records have of the gradients it isn't.
"""

import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from zk_autograd.local.child_processes import wait_for_end_of_parent
from zk_autograd.local.confinement import confine
from zk_autograd.local.python_files import python_files, system_files
from zk_autograd.prove.executors.frames import BrokenFrameError, receive, send

if TYPE_CHECKING:
    from torch import nn

ANSWER, REFUSED, UNCONFINED = b"G", b"F", b"U"
"""How an answer begins: with gradients (none, to the first question), a reason why there are none,
or why the process is not confined."""

MAX_QUESTION = 2**38
_MODULE = "zk_replayed_model"
_OF_ETC = ("ld.so.cache", "localtime")


class Unusable(Exception):
    """Why there are no gradients, in words that follow "the model"."""


def main() -> None:
    """Confines itself, builds the model that the first two frames name, and answers each further
    three, weights, features and labels, with gradients."""
    scratch, required = Path(sys.argv[2]), sys.argv[3] == "confined"
    answers, questions = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)  # what the model's code prints
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    reason = _confined(scratch)  # before there is a thread, which would keep its rights
    threading.Thread(target=_watch, daemon=True).start()
    if reason and required:
        send(answers, UNCONFINED, reason.encode())
        return
    try:
        said, code = json.loads(receive(questions, MAX_QUESTION)), receive(questions, MAX_QUESTION)
        model = _Model(said, code)
        send(answers, ANSWER)
        while True:
            weights, features, labels = (receive(questions, MAX_QUESTION) for _ in range(3))
            send(answers, ANSWER, model.gradients(weights, features, labels))
    except (BrokenFrameError, OSError):
        return
    except Unusable as error:
        send(answers, REFUSED, str(error).encode("utf-8", "replace"))
    finally:
        os._exit(0)  # whatever the model's code began


def _confined(scratch: Path) -> str:
    os.environ["TMPDIR"] = os.environ["HOME"] = str(scratch)
    tempfile.tempdir = str(scratch)
    os.chdir(scratch)
    read = [*system_files(), *(Path("/etc", name) for name in _OF_ETC), *python_files()]
    return confine(read, [scratch, Path(os.devnull)])


def _watch() -> None:
    wait_for_end_of_parent()
    os._exit(0)


class _Model:
    """The model, with the tensors that the run trained, in the run's order."""

    def __init__(self, said: dict[str, Any], code: bytes) -> None:
        """`said`: name, file, rows' columns, classes, threads, and parameters as [name, shape].
        Unusable for a model that can't be built, or has other tensors."""
        import torch

        torch.set_num_threads(said["threads"])
        self._columns = said["columns"]
        self._model = _asked(lambda: _built(said, code), "can't be built")
        self._model.train()
        own = dict(self._model.named_parameters())
        wanted = {name: tuple(shape) for name, shape in said["parameters"]}
        if own.keys() != wanted.keys():
            raise Unusable(f"has the parameters {_some(own)}, and the run's are {_some(wanted)}")
        for name, shape in wanted.items():
            if tuple(own[name].shape) != shape or own[name].dtype != torch.float32 or not own[name].requires_grad:
                raise Unusable(
                    f"has a {name} of {own[name].dtype} and shape {tuple(own[name].shape)}; the run's is trained, of float32 and {shape}"
                )
        if buffers := [name for name, _ in self._model.named_buffers()]:
            raise Unusable(f"has buffers ({_some(buffers)}), whose values nobody opens")
        self._tensors = [own[name] for name in wanted]

    def gradients(self, weights: bytes, features: bytes, labels: bytes) -> bytes:
        """Those of the mean cross-entropy over the rows, float32 one tensor after the other.
        Unusable for a model that fails, or draws random numbers."""
        import torch

        values = np.frombuffer(weights, "<f4").astype(np.float32)
        rows = np.frombuffer(features, "<f4").astype(np.float32).reshape(-1, self._columns)
        classes = np.frombuffer(labels, "<i8").astype(np.int64)
        at = 0
        with torch.no_grad():
            for tensor in self._tensors:
                part = values[at : at + tensor.numel()]
                tensor.copy_(torch.from_numpy(part.reshape(tuple(tensor.shape))))
                tensor.grad = None
                at += tensor.numel()
        before = torch.get_rng_state()

        def backward() -> None:
            logits = self._model(torch.from_numpy(rows))
            torch.nn.functional.cross_entropy(logits, torch.from_numpy(classes)).backward()

        _asked(backward, f"failed on {len(rows)} rows")
        if not torch.equal(before, torch.get_rng_state()):
            raise Unusable("draws random numbers in its forward pass (dropout, for one), which can't be drawn again")
        if any(tensor.grad is None for tensor in self._tensors):
            raise Unusable("leaves a parameter without a gradient")
        return b"".join(np.ascontiguousarray(tensor.grad.detach().numpy(), "<f4").tobytes() for tensor in self._tensors)


def _asked(work: Callable[[], Any], what: str) -> Any:
    try:
        return work()
    except BaseException as error:  # whatever the model's code raises
        text = " ".join(str(error).split())[:300]
        raise Unusable(f"{what}: {type(error).__name__}{text and ': '}{text}") from error


def _built(said: dict[str, Any], code: bytes) -> "nn.Module":
    from torch import nn

    name, columns, classes = said["name"], said["columns"], said["classes"]
    if not said["file"]:
        from zk_autograd.train import models
        from zk_autograd.train.names import ModelName

        return models.build(ModelName(name), columns, classes, 0)
    module = sys.modules[_MODULE] = ModuleType(_MODULE)
    module.__file__ = said["file"]
    exec(compile(code, said["file"], "exec", dont_inherit=True), vars(module))
    made = getattr(module, name)(columns, classes)
    if not isinstance(made, nn.Module):
        raise TypeError(f"{name} returned a {type(made).__name__}, not a torch.nn.Module")
    return made


def _some(names: Any) -> str:
    shown = sorted(names)[:4]
    return ", ".join(shown) + (" ..." if len(names) > len(shown) else "") if shown else "none"


if __name__ == "__main__":
    main()
