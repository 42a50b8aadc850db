"""Enclave images of AWS Nitro, EIF version 4: reading, writing, and what is measured of them.

Source: the definitions of AWS's crate aws-nitro-enclaves-image-format 0.8.1. What the measurement
(PCR0, PCR1, PCR2) covers is bytes one after the other, without their lengths: it fixes neither
where the kernel ends and its command line begins, nor where that ends and the first ramdisk begins.
So whoever starts an image can take any window of kernel, line and ramdisk as the command line: what
is before it counts as kernel, what is after it as ramdisk, which then lacks its first files; and
the measurement stays.

So nothing attested may hang on the command line. What an image itself must see to, this package
doesn't: no text in kernel or ramdisk may name another first program (enclave/README.md says how the
image of this repository is kept so, and what is then left to the host).
"""

from zk_autograd.tee.eif.image import Image, Section, read_image
from zk_autograd.tee.eif.layout import Kind
from zk_autograd.tee.eif.pcrs import Measurement, measure
from zk_autograd.tee.eif.writer import default_metadata, write_image

__all__ = ["Image", "Kind", "Measurement", "Section", "default_metadata", "measure", "read_image", "write_image"]
