"""What it means: pure functions from arrays to intervals and verdicts."""
