"""A table in the output folder, as Lightning's CSVLogger writes it, and hparams.yaml next to it."""

import csv
import random
import sys
from pathlib import Path

lr, seed, out = float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
out.mkdir(parents=True, exist_ok=True)
(out / "hparams.yaml").write_text(f"lr: {lr}\nseed: {seed}\n")
value = 0.9 + 0.02 * (lr < 1e-3) + random.Random(seed).gauss(0, 0.01)
with (out / "metrics.csv").open("w", newline="") as file:
    table = csv.DictWriter(file, ["epoch", "step", "train_loss", "val_acc"])
    table.writeheader()
    for epoch in range(3):
        table.writerow({"epoch": epoch, "step": 50 * epoch, "train_loss": 1 / (epoch + 1)})
        table.writerow({"epoch": epoch, "step": 50 * epoch + 49, "val_acc": value * (epoch + 1) / 3})
