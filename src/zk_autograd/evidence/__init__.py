"""A run's public files: where they lie, and reading them from a folder or a bundle."""
