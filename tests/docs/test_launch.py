"""The links that need the public address are absent until it is known, and no other link leads nowhere."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
ADDRESS = "https://github.com/someone/some-name"
PLACEHOLDER = re.compile(
    r"\bOWNER\b|\bexample\.(com|org)\b|(github|gitlab)\.com/(owner|user|username|your[-\w]*)/|/TODO\b"
)
MARKDOWN_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def launch(load_docs):
    return load_docs("launch")


def test_the_readme_has_what_launch_writes(launch):
    assert launch.BEGIN in README
    assert launch.with_links(README, (ROOT / "CITATION.cff").read_text()) == README, "run `python docs/launch.py`"


def test_no_link_is_a_placeholder(launch):
    for path, text in launch.texts():
        assert not PLACEHOLDER.search(text), f"{path.name}: {PLACEHOLDER.search(text)}"
    assert PLACEHOLDER.search("https://github.com/OWNER/transformer-manifolds")


def test_one_command_writes_the_address_and_can_change_it(launch, tmp_path, monkeypatch):
    for name in ("CITATION.cff", "README.md"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    for address in ("https://github.com/first/name", f"{ADDRESS}.git"):
        assert launch.main([address]) == 0
    citation, readme = ((tmp_path / name).read_text() for name in ("CITATION.cff", "README.md"))
    assert launch.read_address(citation) == ADDRESS and citation.count("repository-code") == 1
    assert launch.section(ADDRESS) in readme and "first/name" not in readme
    with pytest.raises(ValueError, match="wanted one of a repository"):
        launch.main(["someone/some-name"])


def test_the_moving_picture_leads_to_the_site_once_it_has_an_address(launch, tmp_path, monkeypatch):
    for name in ("CITATION.cff", "README.md"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    film = "](data/pictures/live.gif)]({})"
    for arguments, target in (
        ([ADDRESS], launch.WALK),
        ([ADDRESS, "https://someone.github.io/some-name"], "https://someone.github.io/some-name/"),
        ([], "https://someone.github.io/some-name/"),
    ):
        assert launch.main(arguments) == 0
        assert film.format(target) in (tmp_path / "README.md").read_text()
    with pytest.raises(ValueError, match="wanted the address of the built site"):
        launch.main([ADDRESS, "the site"])


def test_without_an_address_on_github_there_are_no_badges(launch):
    for address in (None, "https://gitlab.com/someone/some-name"):
        assert launch.section(address) == f"{launch.BEGIN}\n{launch.END}"


def test_each_notebook_has_a_link_to_both_services(launch):
    links = re.findall(r"\]\((https://(?:mybinder|colab)\S+)\)", launch.section(ADDRESS))
    assert len(links) == 2 * len(NOTEBOOKS)
    for binder, colab, name in zip(links[::2], links[1::2], NOTEBOOKS, strict=True):
        assert urlsplit(binder).path == "/v2/gh/someone/some-name/main"
        assert urlsplit(binder).query == f"urlpath=lab/tree/notebooks/{name}"
        assert urlsplit(colab).path == f"/github/someone/some-name/blob/main/notebooks/{name}"


def test_colab_is_told_to_install_what_a_clone_gives(launch):
    clone, install = re.search(r"```\n(.*?)```", launch.section(ADDRESS), re.DOTALL)[1].splitlines()
    assert clone == f"!git clone --depth 1 {ADDRESS}"
    assert install.endswith("--editable ./some-name")


def test_links_inside_the_project_lead_to_a_file_and_to_a_heading(launch):
    """The site's own pages are checked in test_site; this is for those who read the files themselves."""
    documents = dict(launch.texts())
    count = 0
    for path, text in documents.items():
        for link in map(urlsplit, MARKDOWN_LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))):
            if link.scheme or path.suffix not in (".md", ".ipynb"):
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            assert target.exists() and target.is_relative_to(ROOT), f"{path.name}: {link.geturl()}"
            if link.fragment and target.suffix == ".md":
                headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
                places = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert link.fragment in places, f"{path.name}: {link.geturl()}"
            count += 1
    assert count > 50


def test_external_links_are_found_and_bad_ones_are_reported(launch, monkeypatch, capsys):
    """Nothing is fetched here; ``python docs/launch.py --check`` does."""
    links = launch.external_links()
    assert "README.md" in links["https://arxiv.org/abs/2410.06019"]
    bad = "https://arxiv.org/abs/2209.02535"
    monkeypatch.setattr(launch, "find_problem", lambda link: "status 404" if link == bad else None)
    assert launch.main(["--check"]) == 1
    report = capsys.readouterr().out.splitlines()
    assert (
        report[0].startswith(f"{bad}: status 404 (in ")
        and report[-1] == f"{len(links)} external links, 1 do not answer"
    )


def test_binder_finds_environment_yml_and_takes_the_project_with_it():
    """Binder looks into a folder of its own first; a local path or constraints make it copy the project beforehand."""
    assert not (ROOT / "binder").exists() and not (ROOT / ".binder").exists()
    assert "- --constraint constraints.txt" in (ROOT / "environment.yml").read_text()


def test_badges_are_our_own():
    for name in ("binder", "colab"):
        drawing = (ROOT / "data" / "pictures" / f"{name}.svg").read_text()
        assert f"<title>open in {name.title()}</title>" in drawing
        assert not re.search(r"href|<image|<script|url\(|@import", drawing)
