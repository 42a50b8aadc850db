"""Runs that lie and are signed by their trainer: records and files changed, and all digests,
signatures and entries in a register made again."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from attacks.tools.register_tree import Tree, write
from zk_autograd.core.canonical import encode
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.register import Entry, Kind
from zk_autograd.credentials import keyfile
from zk_autograd.evidence.hashes import Hashes
from zk_autograd.evidence.layout import ARTEFACTS

Objects = list[dict[str, Any]]


def forge(
    run: Path,
    key: Path,
    *,
    records: Callable[[Objects], object] = id,
    log: Callable[[Objects], Objects | None] = lambda events: None,
    config: tuple[str, str] = ("", ""),
) -> Path:
    """Changes what `records` and `log` change in place (or `log` gives back), and a text of
    config.toml."""
    leaves = _lines(run / "log/records.jsonl")
    events = _lines(run / "train_log.jsonl")
    changed = log(events)
    (run / "train_log.jsonl").write_bytes(_bytes(events if changed is None else changed))
    text = (run / "config.toml").read_text()
    assert config[0] in text
    (run / "config.toml").write_text(text.replace(*config, 1))
    records(leaves)
    header = parse_log([encode(leaf) for leaf in leaves]).header
    old = Hashes.parse((run / "hashes.json").read_bytes())
    environment = (run / "environment.json").read_bytes()
    hashes = Hashes.of((run / "config.toml").read_bytes(), header.data, environment, old.weights)
    (run / "hashes.json").write_bytes(hashes.encode())
    for name in ARTEFACTS:
        if name in leaves[-1]["artefacts"]:
            leaves[-1]["artefacts"][name] = sha256((run / name).read_bytes()).hexdigest()
    (run / "log/records.jsonl").write_bytes(_bytes(leaves))
    head = root([leaf_hash(encode(leaf)) for leaf in leaves])
    signers = keyfile.load(key)
    note = sign(checkpoint_text(header.origin, len(leaves), head), signers)
    (run / "log/checkpoint").write_bytes(note)
    if header.register:
        begun, closed = Entry(Kind.BEGIN, header.run, 1, leaf_hash(encode(leaves[0]))), Kind.CLOSE
        tree = Tree(tuple(signers), [begun, Entry(closed, header.run, len(leaves), head)])
        write(run, tree.views((0, 1), (1, 2)))
    return run


def _lines(path: Path) -> Objects:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _bytes(objects: Objects) -> bytes:
    return b"".join(encode(item) + b"\n" for item in objects)
