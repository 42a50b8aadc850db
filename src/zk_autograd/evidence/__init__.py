"""What a stranger is given of a run: its public files, where they lie, and reading them from a
folder or a bundle."""
