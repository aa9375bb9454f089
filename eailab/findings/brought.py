"""Make translatable what a level brings with it, which a study's file keeps as a sentence."""

import re

from eailab.findings.words import setting_with_value
from eailab.translation import COMMA, Text, joined, tr

_BETWEEN_SETTINGS = re.compile(r", (?=[a-z_]+ )")


def translatable(said: str) -> Text:
    """Return what a level brings, so that it can be translated.

    Args:
        said: As `recipe/override.py` writes it: "optimizer sgd brings momentum 0.9 and drops betas [0.9, 0.999]".
    """
    variant, brings, rest = said.partition(" brings ")
    if not brings:
        variant, drops, rest = said.partition(" drops ")
        return (
            tr("{variant} drops {settings}", variant=_setting(variant), settings=_settings(rest))
            if drops
            else Text(said)
        )
    named = _setting(variant)
    if rest == "nothing else":
        return tr("{variant} brings nothing else", variant=named)
    settings, drops, dropped = rest.partition(" and drops ")
    if drops:
        values = {"settings": _settings(settings), "dropped": _settings(dropped)}
        return tr("{variant} brings {settings} and drops {dropped}", variant=named, **values)
    return tr("{variant} brings {settings}", variant=named, settings=_settings(settings))


def _settings(said: str) -> Text:
    return joined(map(_setting, _BETWEEN_SETTINGS.split(said)), COMMA)


def _setting(said: str) -> Text:
    setting, was, before = said.removesuffix(")").partition(" (was ")
    if was:
        return tr("{setting} (was {value})", setting=_setting(setting), value=before)
    name, _, value = said.partition(" ")
    return setting_with_value(name, value)
