"""The host's prover for an enclave that has its proofs made outside (enclave.outside)."""

import threading
from collections.abc import Callable
from pathlib import Path

from zk_autograd.core.errors import ProverError, RunError, UsageError, VerificationError
from zk_autograd.core.records import Prover
from zk_autograd.enclave.relay.frames import Wire
from zk_autograd.prove.choice import choice_of
from zk_autograd.prove.protocol import Backend
from zk_autograd.prove.witness_bytes import Wanted

PROVERS = ("native",)
"""Those whose proofs an enclave has made outside."""


class HostProver:
    """Answers the relay's channel `prove`, one proof a connection."""

    def __init__(self, scratch: Path, backend_of: Callable[[Prover, Path], Backend] | None = None) -> None:
        self._scratch = scratch
        self._turn = threading.Lock()
        self._backend_of = backend_of or _backend_of

    def __call__(self, wire: Wire) -> None:
        """RunError for what can't be proved. One at a time: each takes memory."""
        with self._turn:
            self._prove(wire)

    def _prove(self, wire: Wire) -> None:
        fields = wire.heard()
        with wire.understood():
            wanted = Wanted.parse(fields, PROVERS)
        data = b"".join(wire.receive(wanted.size))
        with wire.understood():
            statement, witness = wanted.read(data)
        try:
            proof = self._backend_of(wanted.prover, self._scratch).prove(statement, witness).proof
        except (ProverError, UsageError, VerificationError) as error:
            raise RunError(f"no proof was made: {error}") from error
        wire.say({"refused": "", "size": len(proof)})
        wire.send([proof])


def _backend_of(prover: Prover, scratch: Path) -> Backend:
    return choice_of(prover.backend).of_run(prover, None, scratch)
