"""Refuse words and options of `eailab ablate` that stand in the wrong place, or next to what they contradict."""

from eailab.errors import Correction, UsageError


def refuse_misplaced(word: str, levels: list[str]) -> None:
    """Refuse a factor joined to its levels, and a recipe among the words."""
    from eailab.recipe.catalogue import shipped

    name, equals, joined = word.partition("=")
    if equals:
        levels = [*joined.split(","), *levels]
        raise UsageError(
            f"{word}: write the levels apart from the factor, separated by spaces:",
            Correction(arguments=(name, *levels)),
        )
    words = [word, *levels]
    recipe = next((text for text in words if text in shipped()), word if word.endswith((".yaml", ".yml")) else None)
    if recipe is not None:
        others = tuple(text for text in words if text != recipe)
        raise UsageError(
            f"{recipe} is a recipe: write --recipe {recipe}, and the factor and its levels before it"
            + (":" if others else f", as in `eailab ablate batch-size 16 32 64 --recipe {recipe}`."),
            Correction(arguments=others, options={"--recipe": recipe}) if others else None,
        )


def refuse_beside_study(**given: object) -> None:
    """Refuse options for what a study file says itself."""
    names = {"factor": "FACTOR", "also": "--and"}
    if refused := [names.get(name, f"--{name}") for name, value in given.items() if value]:
        raise UsageError(
            f"{', '.join(refused)} cannot be given with --study: change the study's file, or leave --study out."
        )


def refuse_beside_program(**given: object) -> None:
    """Refuse options for what a program's command says itself."""
    if refused := [f"--{name}" for name, value in given.items() if value]:
        raise UsageError(f"{', '.join(refused)} cannot be given with a program's command: leave it out, or --run.")


def refuse_odd_sd(sd: float | None) -> None:
    """Refuse a standard deviation that no trials have."""
    if sd is not None and not 0.0 < sd < float("inf"):
        raise UsageError(f"--sd {sd:g}: give a standard deviation above 0, in the margin's unit.")


def refuse_two(**given: object) -> None:
    """Refuse more than one word on the number of blocks."""
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} both set the number of blocks: give only one of them.")
