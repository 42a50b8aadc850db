"""Makes tests/data/schedule_vectors.json from the oracle. From the repository's root:

python -m tests.core.make_schedule_vectors > tests/data/schedule_vectors.json

One entry for each schedule: its text, and f_t as a fraction at steps up to 10^6.
"""

import json
from typing import Any

from tests.core import oracle_schedules as oracle

SCHEDULES: tuple[tuple[str, str, int, int, str], ...] = (
    ("constant", "constant", 0, 1, "0"),
    ("constant,warm_up=100", "constant", 100, 1, "0"),
    ("step:every=30,factor=0.1", "step", 0, 30, "0.1"),
    ("step:every=1,factor=0.999999999", "step", 0, 1, "0.999999999"),
    ("step:every=7,factor=0.97,warm_up=3", "step", 3, 7, "0.97"),
    ("linear:steps=100,end=0", "linear", 0, 100, "0"),
    ("linear:steps=999983,end=0.000000001,warm_up=10", "linear", 10, 999983, "0.000000001"),
    ("cosine:steps=100,end=0", "cosine", 0, 100, "0"),
    ("cosine:steps=1,end=0.5", "cosine", 0, 1, "0.5"),
    ("cosine:steps=999983,end=0.01,warm_up=10", "cosine", 10, 999983, "0.01"),
    ("cosine:steps=1099511627776,end=0", "cosine", 0, 2**40, "0"),
)
"""Text, kind, warm-up, steps or every, end or factor."""

STEPS = (
    1,
    2,
    3,
    4,
    10,
    11,
    12,
    30,
    31,
    50,
    51,
    67,
    99,
    100,
    101,
    102,
    999,
    1000,
    65_537,
    333_333,
    500_002,
    999_993,
    999_994,
    10**6,
)


def vectors() -> list[dict[str, Any]]:
    """The file's content."""
    return [
        {"schedule": text, "shares": {str(t): str(oracle.share(kind, t, warm_up, length, level)) for t in STEPS}}
        for text, kind, warm_up, length, level in SCHEDULES
    ]


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=1))
