"""Declare a metric from the name that a person or a program gives it."""

import re
from typing import Literal

from eailab.errors import UsageError
from eailab.metrics import LARGEST_NUMBER, NO_SPLIT, Metric
from eailab.translation import Text, tr

Unit = Literal["share", "percent", "raw"]

HIGHER = """
acc accuracy acc1 acc5 top1 top5 precision recall f1 auc auroc auprc ap map miou iou dice bleu rouge meteor cider
reward psnr ssim r2 ndcg mrr mcc kappa elo winrate
""".split()
LOWER = """
loss err error errors ppl perplexity bpb bpc rmse mse mae mape nll wer cer fid kl regret latency
""".split()
"""Words of names by which the better direction is known."""

SHARE = 100.0
"""Scale of a metric that is recorded as a share and shown in percent."""

SAME = {"training": "train", "validation": "val", "valid": "val", "evaluation": "eval", "testing": "test"}
"""Words of names that mean the same."""


def tokens(name: str) -> tuple[str, ...]:
    """Return the words of a name in the form in which names are compared.

    >>> tokens("Validation Acc@1"), tokens("val_acc@1")
    (('val', 'acc', '1'), ('val', 'acc', '1'))
    """
    return tuple(SAME.get(word, word) for word in re.findall(r"[^\W_]+", name.lower()))


def is_higher_better(name: str) -> bool | None:
    """Return whether more of a metric is better, by the last known word of its name; None where none is known.

    >>> is_higher_better("val_acc@1"), is_higher_better("reward_loss"), is_higher_better("score")
    (True, False, None)
    """
    return next((word in HIGHER for word in reversed(tokens(name)) if word in HIGHER or word in LOWER), None)


def declare(name: str, goal: Literal["max", "min"] | None = None, unit: Unit = "raw") -> Metric:
    """Return the declaration of a metric that a program reports.

    Args:
        name: As the program prints it.
        goal: Which direction is better; None for what the name says.
        unit: What its values are.

    Raises:
        UsageError: The better direction is neither given nor known from the name.
    """
    higher = is_higher_better(name) if goal is None else goal == "max"
    if not tokens(name):
        raise UsageError(f"{name!r} cannot be the name of a metric: it has neither letters nor digits.")
    if higher is None:
        raise UsageError(
            f"whether more or less {name} is better is not known from its name: add --goal max or --goal min "
            '(from Python, goal="max" or goal="min").'
        )
    if unit == "raw":
        return Metric(name, Text(name), higher, NO_SPLIT, name)
    return Metric(
        name,
        Text(name),
        higher,
        NO_SPLIT,
        name,
        unit="%",
        unit_words=tr("percent"),
        difference_unit="pp",
        difference_words=tr("percentage points"),
        scale=SHARE if unit == "share" else 1.0,
        decimals=2,
        least=-1.0 if unit == "share" else -LARGEST_NUMBER,
        most=1.0 + 1e-6 if unit == "share" else LARGEST_NUMBER,
    )
