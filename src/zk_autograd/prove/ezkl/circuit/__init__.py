"""EZKL's circuits as data: their relations, tables and layout, and the published ones."""
