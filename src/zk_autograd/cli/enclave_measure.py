"""`zk-enclave measure`: what an enclave that runs an image will attest of it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zk_autograd.tee.eif import Image, Measurement

HELP = "compute the measurements of an image (EIF version 4), as a policy pins them"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the image's file")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The exit status."""
    import os

    from zk_autograd.local.named_files import open_named
    from zk_autograd.tee.eif import measure, read_image
    from zk_autograd.tee.eif.image import MAX_IMAGE

    with (
        open_named(arguments.image, "the image", MAX_IMAGE) as descriptor,
        os.fdopen(descriptor, "rb", closefd=False) as file,
    ):
        image = read_image(file)
        show(image, measure(image), output)
    return 0


def show(image: "Image", measurement: "Measurement", output: Output) -> None:
    """Prints the measurement of an image, and what a reader needs to know of the image beside it.

    The JSON object has the registers alone: it is the FILE of an emulated device.
    """
    from zk_autograd.core.text import counted
    from zk_autograd.tee.eif import Kind

    registers = measurement.registers()
    for name, value in registers.items():
        output.line(f"{name}  {value}")
    output.line(f"kernel command line: {image.cmdline}")
    output.line(f"{counted(len(image.all(Kind.RAMDISK)), 'ramdisk')}, for {'aarch64' if image.arm64 else 'x86-64'}")
    output.line()
    output.line("for a policy, below [attestation.nitro]:")
    output.line(policy_line(registers))
    if measurement.pcr8 is not None:
        output.note("pcr8 is its signer's certificate; whose that is, and whether it has ended, was not looked at")
    if not image.in_order:
        output.note(
            "kernel, command line and ramdisks are not in this order in the file: AWS's tools measure the file's order, and would "
            "print other values; build the image again with `zk-enclave build`"
        )
    output.result(registers)


def policy_line(registers: "Mapping[str, str]") -> str:
    """The line of a policy file that allows this measurement, and no other."""
    pairs = ", ".join(f'{name} = "{value}"' for name, value in registers.items())
    return f"measurements = [{{{pairs}}}]"
