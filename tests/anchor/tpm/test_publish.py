"""Counting and signing in a software TPM, swtpm: what crashes, other processes, an older copy of
its state and a TPM that fails leave behind."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.anchor.rfc3161.authority import holder
from tests.anchor.tpm.emulator import Emulator, require_swtpm
from tests.anchor.tree import Tree
from zk_autograd.anchor.kinds import KINDS, open_anchor
from zk_autograd.anchor.tpm.device import Device, opened
from zk_autograd.anchor.tpm.publish import REMEMBERED, TpmAnchor, attestation_key
from zk_autograd.anchor.tpm.receipt import Trust, verify
from zk_autograd.anchor.tpm.structures import counter_public, name_of, place_of
from zk_autograd.core import canonical
from zk_autograd.core.anchors import AnchorClaim, Receipt, SignedCheckpoint, Standing, require_order
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import (
    AnchorBehind,
    AnchorDown,
    AnchorError,
    AnchorForked,
    UsageError,
    VerificationError,
)

ORIGIN = "zk-autograd/register/" + "ab" * 32


class NoHistory:
    """A TPM is given a hash, and nothing of the register's entries."""

    def entries(self, first: int, end: int) -> list[bytes]:
        raise AssertionError

    def consistency(self, size1: int, size2: int) -> list[bytes]:
        raise AssertionError


def at(size: int, root: int = 0, origin: str = ORIGIN) -> SignedCheckpoint:
    return SignedCheckpoint(b"the note", Checkpoint(origin, size, bytes([root] * 32)))


def publish(anchor: TpmAnchor, checkpoint: SignedCheckpoint) -> Receipt:
    [receipt] = anchor.publish(checkpoint, NoHistory())
    return Receipt.parse(receipt.encode())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    require_swtpm()
    emulator = Emulator(tmp_path_factory.mktemp("tpm"))
    yield emulator
    emulator.stop()


_counted = itertools.count()


@pytest.fixture
def origin() -> str:
    """A register of its own for each test, and so a counter of its own in the shared TPM."""
    return f"zk-autograd/register/{next(_counted):064x}"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Emulator]:
    require_swtpm()
    emulator = Emulator(tmp_path / "tpm")
    yield emulator
    emulator.stop()


def trust_of(tcti: str, origin: str = ORIGIN) -> Trust:
    """The key as an auditor names it who saw that it is this TPM's."""
    return Trust(names=frozenset([name_of(attestation_key(tcti, origin))]))


def claims(trust: Trust, *pairs: tuple[Receipt, SignedCheckpoint]) -> list[tuple[Checkpoint, AnchorClaim]]:
    return [(checkpoint.head, verify(receipt, checkpoint, trust)) for receipt, checkpoint in pairs]


def value(receipt: Receipt, checkpoint: SignedCheckpoint, trust: Trust) -> int:
    claim = verify(receipt, checkpoint, trust)
    assert claim.standing is Standing.SHOWN
    assert claim.position is not None
    return claim.position[1]


def test_each_publication_has_a_higher_value_of_the_counter(shared: Emulator, origin: str, tmp_path: Path) -> None:
    anchor, trust = TpmAnchor(shared.tcti, state=tmp_path), trust_of(shared.tcti, origin)
    checkpoints = [at(1, origin=origin), at(3, 1, origin), at(3, 1, origin), at(8, 2, origin)]
    pairs = [(publish(anchor, checkpoint), checkpoint) for checkpoint in checkpoints]
    values = [value(receipt, checkpoint, trust) for receipt, checkpoint in pairs]
    assert values == list(range(values[0], values[0] + 4))
    require_order(claims(trust, *pairs))
    for receipt, checkpoint in pairs:
        assert verify(receipt, checkpoint, None).standing is Standing.UNJUDGED
    with pytest.raises(VerificationError, match="another tree head"):
        verify(pairs[0][0], checkpoints[1], trust)


def test_key_and_counter_outlive_a_restart(own: Emulator, tmp_path: Path) -> None:
    anchor, trust = TpmAnchor(own.tcti, state=tmp_path), trust_of(own.tcti)
    first = publish(anchor, at(1))
    own.stop()
    own.start()
    assert value(publish(anchor, at(2)), at(2), trust) == value(first, at(1), trust) + 1


