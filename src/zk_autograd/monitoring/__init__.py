"""Watching a log from outside: what was seen of it is kept, and held against what is seen next."""
