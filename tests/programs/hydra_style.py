"""Settings as key=value, and the configuration left in the output folder, as Hydra does."""

import json
import random
import sys
from pathlib import Path

config = {"optimizer.lr": 0.001, "seed": 0, "hydra.run.dir": "."}
for word in sys.argv[1:]:
    key, _, value = word.partition("=")
    config[key] = type(config[key])(value)
out = Path(config.pop("hydra.run.dir"), ".hydra")
out.mkdir(parents=True, exist_ok=True)
(out / "config.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in config.items()))
loss = 0.5 + 0.1 * (config["optimizer.lr"] > 1e-3) + random.Random(config["seed"]).gauss(0, 0.01)
print(f"[2026-11-28 22:24:37,123][__main__][INFO] - val/loss: {loss}")
