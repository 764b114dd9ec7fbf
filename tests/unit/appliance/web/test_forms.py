"""Fields of a form: bounds, errors, nothing shown again that must not be."""

from __future__ import annotations

from appliance.web.forms import Form
from data.errors import Conflict


def test_fields_are_trimmed_bounded_and_without_control_characters() -> None:
    form = Form({"a": "  Ann ", "b": "x" * 9, "c": "a\r\nb", "d": "a\r\nb", "e": " "})
    assert form.text("a") == "Ann"
    assert form.text("b", most=8) == ""
    assert form.text("c") == ""
    assert form.text("d", lines=True) == "a\nb"
    assert form.text("e", required=True) == ""
    assert form.text("absent") == ""
    assert set(form.errors) == {"b", "c", "e"}
    assert form.errors["b"].params == {"most": 8}
    assert form.values["b"] == "x" * 8
    assert not form.good


def test_a_secret_is_kept_as_typed_and_never_shown() -> None:
    form = Form({"p": " s p ", "q": "x" * 2_000})
    assert form.secret("p") == " s p "
    assert form.secret("q") == ""
    assert form.secret("r") == ""
    assert form.values == {}
    assert set(form.errors) == {"q", "r"}


def test_choices_flags_and_numbers() -> None:
    form = Form({"c": "b", "d": "evil", "f": "on", "n": "12", "m": "-1", "o": "٣"})
    assert form.choice("c", "a", "b") == "b"
    assert form.choice("d", "a", "b") == "a"
    assert form.flag("f") and not form.flag("g")
    assert form.number("n", 1, 20) == 12
    for name in ("m", "o", "absent"):
        form.number(name, 1, 20)
    assert set(form.errors) == {"m", "o", "absent"}


def test_the_first_word_stands_and_the_stores_is_public() -> None:
    form = Form({})
    form.refused("a", Conflict("private detail"))
    form.refuse("a", "another")
    assert form.errors["a"].text == Conflict.public
