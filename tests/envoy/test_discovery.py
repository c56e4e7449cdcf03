"""The route file: replaced whole or not at all, with its mode, and only if it is still what was read."""

import os
from pathlib import Path

import pytest

from canary.engine.errors import Conflict, Invalid, Rejected, Unreachable
from canary.envoy.discovery import RouteFile
from tests.envoy.world import NAME

TEXT = """\
# ours
resources:
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: shop # the name
"""


def written(folder: Path, text: str = TEXT) -> RouteFile:
    """A file with the text."""
    (folder / "routes.yaml").write_text(text)
    return RouteFile(folder / "routes.yaml", NAME)


def test_the_mode_is_kept_and_nothing_is_left_behind(tmp_path: Path) -> None:
    """Envoy may run as someone else, who could read the old file."""
    file = written(tmp_path)
    file.path.chmod(0o640)
    file.replace(file.read(), "new")
    assert (file.path.read_text(), file.path.stat().st_mode & 0o777) == ("new", 0o640)
    assert os.listdir(tmp_path) == ["routes.yaml"]


def test_a_file_that_changed_in_between_is_a_conflict(tmp_path: Path) -> None:
    """It stays as someone else wrote it."""
    file = written(tmp_path)
    document = file.read()
    file.path.write_text("theirs")
    with pytest.raises(Conflict):
        file.replace(document, "ours")
    assert (file.path.read_text(), os.listdir(tmp_path)) == ("theirs", ["routes.yaml"])


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is replaced."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "routes.yaml").write_text(TEXT)
    (tmp_path / "routes.yaml").symlink_to("real/routes.yaml")
    file = RouteFile(tmp_path / "routes.yaml", NAME)
    file.replace(file.read(), "new")
    assert file.path.is_symlink()
    assert (tmp_path / "real" / "routes.yaml").read_text() == "new"


def test_a_link_that_was_put_there_since_is_never_written_through(tmp_path: Path) -> None:
    """Neither to a file, nor to a device, which would be no device any more: what is restored is the old place."""
    file, other = written(tmp_path), tmp_path / "other"
    content = file.content()
    file.keep(content)
    other.write_text("another's")
    file.path.unlink()
    file.path.symlink_to(other)
    file.keep(content)
    file.restore(TEXT)
    assert (other.read_text(), file.path.read_text(), file.path.is_symlink()) == ("another's", TEXT, False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("a: [", "not YAML", id="no YAML"),
        pytest.param("a: 1\na: 2", "the key 'a' twice", id="a key twice"),
        pytest.param("a: &a [*a]", "nested too deeply", id="a list in itself"),
        pytest.param("", "no route configuration shop; it holds nothing", id="an empty file"),
        pytest.param("resources: [{name: shpo}]", "no route configuration shop; it holds shpo", id="another name"),
        pytest.param("resources: [{name: shop}, {name: shop}]", "has shop twice", id="the name twice"),
    ],
)
def test_what_is_no_route_file_is_rejected(tmp_path: Path, text: str, words: str) -> None:
    """With what is wrong."""
    with pytest.raises(Rejected, match=words):
        written(tmp_path, text).read()


def test_a_resource_may_be_wrapped(tmp_path: Path) -> None:
    """As envoy.service.discovery.v3.Resource."""
    text = "resources: [{name: shop, resource: {name: shop, x: 1}}]"
    document = written(tmp_path, text).read()
    assert document.holding({"name": "shop", "x": 2}) == text.replace("1", "2")


def test_an_alias_is_not_edited_behind_its_back(tmp_path: Path) -> None:
    """It would change in all places at once."""
    text = "resources: [{name: shop, a: &x {b: 1}, c: *x}]"
    document = written(tmp_path, text).read()
    with pytest.raises(Rejected, match="anchors"):
        document.holding({"name": "shop", "a": {"b": 1}, "c": {"b": 2}})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It may come back: try again."""
    with pytest.raises(Unreachable, match="No such file"):
        RouteFile(tmp_path / "routes.json", NAME).read()


def test_a_file_of_another_format_is_invalid() -> None:
    """Envoy tells formats by their extension, and so must we."""
    with pytest.raises(Invalid, match=r"must end in \.yaml"):
        RouteFile(Path("routes.pb"), NAME)
