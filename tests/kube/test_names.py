"""Names and label selectors that the API server would refuse are refused before it is asked."""

import pytest

from canary.engine.errors import Invalid
from canary.kube.names import check_name, check_namespace, check_selector

SELECTORS = [
    "app",
    "!app",
    "app=",
    "app=shop",
    "app==shop, track != a",
    "canary-controller.dev/shard=1",
    "a in (b)",
    "a notin (b, c),d",
    "a in(b,)",
    " a in ( b , c ) ",
    "size > 3",
    "a=B_c.d",
]
NO_SELECTORS = [
    "a in (b",
    "a in b",
    "a=b,",
    ",a",
    "a b",
    "a=b c",
    "=b",
    "-a",
    "a=b-",
    "A/b/c",
    "a=" + "x" * 64,
    "a >b",
]


@pytest.mark.parametrize("text", SELECTORS)
def test_a_selector_in_kubectls_words(text: str) -> None:
    """Is one."""
    check_selector("selector", text)


@pytest.mark.parametrize("text", NO_SELECTORS)
def test_what_is_no_selector(text: str) -> None:
    """With the field, the words and an example."""
    with pytest.raises(Invalid) as refusal:
        check_selector("selector", text)
    assert str(refusal.value) == f"selector: {text!r} isn't a label selector, such as team=shop,track in (a, b)"


def test_names() -> None:
    """An object's may have dots, a namespace's not."""
    check_namespace("namespace", "shop-2")
    check_name("lease", "canary.shop")
    with pytest.raises(Invalid, match=r"^namespace: 'a\.b' isn't the name of a namespace"):
        check_namespace("namespace", "a.b")


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        (
            "Bad_Name",
            "isn't the name of an object: lower case letters, digits, dashes and dots; did you mean bad-name?",
        ),
        ("", "isn't the name of an object: lower case letters, digits, dashes and dots"),
        ("a..b", "isn't the name of an object: lower case letters, digits, dashes and dots"),
        ("a" * 254, "is too long for the name of an object, which has up to 253 characters"),
    ],
)
def test_what_is_no_name(text: str, reported: str) -> None:
    """With what was probably meant."""
    with pytest.raises(Invalid) as refusal:
        check_name("lease", text)
    assert str(refusal.value) == f"lease: {text!r} {reported}"
