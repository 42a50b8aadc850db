"""Evidence of enclaves: bytes, signatures, opinion; the devices that make it; release of keys."""
