"""The engine: pure standard library, no clock, no I/O, no randomness, no logging."""
