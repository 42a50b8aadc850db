"""A circuit that looks like one of the catalogue from outside and proves nothing: the same commitments and public values, no relation.

It takes the same states and gradients, commits to them in the same order, and makes the same public values public; but nothing ties the
one to the other. So any next state has a proof. Verifier's eyes see the difference in the digest and in the verifying key alone.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zk_autograd.core.statement import Statement
from zk_autograd.prove.ezkl import catalogue
from zk_autograd.prove.ezkl.backend import draw_salt
from zk_autograd.prove.ezkl.build import RUN_ARGUMENTS, SETTINGS_SECONDS, canonical_settings
from zk_autograd.prove.ezkl.catalogue import Circuit
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.field import MODULUS, to_hex
from zk_autograd.prove.ezkl.keys import SETUP_SECONDS, Keys
from zk_autograd.prove.ezkl.verify import EzklVerifier, salt_elements
from zk_autograd.prove.ezkl.witness import public_values
from zk_autograd.prove.protocol import IntArray
