"""Doing it: the one loop, the store that it writes, and the executors that carry trials to processes."""