def test_a_counter_that_is_deleted_and_made_anew_goes_on_above(shared: Emulator, origin: str, tmp_path: Path) -> None:
    """Deleting it is no way back: TPM 2.0 Library, part 3, TPM2_NV_Increment."""
    from tpm2_pytss import ESAPI, ESYS_TR

    anchor, trust = TpmAnchor(shared.tcti, state=tmp_path), trust_of(shared.tcti, origin)
    first = publish(anchor, at(1, origin=origin))
    with ESAPI(shared.tcti) as esapi:
        esapi.nv_undefine_space(esapi.tr_from_tpmpublic(place_of(origin)), auth_handle=ESYS_TR.OWNER)
    second = publish(anchor, at(2, origin=origin))
    assert value(second, at(2, origin=origin), trust) > value(first, at(1, origin=origin), trust)


def test_a_software_tpm_that_is_rolled_back_signs_two_branches(own: Emulator, tmp_path: Path) -> None:
    """Its state is a file: with an older copy of it, and of the trainer's folder, the counter goes
    back, and each of two branches has a receipt that verifies. Whoever sees both sees the fork."""
    state, trust = tmp_path / "state", trust_of(own.tcti)
    anchor = TpmAnchor(own.tcti, state=state)
    publish(anchor, at(4))
    own.stop()
    shutil.copytree(own.state, tmp_path / "older")
    shutil.copytree(state, tmp_path / "older state")
    own.start()
    one = publish(anchor, at(5, 1))
    own.roll_back(tmp_path / "older")
    with pytest.raises(AnchorForked, match="another tree of 5 entries"):
        publish(anchor, at(5, 2))  # as long as the trainer's folder is not rolled back as well
    shutil.rmtree(state)
    shutil.copytree(tmp_path / "older state", state)
    two = publish(anchor, at(5, 2))
    assert value(one, at(5, 1), trust) == value(two, at(5, 2), trust)
    with pytest.raises(VerificationError, match="rolled back or has two branches"):
        require_order(claims(trust, (one, at(5, 1)), (two, at(5, 2))))


def test_a_register_that_is_rolled_back_gets_a_higher_value_for_a_smaller_tree(
    shared: Emulator, origin: str, tmp_path: Path
) -> None:
    """With the trainer's folder lost, the TPM signs anything; but it counts on."""
    trust = trust_of(shared.tcti, origin)
    later, earlier = at(9, 1, origin), at(5, 2, origin)
    first = publish(TpmAnchor(shared.tcti, state=tmp_path / "one"), later)
    second = publish(TpmAnchor(shared.tcti, state=tmp_path / "two"), earlier)
    with pytest.raises(VerificationError, match="rolled back or has two branches"):
        require_order(claims(trust, (first, later), (second, earlier)))


def test_the_tpm_signs_two_branches_in_turn(shared: Emulator, origin: str, tmp_path: Path) -> None:
    """Why a receipt excludes no fork: each of two branches has receipts in the counter's order."""
    trust = trust_of(shared.tcti, origin)
    anchors = [TpmAnchor(shared.tcti, state=tmp_path / name) for name in ("one", "two")]
    pairs: list[list[tuple[Receipt, SignedCheckpoint]]] = [[], []]
    for size in (5, 6):
        for branch, anchor in enumerate(anchors):
            checkpoint = at(size, branch, origin)
            pairs[branch].append((publish(anchor, checkpoint), checkpoint))
    for shown in pairs:
        assert all(not claim.excludes_forks for _, claim in claims(trust, *shown))
        require_order(claims(trust, *shown))
    with pytest.raises(VerificationError, match="rolled back or has two branches"):
        require_order(claims(trust, *pairs[0], *pairs[1]))


def test_what_was_published_before_is_remembered(shared: Emulator, origin: str, tmp_path: Path) -> None:
    anchor = TpmAnchor(shared.tcti, state=tmp_path)
    publish(anchor, at(5, 1, origin))
    with pytest.raises(AnchorBehind, match="5 entries"):
        publish(anchor, at(4, 1, origin))
    with pytest.raises(AnchorForked, match="5 entries"):
        publish(anchor, at(5, 2, origin))
    file = tmp_path / origin.rpartition("/")[2] / REMEMBERED
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(file.read_bytes() + b'{"root":"00')  # torn by a crash
    with pytest.raises(AnchorBehind):
        publish(anchor, at(4, 1, origin))
    publish(anchor, at(6, 1, origin))
    publish(anchor, at(6, 1, origin))
    assert len(file.read_bytes().splitlines()) == 3
    file.write_bytes(file.read_bytes().replace(b"size", b"Size"))
    with pytest.raises(AnchorError, match="was altered"):
        publish(anchor, at(7, 1, origin))


