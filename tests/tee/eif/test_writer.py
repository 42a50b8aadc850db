"""Writing images: byte for byte what AWS's crate writes."""

import errno
import io
from typing import Any

import pytest

from tests.tee.eif.golden import DATA, LINE, golden, opened, parts
from zk_autograd.core.errors import UnreadableError, UsageError
from zk_autograd.tee.eif import Kind, default_metadata, measure, write_image, writer

METADATA = (DATA / "metadata.json").read_bytes()


def part(name: str) -> io.BytesIO:
    return io.BytesIO((DATA / name).read_bytes())


def written(**other: Any) -> bytes:
    out = io.BytesIO()
    ramdisks = other.pop("ramdisks", [part("ramdisk1"), part("ramdisk2")])
    arguments = {"kernel": part("kernel"), "cmdline": LINE, "metadata": METADATA, **other}
    write_image(out, ramdisks=ramdisks, **arguments)
    return out.getvalue()


def test_an_image_is_the_one_that_aws_s_crate_writes() -> None:
    assert written() == golden("unsigned")
    assert written(ramdisks=[part("ramdisk1")]) == golden("one")
    assert written(signature=dict(parts("signed"))[Kind.SIGNATURE]) == golden("signed")


def test_parts_are_read_from_their_beginning() -> None:
    kernel = part("kernel")
    kernel.seek(500)
    assert written(kernel=kernel) == golden("unsigned")


def test_memory_processors_and_architecture_are_in_the_header() -> None:
    image = opened(written(arm64=True, memory=2**31, cpus=4))
    assert (image.arm64, image.memory, image.cpus) == (True, 2**31, 4)
    assert measure(image) == measure(opened(golden("unsigned")))


def test_default_metadata_has_the_fields_that_aws_s_tools_need() -> None:
    import json

    def names(value: Any) -> Any:
        return {name: names(inner) for name, inner in value.items()} if isinstance(value, dict) else None

    ours, theirs = json.loads(default_metadata("n", "1")), json.loads(METADATA)
    for own in ("DockerInfo", "CustomMetadata"):
        ours[own] = theirs[own] = {}
    assert names(ours) == names(theirs)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"ramdisks": []}, "1 to 28 ramdisks"),
        ({"ramdisks": [io.BytesIO(b"r")] * 29}, "1 to 28 ramdisks"),
        ({"ramdisks": [io.BytesIO()]}, "ramdisk 1 is empty"),
        ({"kernel": io.BytesIO()}, "the kernel is empty"),
        ({"cmdline": "a\0b"}, "no NUL"),
        ({"cmdline": "a" * 4097}, "at most 4096"),
        ({"metadata": bytes(2**20 + 1)}, "metadata has at most"),
        ({"signature": bytes(2**18 + 1)}, "signature"),
    ],
)
def test_parts_that_make_no_image_are_refused(other: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        written(**other)


def test_as_many_ramdisks_as_there_may_be_are_read_again() -> None:
    image = opened(written(ramdisks=[io.BytesIO(b"r")] * 28, signature=dict(parts("signed"))[Kind.SIGNATURE]))
    assert len(image.sections) == 32


class Held(io.BytesIO):
    """A file that tells the largest piece that was asked of it."""

    most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None and size >= 0
        self.most = max(self.most, size)
        return super().read(size)


def test_parts_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_CHUNK", 100)
    kernel = Held((DATA / "kernel").read_bytes())
    assert written(kernel=kernel) == golden("unsigned") and kernel.most == 100


class Growing(io.BytesIO):
    """A file that somebody appends to."""

    def read(self, size: int | None = -1, /) -> bytes:
        self.read = super().read  # type: ignore[method-assign]
        return super().read(size) + b"more"


class Failing(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


def test_a_part_that_changes_or_can_t_be_read_makes_no_image() -> None:
    with pytest.raises(UnreadableError, match="changed while it was read"):
        written(kernel=Growing(b"kernel"))
    with pytest.raises(UnreadableError, match="Input/output error"):
        written(kernel=Failing(b"kernel"))
