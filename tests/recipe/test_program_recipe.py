"""Recipes of training programs: their settings are factors, and two recipes of one command are one training."""

import pytest

from eailab.errors import RecipeError
from eailab.recipe.canonical import canonical, to_yaml
from eailab.recipe.factors import level_of, resolve
from eailab.recipe.load import Override, load, parse_recipe
from eailab.recipe.of_command import read_level, recipe_of_command
from eailab.recipe.override import vary
from eailab.recipe.own import ProgramRecipe

RUN = "python train.py --lr {lr} --seed {seed}"
TEXT = f"""
name: mine
engine: program
run: {RUN}
settings: {{lr: 0.01}}
metric: [val_loss, val_acc]
timeout: 30m
"""


def recipe(run: str = RUN, **varied) -> ProgramRecipe:
    return recipe_of_command(run, {"metric": "loss"}, varied)


def test_a_recipe_of_a_program_is_read_and_written():
    made = parse_recipe(TEXT.encode(), "mine.yaml")
    assert isinstance(made, ProgramRecipe)
    assert made.study.metric == "val_loss"
    assert parse_recipe(to_yaml(made).encode(), "") == made


def test_a_recipe_without_settings_is_written_and_read():
    made = recipe("p {seed}")
    assert parse_recipe(to_yaml(made).encode(), "") == made


def test_every_setting_is_a_factor_by_its_own_name():
    made = recipe("p {batch-size} {epochs} {timeout} {seed}", **{"batch-size": 8, "epochs": 3, "timeout": 1})
    assert resolve("batch_size", made) == "settings.batch-size"
    assert resolve("epochs", made) == "settings.epochs"
    assert level_of(made, "settings.timeout") == 1
    assert resolve("metric", made) == "metric"
    assert vary(made, "settings.epochs", 5).recipe.settings["epochs"] == 5


def test_a_setting_of_a_recipes_file_is_set_by_its_own_name(tmp_path):
    (tmp_path / "mine.yaml").write_text(TEXT)
    loaded = load(tmp_path / "mine.yaml", [Override("lr", 0.5, "-o")])
    assert loaded.recipe.own_settings == {"lr": 0.5}
    assert loaded.origins["settings.lr"] == "-o"


def test_what_a_command_comes_to_identifies_it():
    """Not how it is written, nor what only a person reads."""
    same = [
        recipe("p --lr 0.1 --seed {seed}"),
        recipe("p  --lr  '0.1' --seed {block}"),
        recipe("p --lr {lr} --seed {seed}", lr=0.1),
        recipe("p {aug} --seed {seed}", aug="--lr 0.1"),
        recipe_of_command("p --lr 0.1 --seed {seed}", {"metric": "loss", "timeout": "3m", "goal": "min"}, {}),
    ]
    assert all(canonical(one) == canonical(same[0]) for one in same)
    others = [
        recipe("p --lr 0.2 --seed {seed}"),
        recipe("X=1 p --lr 0.1 --seed {seed}"),
        recipe_of_command("p --lr 0.1 --seed {seed}", {"metric": "acc"}, {}),
        recipe_of_command("p --lr 0.1 --seed {seed}", {"metric": "loss", "at": "best"}, {}),
        recipe_of_command("p --lr 0.1 --seed {seed}", {"metric": "loss", "shell": True}, {}),
    ]
    assert len({str(canonical(one)) for one in [same[0], *others]}) == 1 + len(others)


def test_settings_handed_over_in_a_file_identify_a_command():
    one, other = recipe("p {params} {seed}", lr=0.1), recipe("p {params} {seed}", lr=0.2)
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1e-3", 0.001), ("16", 16), ("-0.5", -0.5), (".5", 0.5), ("5.", 5.0)),
        *((text, text) for text in ("007", "1_000", "", "True", "null", "1e999", "--mixup 0.2", "nan")),
    ],
)
def test_a_level_is_a_number_only_where_it_is_written_as_one(text, value):
    assert read_level(text) == value
    assert type(read_level(text)) is type(value)


def test_options_set_settings_and_fields():
    made = recipe_of_command(
        "p {lr} {wd} {seed}", {"metric": "loss"}, {"lr": 1}, [Override("wd", 0.5, "-o"), Override("at", "best", "-o")]
    )
    assert made.settings == {"lr": 1, "wd": 0.5}
    assert made.at == "best"


def test_options_may_name_a_setting_by_its_path_and_no_other_part_of_a_recipe():
    def made(path: str) -> ProgramRecipe:
        return recipe_of_command("p {batch-size} {seed}", {"metric": "loss"}, {}, [Override(path, 4, "-o")])

    assert made("settings.batch_size").settings == {"batch-size": 4}
    for path in ("metric.x", "settings.metric", "study.x"):
        with pytest.raises(RecipeError, match="there is no setting"):
            made(path)


