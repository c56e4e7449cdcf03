"""Query templates: words in braces are replaced, and a wrong word is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.engine.errors import Invalid
from canary.engine.query_templates import render, used

NAMES = {"name": "reviews", "namespace": "shop", "interval": "1m", "variables.code": "5.."}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        pytest.param("up", "up", id="a text without words stays as it is"),
        pytest.param("{{ name }}", "reviews", id="a word is replaced"),
        pytest.param("{{name}}/{{  namespace}}", "reviews/shop", id="spaces inside the braces are optional"),
        pytest.param("a[{{ interval }}]", "a[1m]", id="what stands around it stays"),
        pytest.param("{{ variables.code }}", "5..", id="a variable is a word with a dot"),
        pytest.param("a {{- name -}} b", "areviewsb", id="Go's trimming dashes eat the blanks outside"),
        pytest.param("{{\nname\n}}", "reviews", id="line ends inside the braces are spaces"),
        pytest.param('{{ printf "%s-canary" name }}', "reviews-canary", id="printf puts words into a text"),
        pytest.param("{{ printf `%q: %v%%` name 5 }}", '"reviews": 5%', id="printf quotes, and takes numbers"),
        pytest.param('{{ name | printf "%s.%s" namespace }}', "shop.reviews", id="what is piped comes last"),
        pytest.param('{{ index variables "code" }}', "5..", id="a variable by index"),
        pytest.param('{{ print "a b/" name | urlquery }}', "a+b%2Freviews", id="for the part of a URL"),
        pytest.param('{{ printf "%s" (printf "%05.1f" 2.5) }}', "002.5", id="brackets"),
        pytest.param('{{ "{{ }}" | print }}', "{{ }}", id="braces in a text are text"),
        pytest.param('a{b="c"} } {', 'a{b="c"} } {', id="single braces are PromQL's"),
    ],
)
def test_words_are_replaced(text: str, rendered: str) -> None:
    """Flagger's templates read the same here."""
    assert render(text, NAMES) == rendered


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            "{{ namespce }}",
            "{{ namespce }} is no template function; did you mean namespace?",
            id="a misspelt word is answered with the nearest one",
        ),
        pytest.param(
            "{{ .name }}",
            "{{ .name }} is no template function; did you mean name?",
            id="a leading dot is Go's, not Flagger's",
        ),
        pytest.param(
            "{{ if x }}",
            "{{ if x }} is no template function; there are "
            "name, namespace, target, service, ingress, route, interval and variables.NAME",
            id="a word that is like none is answered with all of them",
        ),
        pytest.param(
            "{{ variables.cod }}",
            "{{ variables.cod }} isn't given in templateVariables; did you mean code?",
            id="a variable that isn't given is answered with the nearest one that is",
        ),
        pytest.param(
            '{{ printf "%s" nme }}',
            "{{ nme }} is no template function; did you mean name?",
            id="a misspelt word among the arguments",
        ),
        pytest.param(
            '{{ index variables "cod" }}',
            "{{ variables.cod }} isn't given in templateVariables; did you mean code?",
            id="a variable by index that isn't given",
        ),
        pytest.param('{{ printf "%s" }}', "printf has no value for %s", id="a value too few"),
        pytest.param(
            '{{ printf "x" name }}', "printf has 1 values more than its format asks for", id="a value too many"
        ),
        pytest.param('{{ printf "%d" name }}', "printf can't write 'reviews' as %d", id="a text is no number"),
        pytest.param(
            '{{ printf "%x" 1 }}',
            "printf doesn't know %x; there are %s, %v, %q, %d, %f, %g, %e and %%",
            id="a verb that isn't known",
        ),
        pytest.param('{{ printf "%s" (name }}', "a bracket of the template is never closed", id="an open bracket"),
        pytest.param("a {{ name", "the template opens '{{' and never closes it", id="open braces are no text"),
    ],
)
def test_a_wrong_word_is_named(text: str, sentence: str) -> None:
    """The sentence holds the word as it was written."""
    with pytest.raises(Invalid) as error:
        render(text, NAMES)
    assert str(error.value) == sentence


def test_used_tells_all_words() -> None:
    """Each word once, whether it is known or not."""
    assert used("{{ name }} {{name}} {{ variables.x }} {{ nonsense }}") == {"name", "variables.x", "nonsense"}


@given(st.text(alphabet="{}-n ame\n.", max_size=30))
def test_any_text_is_rendered_or_refused(text: str) -> None:
    """Nothing but Invalid comes out of a template, and what used() accepts with known words is rendered."""
    try:
        words = used(text)
    except Invalid:
        with pytest.raises(Invalid):
            render(text, {})
    else:
        assert "{{" not in render(text, dict.fromkeys(words, "x"))
