"""What all models share."""

from canary.api.plan import Traffic


def test_models_with_the_same_fields_set_share_their_names() -> None:
    """A controller keeps a hundred models for each of thousands of Canaries, and the names were a quarter of them."""
    read, made = Traffic.model_validate_json('{"weight": 10}'), Traffic(weight=20)
    assert read.__pydantic_fields_set__ is made.__pydantic_fields_set__
    changed = made.but(mirror=5)
    assert changed.__pydantic_fields_set__ is Traffic(weight=1, mirror=1).__pydantic_fields_set__


def test_what_was_written_is_distinguished_from_defaults() -> None:
    """Also of a copy, whose original stays as it was."""
    made = Traffic(weight=20)
    assert made.but(mirror=5).model_fields_set == {"weight", "mirror"}
    assert (made.model_fields_set, Traffic().model_fields_set) == ({"weight"}, set())
