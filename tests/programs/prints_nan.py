"""Diverges above a learning rate of 0.1."""

import sys

lr, seed = float(sys.argv[1]), int(sys.argv[2])
for epoch in (1, 2):
    print(f"epoch {epoch} loss {'nan' if lr > 0.1 and epoch == 2 else 1 / epoch + seed / 100}")
