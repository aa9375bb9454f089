"""Lines of JSON at $EAILAB_METRICS, and a checkpoint in the output folder to go on from."""

import json
import os
import random
import sys
from pathlib import Path

lr, seed, out, epochs = float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), 4
checkpoint = out / "checkpoint.json"
done = json.loads(checkpoint.read_text())["epoch"] if os.environ.get("EAILAB_RESUME") and checkpoint.exists() else 0
value = 0.9 + 0.02 * (lr < 1e-3) + random.Random(seed).gauss(0, 0.01)
for epoch in range(done + 1, epochs + 1):
    with Path(os.environ.get("EAILAB_METRICS", os.devnull)).open("a") as file:
        file.write(json.dumps({"epoch": epoch, "val_acc": value * epoch / epochs, "resumed": float(done > 0)}) + "\n")
    checkpoint.write_text(json.dumps({"epoch": epoch}))
    if os.environ.get("STOP_AT") == str(epoch) and not done:
        os.abort()
