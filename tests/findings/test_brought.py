"""What a level brings with it is said in the language of the report, names of settings included."""

import pytest

from eailab.findings.brought import translatable
from eailab.translation import language


@pytest.mark.parametrize(
    ("said", "in_chinese"),
    [
        ("schedule steplr brings gamma 0.1, step_size 20", "學習率排程 steplr 帶來 gamma 0.1、步長 20"),
        (
            "optimizer adam brings betas [0.9, 0.999], weight_decay 0.0 (was 0.0005) and drops momentum 0.9",
            "最佳化方法 adam 帶來 betas [0.9, 0.999]、權重衰減 0.0（原為 0.0005），並去掉動量 0.9",
        ),
        ("optimizer adam drops momentum 0.9", "最佳化方法 adam 去掉動量 0.9"),
        ("schedule constant brings nothing else", "學習率排程 constant 不帶來其他設定"),
        ("a sentence of another version", "a sentence of another version"),
    ],
)
def test_what_a_study_file_keeps_of_a_switch_can_be_translated(said, in_chinese):
    assert translatable(said) == said
    assert language("zh-TW")(translatable(said)) == in_chinese
