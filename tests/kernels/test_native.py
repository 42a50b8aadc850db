"""The compiled kernel against the definition, bit for bit."""

import numpy as np

from zk_autograd.core.constants import AdamConstants
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.kernels.native import NATIVE
from zk_autograd.kernels.protocol import Model
from zk_autograd.kernels.reference import REFERENCE


def test_a_step_is_the_definitions() -> None:
    rng = np.random.default_rng(1)
    state = {name: rng.integers(0, 2**40, 1000) for name in "WMV"}
    parameters = [Parameter("p", (1000,), 0, 1000, 0)]
    constants = [AdamConstants(c1=3277, c2=33, LR=4294967, E=687, D=1000)]
    gradients = [rng.standard_normal(1000).astype(np.float32)]
    found = []
    for kernel in (NATIVE, REFERENCE):
        stepper = kernel.stepper(Rule.ADAMW, parameters, state)
        model = Model(gradients, [np.empty(1000, np.float32)], 0)
        stepper.write(model)
        stepper.step_model(model, constants)
        found.append((*stepper.state.values(), stepper.gradients, model.weights[0]))
    for mine, wanted in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, wanted)
