"""Tell studies with the same question apart by model, data and what else differs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eailab.findings.statements import SHOWN_DIGITS, source_in_words
from eailab.findings.study import StudyFindings
from eailab.findings.words import setting_with_value
from eailab.recipe.describe import in_words
from eailab.studies.factor import listed
from eailab.translation import tr


def tell_apart(studies: Sequence[StudyFindings]) -> list[StudyFindings]:
    """Return studies, each with what tells it from the others of its title; one that is alone with it needs nothing."""
    groups: dict[str, list[StudyFindings]] = defaultdict(list)
    for findings in studies:
        groups[findings.title].append(findings)
    apart = {
        findings.folder_name: words
        for group in groups.values()
        for findings, words in zip(group, _words([_traits(one) for one in group]), strict=True)
    }
    return [replace(findings, apart=apart[findings.folder_name]) for findings in studies]


def _traits(findings: StudyFindings) -> dict[str, str]:
    """Return what a study may differ in from others, in words, what says most of it first."""
    settings: dict[str, Any] = dict(findings.held_fixed)
    data = settings.pop("data.name", "")
    digest = ""
    if findings.imported is not None:
        settings.pop("source", None)  # the digest of all that is kept, where the file's own says more
        digest = next(iter(findings.imported.files.values()), "")[:SHOWN_DIGITS]
    return {
        "model": settings.pop("model.name", ""),
        "data": Path(data).stem or data,
        **{path: setting_with_value(path.removesuffix(".name"), in_words(value)) for path, value in settings.items()},
        "levels": tr("levels {levels}", levels=listed([arm.label for arm in findings.arms])) if findings.factor else "",
        "baseline": tr("baseline {arm}", arm=findings.baseline_arm.label) if findings.factor else "",
        "margin": tr("margin {margin:g}", margin=findings.margin),
        "blocks": tr("block {block}", block=findings.blocks[0]) if findings.factor is None else "",
        "source": source_in_words(findings.imported) if findings.imported else "",
        "digest": tr("SHA-256 {digest}…", digest=digest) if digest else "",
        "looks": tr("with looks") if findings.looks and findings.looks.planned else "",
        "fingerprint": findings.fingerprint,
    }


def _words(group: Sequence[dict[str, str]]) -> list[tuple[str, ...]]:
    """Return for each study the traits that, with model and data, are enough to tell all of a group apart."""
    chosen: list[str] = []

    def words(traits: Sequence[str]) -> list[tuple[str, ...]]:
        return [tuple(one.get(trait, "") for trait in traits) for one in group]

    for trait in dict.fromkeys(trait for one in group for trait in one):
        differs = len(set(words([trait]))) > 1
        if differs and (trait in ("model", "data") or len(set(words([*chosen, trait]))) > len(set(words(chosen)))):
            chosen.append(trait)
    return [tuple(filter(None, words)) for words in words(chosen)]
