"""Trigger sources: one module each, found by name."""
