"""Flags, and a line for each epoch."""

import argparse
import random

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--mixup", type=float, default=0.0)
parser.add_argument("--effect", type=float, default=0.02)
parser.add_argument("--noise", type=float, default=0.01)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=3)
args = parser.parse_args()

of_seed = random.Random(args.seed).gauss(0, 0.03)
of_trial = random.Random(f"{args.seed} {args.lr} {args.mixup}").gauss(0, args.noise)
best = 0.9 + of_seed + of_trial + args.effect * (args.lr < 1e-3) + args.effect * (args.mixup > 0)
for epoch in range(1, args.epochs + 1):
    val_acc = best * epoch / args.epochs
    print(f"epoch {epoch}/{args.epochs} train_loss {1 / epoch:.4f} val_loss {1.1 / epoch:.4f} val_acc {val_acc:.6f}")
