"""Scores of trials of image classification, as their records hold them."""


def scored(train=None, validation=None, test=None):
    """The values of some splits, from the loss and the accuracy of each."""
    splits = {"train": train, "validation": validation, "test": test}
    return {
        f"{split}_{name}": value
        for split, pair in splits.items()
        if pair is not None
        for name, value in zip(("loss", "accuracy"), pair, strict=True)
    }
