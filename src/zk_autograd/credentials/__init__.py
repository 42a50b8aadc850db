"""Keys and access tokens: where they lie, who may read them, and that none of them is shown."""
