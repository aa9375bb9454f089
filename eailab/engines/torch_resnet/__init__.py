"""Train residual networks on CUDA or on the CPU: the torch engine."""

import os

CODE_FOLDER = "code"
"""In the folder of a trial of a person's own network: a record of what was run, which nothing reads."""

# Before torch is imported: its threads (GNU OpenMP) wait for each other in a loop of 300,000 turns, some 10 ms, before
# they sleep. Where another program wants a core, a waiting thread burns the time that the awaited one needs. 10,000
# turns cost 2% on quiet cores, and next to one busy program train 2.6 to 3 times as fast (benchmarks/threads.py).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
