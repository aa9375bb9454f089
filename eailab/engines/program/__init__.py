"""Run any training program as an engine: a command is filled in, started, watched, and its metrics are read."""