def test_what_is_remembered_is_asked_without_the_tpm(tmp_path: Path) -> None:
    tree, other = Tree(9), Tree(9, "other", 2)
    anchor = TpmAnchor("swtpm:host=127.0.0.1,port=1", state=tmp_path)
    anchor.require_continued(tree.checkpoint(1), tree)
    assert not [*tmp_path.iterdir()]
    folder = tmp_path / tree.checkpoint(1).head.origin.rpartition("/")[2]
    folder.mkdir(mode=0o700)
    head = tree.checkpoint(5).head
    line = canonical.encode({"size": head.size, "root": head.root.hex(), "value": "7"}) + b"\n"
    (folder / REMEMBERED).write_bytes(line)
    for size in (5, 9):
        anchor.require_continued(tree.checkpoint(size), tree)
    with pytest.raises(AnchorBehind, match="a tree of 5 entries was signed by the TPM already, and ours has 4"):
        anchor.require_continued(tree.checkpoint(4), tree)
    for size in (5, 8):
        with pytest.raises(AnchorForked, match="of 5 entries"):
            anchor.require_continued(other.checkpoint(size), other)
    assert (folder / REMEMBERED).read_bytes() == line


def test_another_process_that_counts_between_costs_a_try(
    shared: Emulator, origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the comparison, both processes would have the TPM sign at one value."""
    times = []
    count = Device.count

    def counted_by_another_too(self: Device) -> None:
        count(self)
        times.append(1)
        if len(times) < 3:
            count(self)

    publish(TpmAnchor(shared.tcti, state=tmp_path), at(1, origin=origin))
    monkeypatch.setattr(Device, "count", counted_by_another_too)
    trust = trust_of(shared.tcti, origin)
    found = value(publish(TpmAnchor(shared.tcti, state=tmp_path), at(1, origin=origin)), at(1, origin=origin), trust)
    assert len(times) == 3
    with opened(shared.tcti, origin) as device:
        assert device.read() == found


def test_processes_at_once_share_no_value(shared: Emulator, origin: str, tmp_path: Path) -> None:
    """Threads stand for processes: each opens the TPM and the file for itself."""
    trust = trust_of(shared.tcti, origin)
    done: list[tuple[Receipt, SignedCheckpoint]] = []

    def work() -> None:
        for size in range(1, 6):
            try:
                done.append(
                    (publish(TpmAnchor(shared.tcti, state=tmp_path), at(size, size, origin)), at(size, size, origin))
                )
            except AnchorBehind:
                continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) >= 5
    values = [value(receipt, checkpoint, trust) for receipt, checkpoint in done]
    assert len(set(values)) == len(values)
    require_order(claims(trust, *done))


_KILLED = """
import os, signal, sys
from pathlib import Path
from zk_autograd.anchor.tpm import publish
from zk_autograd.anchor.tpm.device import Device
from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint

place, tcti, state, origin, size = sys.argv[1:]
kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if place == "remembered":
    before = publish._Memory.__call__
    publish._Memory.__call__ = lambda *arguments: (before(*arguments), kill())
elif place == "signed":
    before = Device.certify
    Device.certify = lambda *arguments: (before(*arguments), kill())
else:
    setattr(Device, place, kill)
head = Checkpoint(origin, int(size), bytes([int(size)] * 32))
publish.TpmAnchor(tcti, state=Path(state)).publish(SignedCheckpoint(b"", head), None)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_anywhere_leaves_a_gap_at_most(own: Emulator, tmp_path: Path) -> None:
    """Killed before and after each of its steps, twice over; then the run goes on."""
    from tpm2_pytss import ESAPI, TPM2_CAP, TPM2_HC

    anchor, trust = TpmAnchor(own.tcti, state=tmp_path), trust_of(own.tcti)
    pairs = [(publish(anchor, at(1)), at(1))]
    for size, place in enumerate(("read", "count", "certify", "signed", "remembered"), start=2):
        result = subprocess.run(
            [sys.executable, "-c", _KILLED, place, own.tcti, str(tmp_path), ORIGIN, str(size)],
            check=False,
            capture_output=True,
        )
        assert result.returncode == -signal.SIGKILL, result.stderr
        # What a resource manager does for a process that is gone.
        with ESAPI(own.tcti) as esapi:
            _, found = esapi.get_capability(TPM2_CAP.HANDLES, TPM2_HC.TRANSIENT_FIRST, 8)
            for handle in found.data.handles:
                esapi.flush_context(esapi.tr_from_tpmpublic(handle))
        checkpoint = at(size, size)
        pairs.append((publish(anchor, checkpoint), checkpoint))
    values = [value(receipt, checkpoint, trust) for receipt, checkpoint in pairs]
    assert values == sorted(set(values))
    assert [later - one for one, later in itertools.pairwise(values)] == [1, 1, 2, 2, 2]
    require_order(claims(trust, *pairs))


@pytest.mark.slow
def test_keys_that_killed_processes_leave_are_told(own: Emulator, tmp_path: Path) -> None:
    for _ in range(4):
        subprocess.run(
            [sys.executable, "-c", _KILLED, "count", own.tcti, str(tmp_path), ORIGIN, "1"],
            check=False,
            capture_output=True,
        )
    with pytest.raises(AnchorDown, match="tpm2_flushcontext"):
        publish(TpmAnchor(own.tcti, state=tmp_path), at(1))


def test_a_tpm_that_is_not_there_or_hangs_is_down(own: Emulator, tmp_path: Path) -> None:
    anchor = TpmAnchor(own.tcti, state=tmp_path, patience=0.3)
    publish(anchor, at(1))
    own.pause(stopped=True)
    begin = time.monotonic()
    with pytest.raises(AnchorDown, match="didn't answer within"):
        publish(anchor, at(2))
    assert time.monotonic() - begin < 5
    own.pause(stopped=False)
    own.stop()
    with pytest.raises(AnchorDown, match="can't be reached"):
        publish(TpmAnchor(own.tcti, state=tmp_path), at(2))
    with pytest.raises(AnchorDown, match="can't be reached"):
        publish(TpmAnchor("device:/dev/tpmnone", state=tmp_path), at(2))


def test_half_an_answer_is_down(own: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "s"
    (tmp_path / "s.ctrl").symlink_to(own.control)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(8)

        def answer() -> None:
            asked = b""
            while not asked:  # the library connects once before it asks
                connection, _ = server.accept()
                with connection:
                    if asked := connection.recv(4096):
                        connection.sendall(b"\x80\x01\x00\x00")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(AnchorDown, match="can't be reached, or breaks off"):
            publish(TpmAnchor(f"swtpm:path={path}", state=tmp_path, patience=10), at(1))
        thread.join(10)


def test_an_owners_authorization_is_asked_for(own: Emulator, tmp_path: Path) -> None:
    from tpm2_pytss import ESAPI, ESYS_TR

    with ESAPI(own.tcti) as esapi:
        esapi.hierarchy_change_auth(ESYS_TR.OWNER, b"a secret")
    with pytest.raises(AnchorError, match="owner's authorization") as caught:
        publish(TpmAnchor(own.tcti, state=tmp_path), at(1))
    assert not isinstance(caught.value, AnchorDown)


def test_something_else_in_the_counters_place_is_refused(shared: Emulator, origin: str, tmp_path: Path) -> None:
    from tpm2_pytss import ESAPI, TPM2B_NV_PUBLIC, TPMS_NV_PUBLIC

    ordinary = counter_public(origin, written=False).replace(bytes.fromhex("02020012"), bytes.fromhex("02020002"))
    with ESAPI(shared.tcti) as esapi:
        esapi.nv_define_space(b"", TPM2B_NV_PUBLIC(nvPublic=TPMS_NV_PUBLIC.unmarshal(ordinary)[0]))
    with pytest.raises(AnchorError, match="tpm2_nvundefine 0x1"):
        publish(TpmAnchor(shared.tcti, state=tmp_path), at(1, origin=origin))


def test_certificates_of_the_key_go_along(shared: Emulator, origin: str, tmp_path: Path) -> None:
    root = holder("a root", ca=True)
    file = tmp_path / "ak.pem"
    file.write_bytes(root.pem)
    anchor = open_anchor(f"tpm:{shared.tcti}@{file}")
    assert anchor.spec == f"tpm:{shared.tcti}"
    assert isinstance(anchor, TpmAnchor)
    with pytest.raises(AnchorError, match="another key's"):
        TpmAnchor(shared.tcti, [root.der], state=tmp_path).publish(at(1, origin=origin), NoHistory())


def test_what_names_no_tpm_is_refused(tmp_path: Path) -> None:
    for spec in ("tpm", "tpm:", f"tpm:device:/dev/tpmrm0@{tmp_path / 'none.pem'}"):
        with pytest.raises(UsageError):
            open_anchor(spec)
    (tmp_path / "key.pem").write_text("-----BEGIN PUBLIC KEY-----")
    with pytest.raises(UsageError):
        open_anchor(f"tpm:device:/dev/tpmrm0@{tmp_path / 'key.pem'}")
    assert KINDS["tpm"].extra == "tpm"


@pytest.mark.parametrize(
    "tcti",
    [
        "cmd:touch {}",
        "device:{}",
        "device:/dev/../{}",
        "device:/dev/sda",
        "pcap:device:/dev/tpmrm0",
        "/tmp/libtss2-tcti-evil.so",
        "libtss2-tcti-cmd.so.0:touch {}",
        "swtpm,cmd:touch {}",
    ],
)
def test_a_tcti_that_runs_a_command_loads_a_library_or_writes_a_file_is_refused(tcti: str, tmp_path: Path) -> None:
    """tpm2-tss would: who names the TPM would run commands as the trainer."""
    named = tcti.format(tmp_path / "made")
    with pytest.raises(UsageError, match="names no TPM"):
        open_anchor(f"tpm:{named}")
    with pytest.raises(UsageError, match="names no TPM"), opened(named, ORIGIN):
        pass
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "tcti", ["device", "device:/dev/tpmrm0", "swtpm:path=/run/x", "mssim:", "tabrmd:bus_type=session"]
)
def test_what_names_a_tpm_is_taken(tcti: str) -> None:
    assert open_anchor(f"tpm:{tcti}").spec == f"tpm:{tcti}"


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    with pytest.raises(AnchorError, match=r"zk-autograd\[tpm\]"):
        publish(TpmAnchor("swtpm:path=/nowhere", state=tmp_path), at(1))


def test_an_auditor_sees_by_credential_activation_that_the_key_is_in_the_tpm(own: Emulator, tmp_path: Path) -> None:
    """The commands of tpm2-tools that docs give: the key that they make is the anchor's, and only
    the TPM that holds it and the endorsement key opens what the auditor hid."""
    if shutil.which("tpm2_activatecredential") is None:
        pytest.skip("there are no tpm2-tools here: make test-deps installs them, as root and with apt-get")
    folder = tmp_path / "auditor"
    folder.mkdir()
    (folder / "secret").write_bytes(b"0123456789abcdef")
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign"
    name = name_of(attestation_key(own.tcti, ORIGIN)).hex()
    commands = [
        "tpm2_createek -G rsa -c ek.ctx -f pem -u ek.pem",
        f"tpm2_createprimary -C o -g sha256 -G ecc256:ecdsa-sha256:null -a {attributes} -c ak.ctx",
        f"tpm2_makecredential -T none -u ek.pem -G rsa -s secret -n {name} -o hidden",
        "tpm2_startauthsession --policy-session -S session",
        "tpm2_policysecret -S session -c e",
        "tpm2_activatecredential -c ak.ctx -C ek.ctx -i hidden -o opened -P session:session",
    ]
    environment = {**os.environ, "TPM2TOOLS_TCTI": own.tcti}
    for command in commands:
        result = subprocess.run(command.split(), cwd=folder, env=environment, capture_output=True, check=False)
        assert result.returncode == 0, (command, result.stderr)
        subprocess.run(["tpm2_flushcontext", "-t"], env=environment, check=True, capture_output=True)
    assert (folder / "opened").read_bytes() == b"0123456789abcdef"
