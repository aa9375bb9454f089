"""List the networks of a study's arms, layer by layer, from their recipes: own code is never run for a report."""

from collections.abc import Sequence
from dataclasses import dataclass

from eailab.data.registry import SOURCES
from eailab.engines.registry import images_of
from eailab.engines.spec import LayerSize
from eailab.engines.summary import LayerSummary, NetworkSummary, of_settings
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Table, arm_name
from eailab.findings.words import setting_with_value
from eailab.recipe.base import ImageRecipe
from eailab.recipe.describe import in_words
from eailab.studies.storage import StudyRecord
from eailab.translation import COMMA, OR, Text, joined, tr

Shape = tuple[int, int, int]
"""Rows, columns and channels of an image."""


@dataclass(frozen=True)
class ArmNetwork:
    """The network that some arms of a study share."""

    arms: tuple[str, ...]
    """Their names in tables."""
    model: Text
    """In words, with its settings."""
    layers: Sequence[LayerSize | LayerSummary] | None
    """From its settings; of one whose code is not eailab's as a finished trial recorded them, None where none has."""
    multiply_adds: int
    """Of one image; of all layers, and between them."""
    parameters: tuple[int, ...]
    """Trained ones: counted from the layers, else as finished trials recorded them; empty where none has."""


def networks(
    record: StudyRecord, findings: StudyFindings, image: Shape | None, classes: int | None
) -> list[ArmNetwork]:
    """Return the networks of a study's arms, each once.

    The shape of its images and their number of classes are those of its data set, where that is here; those of
    published data sets are known without.
    """
    found: dict[object, ArmNetwork] = {}
    places = {name: at for (at, _), name in record.trials.items()}
    for finding in findings.arms:
        # Several arms of the record may be compared as one.
        for at in sorted({places[trial.fingerprint] for trial in finding.trials if trial.fingerprint in places}):
            recipe = record.study.arms[at].recipe.images
            size = None if recipe is None else _size(recipe, image, classes)
            if recipe is None or (size is None and not recipe.has_foreign_network):
                continue
            layers: Sequence[LayerSize | LayerSummary] | None
            layers = None if size is None else images_of(recipe).layers(recipe, *size)
            own = [trial for trial in finding.trials if places.get(trial.fingerprint) == at]
            recorded = {trial.parameters for trial in own if trial.parameters is not None}
            counted = tuple(sorted(recorded)) if layers is None else (sum(layer.parameters for layer in layers),)
            multiply_adds = sum(layer.multiply_adds for layer in layers or ())
            if layers is None and (kept := next((one.network for one in own if one.network is not None), None)):
                layers, multiply_adds = kept.layers, kept.multiply_adds
            model = _model_in_words(recipe)
            key = (recipe.model.model_dump_json(), repr(layers))
            before = found.get(key)
            arms = tuple(dict.fromkeys((*(before.arms if before else ()), arm_name(finding))))
            parameters = counted if before is None else tuple(sorted({*before.parameters, *counted}))
            found[key] = ArmNetwork(arms, model, layers, multiply_adds, parameters)
    return list(found.values())


def _model_in_words(recipe: ImageRecipe) -> Text:
    settings = recipe.model.model_dump(mode="json", exclude={"code"})
    name = settings.pop("name")
    settings |= settings.pop("args", {})
    listed = joined((setting_with_value(key, in_words(one)) for key, one in settings.items()), COMMA)
    return tr("{model} ({settings})", model=name, settings=listed)


def _size(recipe: ImageRecipe, image: Shape | None, classes: int | None) -> tuple[Shape, int] | None:
    if (source := SOURCES.get(recipe.data.name)) is not None:
        return source.shape, source.classes
    return None if image is None or classes is None else (image, classes)


def layers_table(network: ArmNetwork) -> Table:
    """Return the layers of a network as a table, with their sums; it has no rows where they are not known."""
    layers = network.layers or ()
    rows = [
        (one.name, one.kind, "×".join(map(str, one.output or ())), f"{one.parameters:,}", f"{one.multiply_adds:,}")
        for one in layers
    ]
    sums = (f"{sum(layer.parameters for layer in layers):,}", f"{network.multiply_adds:,}")
    return Table(
        columns=(
            Column(tr("layer")),
            Column(tr("kind")),
            Column(tr("output")),
            Column(tr("parameters"), is_number=True),
            Column(tr("multiply–adds"), is_number=True),
        ),
        rows=(*rows, (tr("all"), "", "", *sums)),
    )


def summary_of(recipe: ImageRecipe, image: Shape, classes: int) -> NetworkSummary:
    """Return a recipe's network in numbers; code that is not eailab's is run for it, as nothing else here does.

    Raises:
        UsageError: That code makes no network for these images.
    """
    engine = images_of(recipe)
    if (layers := engine.layers(recipe, image, classes)) is not None:
        return of_settings(recipe.name, image, classes, layers)
    found = engine.run_network(recipe, image, classes)
    assert found is not None  # noqa: S101 - the engine knows a network in either way
    return found


ABOUT_LAYERS = tr(
    "Outputs are channels×rows×columns of one image, or units; multiply–adds are of one image, in "
    "convolutions and matrix products, padding included."
)


def network_sentence(network: ArmNetwork) -> Text:
    """Return what is said of a network in a line."""
    if network.layers is not None:
        return tr(
            "{model}: {n} layers with weights, {parameters:,} trained parameters, {multiply_adds:,} multiply–adds an "
            "image",
            model=network.model,
            n=sum(layer.parameters > 0 for layer in network.layers),
            parameters=network.parameters[0],
            multiply_adds=network.multiply_adds,
        )
    if not network.parameters:
        return tr("{model}: its code does not come with eailab, and is not run for a report", model=network.model)
    return tr(
        "{model}: {parameters} trained parameters; its code does not come with eailab, and is not run for a report",
        model=network.model,
        parameters=joined((f"{count:,}" for count in network.parameters), OR),
    )
