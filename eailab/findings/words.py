"""What sentences call settings."""

SPOKEN = {
    "lr": "learning rate",
    "val_fraction": "validation share",
    "augment": "augmentation",
    "ema": "weight averaging",
    "norm": "normalisation",
    "init": "initialisation",
    "limit": "number of training images",
    "hidden": "width of the hidden layers",
    "epochs": "number of epochs",
    "warmup_epochs": "length of the warm-up",
}
"""Factors whose field is not called what a sentence calls it."""

PLURAL = frozenset({"betas", "milestones", "nodes", "threads"})
"""Factors whose name takes the verb's plural."""
