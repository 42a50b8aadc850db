"""A host and an enclave, two processes: what comes out, and what a host is told."""

from pathlib import Path

from tests.enclave.hostile_host import HostileHost, carry_on
from tests.enclave.hosting import bench, judged, records, secret_job
from tests.enclave.instances import NATIVE


def test_a_run_with_proofs_made_inside(tmp_path: Path) -> None:
    host = HostileHost(carry_on)
    with bench(tmp_path) as table:
        found = table.host(table.sealed(secret_job(NATIVE)), launch=host.launching(table.launch))
        assert found.complete, (found, table.said)
        report = judged(found.out)
        assert report.failure is None
        assert "L1" in report.verdict
        assert host.records() == records(found.out)
        for f in host.seen:
            print(f.channel, f.name, f.inward, f.number, f.kind, len(f.payload), f.word if len(f.payload) < 300 else "")
