"""The victims of a test session: one real run of each backend, made when first asked for, whichever
tests ask."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attacks.tools.attempt import EzklWorkshop
from attacks.tools.trapdoor_run import TrapdoorRun
from attacks.tools.victim import TRAINER, Victim, build, ezkl, native
from tests.shared import Shared
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.core.trust import Missing
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.verify import EzklSystem, installed_ezkl
from zk_autograd.prove.protocol import Backend
from zk_autograd.verify.proof_system import Commitments, ProofChecker


def ezkl_victim(shared: Shared, cache: Cache, srs: bytes) -> Victim:
    """EZKL's, under this SRS of the cache."""
    return _victim(shared, "ezkl-victim", partial(ezkl, cache, srs))


def native_victim(shared: Shared) -> Victim:
    """The native prover's."""
    return _victim(shared, "native-victim", native)


def _victim(shared: Shared, name: str, backend: Callable[[], Backend]) -> Victim:
    def make(folder: Path) -> None:
        victim = build(folder / "run", backend)
        (folder / "known").write_bytes(pickle.dumps((victim.prover, victim.weights, victim.salts)))

    folder = shared.made(name, make)
    prover, weights, salts = pickle.loads((folder / "known").read_bytes())
    return Victim(folder / "run", TRAINER, prover, backend, weights, salts)


@dataclass
class Workshop(EzklWorkshop):
    """The attacker's, whose run is made once."""

    shared: Shared

    @cached_property
    def trapdoor_run(self) -> TrapdoorRun:
        def make(folder: Path) -> None:
            (folder / "run").write_bytes(pickle.dumps(TrapdoorRun.build(self.folder)))

        found: TrapdoorRun = pickle.loads((self.shared.made("trapdoor-run", make) / "run").read_bytes())
        return found


class Remembering(EzklSystem):
    """EZKL, asked once for each proof and commitment: it starts a process for each, and the same
    ones come again and again."""

    def __init__(self, cache: Cache) -> None:
        super().__init__(cache, installed_ezkl())
        self._checkers: dict[Prover, ProofChecker | Missing] = {}

    def checker(self, prover: Prover) -> Any:
        if prover not in self._checkers:
            found = super().checker(prover)
            self._checkers[prover] = found if isinstance(found, Missing) else RememberingChecker(found)
        return self._checkers[prover]


class RememberingChecker:
    """Says what the checker behind it said the first time."""

    def __init__(self, checker: ProofChecker) -> None:
        self._checker = checker
        self._verified: dict[tuple[Statement, bytes], Commitments | VerificationError] = {}
        self._committed: dict[tuple[bytes, bytes], bytes] = {}

    def verify(self, statement: Statement, proof: bytes) -> Commitments:
        asked = (statement, proof)
        if asked not in self._verified:
            try:
                self._verified[asked] = self._checker.verify(statement, proof)
            except VerificationError as error:
                self._verified[asked] = error
        found = self._verified[asked]
        if isinstance(found, VerificationError):
            raise found
        return found

    def commit_gradients(self, gradients: NDArray[np.int32], salt: bytes) -> bytes:
        return self._checker.commit_gradients(gradients, salt)

    def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
        given = list(messages)
        keys = [(values.tobytes(), salt) for values, salt in given]
        # One message twice is committed to once: forgeries have equal blocks under equal salts.
        new = {key: one for key, one in zip(keys, given, strict=True) if key not in self._committed}
        if new:
            self._committed.update(zip(new, self._checker.commitments(list(new.values())), strict=True))
        return (self._committed[key] for key in keys)
