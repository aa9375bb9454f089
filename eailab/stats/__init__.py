"""Turn arrays of values into intervals and verdicts, by pure functions."""
