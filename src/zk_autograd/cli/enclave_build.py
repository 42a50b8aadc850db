"""`zk-enclave build`: an image from a kernel, its command line and ramdisks. Equal parts make equal
bytes: no clock, no name of a file or machine goes into it."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli.output import Output
from zk_autograd.core.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from typing import BinaryIO

HELP = "write an image (EIF version 4) from a kernel, its command line and ramdisks, and measure it"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument(
        "--kernel", type=Path, required=True, metavar="FILE", help="the kernel (bzImage; Image for aarch64)"
    )
    parser.add_argument("--cmdline", default="", metavar="TEXT", help="the kernel's command line")
    parser.add_argument(
        "--ramdisk",
        type=Path,
        required=True,
        action="append",
        dest="ramdisks",
        metavar="FILE",
        help="a ramdisk (cpio); again for each further one, in their order",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the image to write")
    parser.add_argument(
        "--name", default="zk-autograd", metavar="NAME", help="its name in the metadata, which isn't measured"
    )
    parser.add_argument("--image-version", default="0", metavar="VERSION", help="its version there")
    parser.add_argument("--metadata", type=Path, metavar="FILE", help="JSON to write as the metadata instead")
    parser.add_argument("--arm64", action="store_true", help="for aarch64 (default: x86-64)")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The exit status."""
    from zk_autograd.cli.enclave_measure import show
    from zk_autograd.local.named_files import read_named
    from zk_autograd.local.new_files import new_file, require_new
    from zk_autograd.tee.eif import default_metadata, measure, read_image, write_image
    from zk_autograd.tee.eif.image import MAX_METADATA

    require_new(arguments.out, "--out")
    metadata = (
        default_metadata(arguments.name, arguments.image_version)
        if arguments.metadata is None
        else _json(read_named(arguments.metadata, "the metadata", MAX_METADATA), arguments.metadata)
    )
    with ExitStack() as files:
        kernel = files.enter_context(_part(arguments.kernel, "the kernel"))
        ramdisks = [files.enter_context(_part(path, "the ramdisk")) for path in arguments.ramdisks]
        out = files.enter_context(new_file(arguments.out, "--out"))
        write_image(out, kernel, arguments.cmdline, ramdisks, metadata, arm64=arguments.arm64)
        image = read_image(out)
        show(image, measure(image), output)
    return 0


def _json(data: bytes, path: Path) -> bytes:
    """The bytes, if they are a JSON object, as AWS's tools read metadata. UsageError."""
    from zk_autograd.core.canonical import decode_foreign
    from zk_autograd.tee.eif.image import MAX_METADATA

    try:
        is_object = isinstance(decode_foreign(data, max_bytes=MAX_METADATA), dict)
    except VerificationError:
        is_object = False
    if not is_object:
        raise UsageError(f"the metadata {path} are no JSON object, and AWS's tools read one")
    return data


@contextmanager
def _part(path: Path, what: str) -> "Iterator[BinaryIO]":
    import os

    from zk_autograd.local.named_files import open_named
    from zk_autograd.tee.eif.image import MAX_IMAGE

    with open_named(path, what, MAX_IMAGE) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        yield file
