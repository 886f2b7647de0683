"""New virtual environments, and the switch that allows tests to make them."""

import os
import subprocess
import sys

import pytest


def pytest_collection_modifyitems(items):
    skip = pytest.mark.skip(reason="downloads PyTorch and takes minutes; run it by `make fresh`")
    for item in items:
        if item.path.parent.name == "fresh" and not os.environ.get("FRESH_INSTALL"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def make_environment():
    """Make a virtual environment: make(folder, cwd) -> run(*arguments), which returns what its Python printed."""

    def make(folder, cwd):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        prefixes = ("PYTHON", "JUPYTER", "IPYTHON")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}

        def run(*arguments):
            command = [str(python), *map(str, arguments)]
            result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
            assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
            return result.stdout.strip()

        return run

    return make
