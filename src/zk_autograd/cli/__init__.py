"""The commands: each parses its flags, calls the package, and prints. No logic.

Nothing heavy is imported before a command knows what it has to do.
"""
