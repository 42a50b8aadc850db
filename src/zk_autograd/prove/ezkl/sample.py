"""An honest synthetic segment, from a seed: what circuit builds, tests and benchmarks prove."""

from collections.abc import Callable
from hashlib import sha256

import numpy as np

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.formats import GRADIENT_BITS
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import hyper_of
from zk_autograd.core.rules import initial_state, step
from zk_autograd.core.rules.families import FAMILIES, constants_sequence
from zk_autograd.core.statement import Statement
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS
from zk_autograd.prove.protocol import BlockWitness

_HYPER = {
    "lr": "0.05",
    "momentum": "0.9",
    "beta1": "0.9",
    "beta2": "0.999",
    "alpha": "0.99",
    "eps": "1e-08",
    "weight_decay": "0",
}
_LR = dict.fromkeys((Rule.ADAM, Rule.ADAMW, Rule.RMSPROP, Rule.LION), "0.001")
_DECAY = {"weight_decay": "0.1"}


def sample(
    variant: str, block: int, steps: int, draw_salt: Callable[[], bytes], *, seed: int = 0, no_ops: int = 0
) -> tuple[Statement, BlockWitness]:
    """A statement and its witness for a variant: `steps` steps on `block` parameters, the last
    `no_ops` of them padding.

    Weights are normal around 0 with standard deviation 0.1, gradients with 2^-6; `seed` fixes both.
    """
    rng = np.random.default_rng(seed)
    rule, decays = CIRCUITS[variant].rule, CIRCUITS[variant].decays
    hyper = hyper_of(rule, _HYPER | {"lr": _LR.get(rule, _HYPER["lr"])} | (_DECAY if decays else {}))
    sequence = constants_sequence(rule, hyper, 0, FAMILIES[rule].shifts[0])
    real = steps - no_ops
    constants: tuple[StepConstants, ...] = tuple(
        sequence.at(t + 1) if t < real else sequence.no_op() for t in range(steps)
    )
    state = initial_state(rule, (rng.normal(0, 0.1, block) * 2**32).astype(np.int64))
    gradients = np.clip(rng.normal(0, 2**-6, (steps, block)) * 2**GRADIENT_BITS, -(2**30) + 1, 2**30 - 1).astype(
        np.int32
    )
    gradients[real:] = 0
    end = state
    for row, values in zip(gradients.astype(np.int64), constants, strict=True):
        end = step(rule, end, row, values)
    salts = {f"{name}_{end}": draw_salt() for name in state for end in ("in", "out")} | {"G": draw_salt()}
    digest = sha256(b"sample" + seed.to_bytes(8, "big")).digest()
    return Statement(digest, 0, 1, 0, block, constants), BlockWitness(state, end, gradients, salts)
