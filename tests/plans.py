"""Studies of one factor, and their training without a display."""

from eailab.studies.design import one_at_a_time
from eailab.studies.factor import factor_from_text
from eailab.studies.run import Runner, train_plans


def one_factor(recipe, factor, levels, blocks, baseline=None):
    """The study that varies one setting of a recipe."""
    return one_at_a_time(recipe, [factor_from_text(factor, levels, baseline)], blocks)[0]


def train_plan(planned, context, jobs=1):
    """Train what is left of a plan, and return the trials that failed."""
    return train_plans([planned], Runner(context, jobs))
