"""What goes between an enclave and its host: a protocol over stream sockets, and both its ends."""
