"""Rules for the whole project: imports run one way, one list of dependencies, nothing unsafe, true documents."""

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = sorted((ROOT / "helpers").rglob("*.py"))

PACKAGES = sorted(
    path.stem
    for path in (ROOT / "helpers").iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").is_file()) and not path.stem.startswith("__init")
)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def package_name(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower()


def test_imports_run_one_way():
    """The contracts stand in pyproject.toml; import-linter says which import breaks one."""
    linter = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    checked = subprocess.run([*linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_readme_explains_every_package():
    section = (ROOT / "README.md").read_text().split("## How it is built")[1]
    explained = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert explained == set(PACKAGES)


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_modules_are_small(path):
    assert len(path.read_text().splitlines()) <= 350


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_nothing_unpickles_or_runs_code_of_a_model(path):
    text = path.read_text()
    assert not imports(path) & {"pickle", "dill", "joblib", "cloudpickle"}
    assert "torch.load" not in text
    assert "trust_remote_code=True" not in text


def test_widgets_fetch_nothing():
    for file in (ROOT / "helpers" / "widgets").iterdir():
        if file.suffix in (".js", ".css"):
            assert not re.search(r"https?://|//cdn|@import|import\(", file.read_text()), file.name


def test_widgets_need_nothing_that_only_jupyterlab_has():
    """VS Code and Colab, where no test of ours runs, give anywidget's model and element and no more."""
    for file in (ROOT / "helpers" / "widgets").iterdir():
        if file.suffix == ".js":
            assert not re.search(r"jupyterapp|jupyterlab|lumino|require\(", file.read_text(), re.IGNORECASE), file.name
        if file.suffix == ".css":
            without_fallback = re.findall(r"var\(--jp-[\w-]+\)", file.read_text())
            assert not without_fallback, f"{file.name}: {without_fallback} has no fallback"


def test_weights_are_safetensors_only():
    suffixes = {file.suffix for file in (ROOT / "data").rglob("*") if file.is_file()}
    assert not suffixes & {".bin", ".pt", ".pth", ".pkl", ".ckpt", ".npy"}


def test_torch_is_pinned_and_transformers_to_a_minor_version():
    listed = PROJECT["project"]["dependencies"]
    assert any(re.fullmatch(r"torch==\d+\.\d+\.\d+", entry) for entry in listed)
    assert any(re.fullmatch(r"transformers>=(\d+)\.(\d+),<\1\.\d+", entry) for entry in listed)


def test_constraints_cover_every_dependency_at_an_allowed_version():
    from packaging.requirements import Requirement

    pinned = dict(
        line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    for entry in PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["dev"]:
        wanted = Requirement(entry)
        assert wanted.specifier.contains(pinned[package_name(entry)]), entry
    assert "http" not in re.sub(r"^http\S+==", "", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)


def test_environment_yml_installs_the_project_itself_and_lists_nothing_else():
    text = (ROOT / "environment.yml").read_text()
    entries = re.findall(r"^\s+- (.+)$", text, re.MULTILINE)
    names = {entry for entry in entries if entry not in ("conda-forge", "nodefaults", "pip:")}
    assert names == {"python=3.11", "pip", "--constraint constraints.txt", "--editable .[dev]"}
    lowest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert f"python={lowest}" in names, "environment.yml gives the lowest Python that the project promises"


def dry_run(command: str) -> str:
    """Return what a command of make would do."""
    made = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_the_container_and_binder_install_what_the_makefile_installs():
    """The container's own steps are those of make; Binder, which has no make, is given the same list."""
    text = (ROOT / "Containerfile").read_text()
    assert "pip install" not in text
    (setup,) = re.findall(r"^RUN (make .+)$", text, re.MULTILINE)
    assert setup == "make install voila"
    for requirement in ("--constraint constraints.txt", "--editable .[dev]"):
        assert requirement in (ROOT / "environment.yml").read_text()
    for extras in ("dev", "dev,voila"):
        assert f'--constraint constraints.txt --editable ".[{extras}]"' in (ROOT / "Makefile").read_text()
    (started,) = re.findall(r"^CMD (\[.+\])$", text, re.MULTILINE)
    assert re.search(
        r"jupyter lab .*--ip=0\.0\.0\.0 --no-browser notebooks/01_", dry_run(shlex.join(json.loads(started)))
    )


def test_the_container_leaves_out_what_git_ignores():
    left_out = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "build", "runs", "site"} <= set(left_out)


def test_ci_runs_the_readmes_test_command_and_nothing_else():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["make test"]
    assert "make test" in (ROOT / "README.md").read_text()


def test_readme_names_every_notebook():
    text = (ROOT / "README.md").read_text()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert notebook.name in text, notebook.name


def test_readme_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target


@pytest.mark.parametrize("name", ["teaching_plan", "glossary"])
def test_documents_link_to_what_is_there(name):
    text = (ROOT / "docs" / f"{name}.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / "docs" / target).exists(), target


def test_the_glossary_names_code_that_is_there():
    code = "\n".join(path.read_text() for path in SOURCES)
    rows = [line.split(" | ") for line in (ROOT / "docs" / "glossary.md").read_text().splitlines() if " | " in line]
    named = {name for row in rows[2:] for name in re.findall(r"([A-Za-z_]\w+)(?=\(|`)", row[-1])}
    assert len(named) > 25
    assert not [name for name in named if not re.search(rf"\b{name}\b", code)]


def test_readme_shows_every_picture_of_a_widget_and_says_what_is_on_it():
    shown = {name: alt for alt, name in re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", (ROOT / "README.md").read_text())}
    for picture in (ROOT / "data" / "pictures").iterdir():
        assert picture.stat().st_size <= (300_000 if picture.suffix == ".gif" else 60_000), picture.name
    for view in ("plane_walker", "class_walker", "sentence_walker", "parameter_browser"):
        assert len(shown[f"data/pictures/{view}.png"]) > 60


def test_the_readme_opens_with_a_picture_that_moves_and_comes_to_rest():
    text = (ROOT / "README.md").read_text()
    (name,) = re.findall(r"\]\((data/pictures/\w+\.gif)\)", text)
    assert text.index(name) < text.index("\n## ")
    with Image.open(ROOT / name) as film:
        assert film.n_frames >= 30 and film.info["loop"] == 2  # shown three times in all
        first = film.convert("RGB")
        film.seek(film.n_frames - 1)
        assert film.convert("RGB").tobytes() != first.tobytes() and film.info["duration"] >= 3000


def test_every_bundled_model_has_a_card():
    cards = (ROOT / "data" / "README.md").read_text()
    for folder in (ROOT / "data" / "models").iterdir():
        assert f"## {folder.name}" in cards


def test_the_readmes_figures_are_those_of_the_benchmarks():
    measured = "".join(file.read_text() for file in (ROOT / "tests" / "benchmarks").glob("*.md"))
    section = (ROOT / "README.md").read_text().split("## How fast")[1].split("\n## ")[0]
    figures = re.findall(r"\*\*(.+?)\*\*", section)
    assert len(figures) >= 6
    for figure in figures:
        assert figure in measured, figure


def test_citation_names_both_papers():
    text = (ROOT / "CITATION.cff").read_text()
    assert "arXiv:2410.06019" in text
    assert "arXiv:2209.02535" in text


def test_the_readmes_snippets_about_own_models_run():
    section = (ROOT / "README.md").read_text().split("## Use your own model")[1].split("\n## ")[0]
    names: dict[str, object] = {}
    for snippet in re.findall(r"```python\n(.*?)```", section, re.S):
        exec(snippet, names)
    path, model = names["path"], names["model"]
    assert path.drift.max() <= 1e-4 and path.curve_drift.max() <= 1e-3
    assert len(model.tokens(model.decode(names["f"].complete(path.at(2.5))))) == len(names["x"])
