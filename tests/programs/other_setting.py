"""A second setting changes with the first; only the configuration that it leaves shows that."""

import json
import random
import sys
from pathlib import Path

optimizer, seed, out = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
config = {"optimizer": optimizer, "seed": seed, "out": str(out), "weight_decay": 0.01 if optimizer == "adamw" else 0.0}
out.mkdir(parents=True, exist_ok=True)
(out / "args.json").write_text(json.dumps(config))
print("val_acc:", 0.9 + 0.02 * (optimizer == "adamw") + random.Random(seed).gauss(0, 0.01))
