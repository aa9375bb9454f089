"""Takes a seed and does not use it."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--seed", type=int)
args = parser.parse_args()
print(f"val_acc: {0.9 + 0.02 * (args.lr < 1e-3)}")
