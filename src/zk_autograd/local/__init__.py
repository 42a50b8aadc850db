"""This machine's user: the files that they name, and the folders that are theirs."""
