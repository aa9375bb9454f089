"""A notebook that was saved as a script: settings in variables at the top, no arguments."""

# %%
import os
import random

# %%
SEED = int(os.environ.get("EAILAB_SEED", "42"))
LR = float(os.environ.get("LR", "1e-3"))

# %%
random.seed(SEED)
accuracy = 90 + 2 * (LR < 1e-3) + random.gauss(0, 1)

# %%
print("Training finished!")
print(f"Test Accuracy: {accuracy:.4f}%")