@pytest.mark.parametrize(
    ("run", "fields", "said"),
    [
        ("p {seed}", {}, "the setting lr is not in the command"),
        ("p {lr} {wd} {seed}", {}, "{wd} has no value"),
        ("p {lr} {seed}", {"timeout": "3 weeks"}, "3 weeks is not a time"),
        ("p {lr} {seed}", {"settings": 3}, "a mapping of names to values"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(run, fields, said):
    value = "".join(f"{name}: {one}\n" for name, one in {"settings": "{lr: 1}", **fields}.items())
    text = f"name: t\nengine: program\nrun: {run!r}\nmetric: loss\n{value}"
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text.encode(), "mine.yaml")
    assert said in str(caught.value)
    assert "mine.yaml:" in str(caught.value)


def test_a_setting_with_a_placeholders_name_is_refused():
    with pytest.raises(RecipeError, match="seed cannot be a setting"):
        parse_recipe(b"name: t\nengine: program\nrun: p {seed}\nmetric: loss\nsettings: {seed: 1}\n", "")


def test_a_program_without_a_seed_may_be_asked_for():
    assert not recipe_of_command("p", {"metric": "loss"}, {}).shows_seed
    for given in ({"seed_env": True}, {"unseeded": True}):
        assert recipe_of_command("p", {"metric": "loss", **given}, {}).shows_seed
    assert recipe_of_command("p {seed}", {"metric": "loss"}, {}).shows_seed


# --- groups of settings -----------------------------------------------------------------------------------------------


GROUPED = b"""
name: mine
engine: program
run: "python train.py {overrides} --seed {seed}"
settings: {lr: 0.01, model: {depth: 3, norm: {eps: 1.0e-5}}}
metric: loss
"""


def test_settings_in_groups_are_factors_by_their_dotted_names():
    """Hydra and OmegaConf name them so; `{args}` and `{overrides}` hand them over by these names."""
    made = parse_recipe(GROUPED, "mine.yaml")
    assert made.own_settings == {"lr": 0.01, "model.depth": 3, "model.norm.eps": 1e-5}
    assert parse_recipe(to_yaml(made).encode(), "") == made
    assert resolve("model.depth", made) == "settings.model.depth"
    deeper = vary(made, "settings.model.depth", 5).recipe
    assert deeper.settings == {"lr": 0.01, "model": {"depth": 5, "norm": {"eps": 1e-5}}}
    assert deeper.identity()["argv"][2:5] == ["lr=0.01", "model.depth=5", "model.norm.eps=1e-05"]


def test_options_and_factors_of_a_command_make_groups():
    options = [Override("model.width", 7, "-o"), Override("settings.data.size", 9, "-o")]
    made = recipe_of_command("p {seed} --d {model.depth} {args}", {"metric": "loss"}, {"model.depth": 2}, options)
    assert made.settings == {"model": {"depth": 2, "width": 7}, "data": {"size": 9}}
    arguments = "p {seed} --d 2 --model.depth 2 --model.width 7 --data.size 9"
    assert made.identity()["argv"] == arguments.split()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{model: {depth: [1, 2]}}", r"model\.depth is \[1, 2\]: a value is a text, a number, true or false"),
        ("{a: {b: {c: {d: {e: 1}}}}}", "a.b.c.d.e lies in 4 groups of settings, and 3 are the most"),
        ("{model: {a-b: 1, a_b: 2}}", "model.a-b and model.a_b would be one name"),
    ],
)
def test_what_is_no_group_of_settings_is_named(settings, said):
    text = f"name: m\nengine: program\nrun: p {{overrides}} {{seed}}\nmetric: loss\nsettings: {settings}\n"
    with pytest.raises(RecipeError, match=said):
        parse_recipe(text.replace("run: ", 'run: "').replace("{seed}", '{seed}"').encode(), "m.yaml")


@pytest.mark.parametrize("names", [("model", "model.depth"), ("model.depth", "model")])
def test_a_name_is_not_that_of_a_setting_and_of_a_group(names):
    with pytest.raises(RecipeError, match="cannot both be settings"):
        recipe_of_command("p {overrides} {seed}", {"metric": "loss"}, dict.fromkeys(names, 1))


def test_the_nearest_setting_of_the_recipe_is_named():
    with pytest.raises(RecipeError, match=r"there is no setting 'model\.dept'; did you mean 'model\.depth'\?"):
        resolve("model.dept", parse_recipe(GROUPED, "mine.yaml"))
