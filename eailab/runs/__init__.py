"""Train trials: the one loop, the store that it writes, and the executors that hand trials to processes."""
