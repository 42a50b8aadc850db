"""Makes tests/data/constants_vectors.json from the oracle. From the repository's root:

python -m tests.core.make_constants_vectors > tests/data/constants_vectors.json
"""

import json
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from tests.core import oracle_rules as oracle

STEPS = (1, 2, 3, 4, 7, 10, 31, 32, 100, 999, 1_000, 10_000, 100_000, 999_999, 1_000_000)

ADAM_RUNS: tuple[tuple[str, int, dict[str, str]], ...] = (
    ("adam", 0, {"lr": "0.001", "beta1": "0.9", "beta2": "0.999", "eps": "1e-8", "weight_decay": "0"}),
    ("adamw", 8, {"lr": "3e-4", "beta1": "0.9", "beta2": "0.95", "eps": "1e-06", "weight_decay": "0.1"}),
    # the largest betas that are not refused: their powers are still far from 0 at t = 10^6
    (
        "adamw",
        -5,
        {
            "lr": "0.001",
            "beta1": "0.99998",
            "beta2": "0.9999847412109375",
            "eps": "0.03",
            "weight_decay": "150",
        },
    ),
    ("adam", 32, {"lr": "0.007", "beta1": "0.99", "beta2": "0.9", "eps": "0", "weight_decay": "0"}),
    ("adam", 3, {"lr": "0.2499", "beta1": "0", "beta2": "0", "eps": "0.1", "weight_decay": "0"}),
)
SGD_RUNS: tuple[tuple[str, int, int, dict[str, str]], ...] = (
    ("sgd", 0, 30, {"lr": "0.1", "momentum": "0", "weight_decay": "5e-4"}),
    ("sgd-momentum", 8, 30, {"lr": "0.1", "momentum": "0.9", "weight_decay": "0"}),
    ("sgd-nesterov", -3, 15, {"lr": "3.5", "momentum": "0.99998", "weight_decay": "0.0625"}),
)
LION_RUNS: tuple[tuple[int, dict[str, str]], ...] = (
    (0, {"lr": "0.0001", "beta1": "0.9", "beta2": "0.99", "weight_decay": "0"}),
    (9, {"lr": "0.2499", "beta1": "0", "beta2": "0.9999847412109375", "weight_decay": "0.5"}),
)
RMSPROP_RUNS: tuple[tuple[int, dict[str, str]], ...] = (
    (0, {"lr": "0.01", "alpha": "0.99", "eps": "1e-8", "weight_decay": "0"}),
    (8, {"lr": "0.003", "alpha": "0.999", "eps": "0.000001", "weight_decay": "0.01"}),
    (-7, {"lr": "0.2499", "alpha": "0", "eps": "0.1", "weight_decay": "0.75"}),
)
FACTORS = ("1", "0.5", "0.333", "0.0123456789")
"""What the base learning rate is multiplied with at the steps in turn, as a schedule would."""


def learning_rate(base: str, position: int) -> str:
    """The decimal of the step at this position of STEPS."""
    product = Decimal(base) * Decimal(FACTORS[position % len(FACTORS)])
    return format(product, "f")


def vectors(last: int) -> list[dict[str, Any]]:
    """One entry for each run, with its steps up to `last`."""
    runs: list[dict[str, Any]] = []
    for rule, k, hyper in ADAM_RUNS:
        schedule = oracle.AdamSchedule(hyper, k)
        entries = []
        for position, t in enumerate(t for t in STEPS if t <= last):
            schedule.advance(t)
            Q, F = schedule.correction()
            lr = learning_rate(hyper["lr"], position)
            scaled = {"P1": hex(schedule.P1), "P2": hex(schedule.P2), "Q": hex(Q), "F": hex(F)}
            constants = asdict(schedule.constants(lr))
            constants["D"] = constants.pop("Dt")
            entries.append({"t": t, "lr": lr, **constants, **scaled})
        runs.append({"rule": rule, "k": k, "hyper": hyper, "steps": entries})
    for rule, k, s, hyper in SGD_RUNS:
        rates = [(t, learning_rate(hyper["lr"], at)) for at, t in enumerate(t for t in STEPS if t <= last)]
        steps = [{"t": t, "lr": lr, **asdict(oracle.sgd_constants(hyper, k, s, lr))} for t, lr in rates]
        runs.append({"rule": rule, "k": k, "s": s, "hyper": hyper, "steps": steps})
    for k, hyper in LION_RUNS:
        rates = [(t, learning_rate(hyper["lr"], at)) for at, t in enumerate(t for t in STEPS if t <= last)]
        steps = [{"t": t, "lr": lr, **asdict(oracle.lion_constants(hyper, lr))} for t, lr in rates]
        runs.append({"rule": "lion", "k": k, "hyper": hyper, "steps": steps})
    for k, hyper in RMSPROP_RUNS:
        rates = [(t, learning_rate(hyper["lr"], at)) for at, t in enumerate(t for t in STEPS if t <= last)]
        entries = [{"t": t, "lr": lr, **asdict(oracle.rmsprop_constants(hyper, k, lr))} for t, lr in rates]
        steps = [{**{n: v for n, v in entry.items() if n != "Dt"}, "D": entry["Dt"]} for entry in entries]
        runs.append({"rule": "rmsprop", "k": k, "hyper": hyper, "steps": steps})
    return runs


if __name__ == "__main__":
    print(json.dumps(vectors(STEPS[-1]), indent=1))
