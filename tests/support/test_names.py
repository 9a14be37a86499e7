import pytest

from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.names import indices_of

KNOWN = ("meta-llama/Llama-2-7b", "openai/whisper-small")


def test_positions_in_the_order_given() -> None:
    found = indices_of(
        ["openai/whisper-small", "meta-llama/Llama-2-7b", "openai/whisper-small"],
        KNOWN, "base model", "fit", ForecastError,
    )  # fmt: skip
    assert found.tolist() == [1, 0]
    assert indices_of(None, KNOWN, "base model", "fit", ForecastError).tolist() == [0, 1]
    assert indices_of(KNOWN[0], KNOWN, "base model", "fit", ForecastError).tolist() == [0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Openai/Whisper-smal"], "did you mean 'openai/whisper-small'"),
        (["zzz"], "holds 2 base models, such as 'meta-llama/Llama-2-7b'"),
        ([], "no base model is named"),
    ],
)
def test_unknown_names_are_refused_with_a_hint(names: list[str], message: str) -> None:
    with pytest.raises(ForecastError, match=message):
        indices_of(names, KNOWN, "base model", "fit", ForecastError)
