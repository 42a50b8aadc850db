"""Bundles made by hand, and how they are read and judged."""

from pathlib import Path

from tests.verify.run_builder import KEY
from zk_autograd.evidence.bundle import END, Bundle, header, padding
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

POLICY = Policy(keys=(KEY,), require=frozenset({Level.L0}))


def packed(files: dict[str, bytes]) -> bytes:
    """A bundle of these files, in the order given."""
    return b"".join(header(name, len(data)) + data + bytes(padding(len(data))) for name, data in files.items()) + END


SMALL = {
    "config.toml": b"seed = 1\n",
    "log/checkpoint": b"note",
    "log/records.jsonl": b"one\n\nthree\n",
    "model/weights.f32.safetensors": b"",
    "proofs/0-0": bytes(range(256)) * 2,
    "proofs/0-1": b"p",
}


def opened(path: Path, data: bytes) -> Bundle:
    path.write_bytes(data)
    return Bundle(path)


def contents(reader: Bundle) -> dict[str, bytes]:
    """Every file by its name, as the reader gives it."""
    found = {}
    for name in reader.names():
        folder, _, last = name.rpartition("/")
        if name == "log/checkpoint":
            found[name] = reader.checkpoint()
        elif name == "log/records.jsonl":
            found[name] = b"".join(leaf + b"\n" for leaf in reader.leaves())
        elif folder == "proofs":
            segment, block = map(int, last.split("-"))
            found[name] = reader.proof(segment, block)
        elif folder == "model":
            found[name] = reader.model_file(last)
        else:
            found[name] = reader.artefact(name)
    return found


def judged(path: Path, data: bytes) -> Report:
    with opened(path, data) as files:
        return Verifier(POLICY, Systems()).verify(files)
