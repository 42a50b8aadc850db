"""A job trained inside an enclave, in one process."""

from pathlib import Path

from tests.enclave.instances import NONE, make_enclave_run, make_job


def test_thin(tmp_path: Path) -> None:
    made = make_enclave_run(tmp_path / "native")
    print(made.lines())
    made = make_enclave_run(tmp_path / "none", job=make_job(NONE))
    print(made.lines())
