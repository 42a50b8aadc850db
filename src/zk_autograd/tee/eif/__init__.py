"""Enclave images of AWS Nitro, EIF version 4: reading, writing, and what is measured of them.

Source: the definitions of AWS's crate aws-nitro-enclaves-image-format 0.8.1. What the measurement
(PCR0, PCR1, PCR2) covers is bytes one after the other, without their lengths: it fixes neither
where the kernel ends and its command line begins, nor where that ends and the first ramdisk begins.
So an image's safety must not hang on its command line: whoever starts it can move the line's first
characters to the kernel's end, where nothing reads them, and the measurement stays.
"""

from zk_autograd.tee.eif.image import Image, Section, read_image
from zk_autograd.tee.eif.layout import Kind
from zk_autograd.tee.eif.pcrs import Measurement, measure
from zk_autograd.tee.eif.writer import default_metadata, write_image

__all__ = ["Image", "Kind", "Measurement", "Section", "default_metadata", "measure", "read_image", "write_image"]
