"""A pretend survey vendor: a real HTTP server, for the demo, for trying a configuration out, and for tests."""
