"""Survey vendors: one module each, found by name."""
