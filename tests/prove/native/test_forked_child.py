"""The native prover in a forked child: its threads are the parent's, and nobody waits for them."""

import os

import numpy as np
import pytest

from tests.forks import forking, in_child
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape

pytestmark = forking


@pytest.mark.usefixtures("native_prover")
def test_a_child_of_a_process_that_used_it_is_refused_and_does_not_hang() -> None:
    backend = NativeBackend(Shape(Rule.ADAM, Preset.STANDARD, 13, 3))
    values, salt = np.arange(2**13), backend.draw_salt()
    before = backend.commit(values, salt)
    told = in_child(lambda: backend.commit(values, salt))
    assert told.startswith(f"ProverError: the native prover was at work in process {os.getpid()} before this one")
    assert backend.commit(values, salt) == before
