import shutil
import subprocess

import pytest

from tests.sweeps.project import Project


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def cluster():
    """Fails where no SLURM answers: `make test-slurm` starts one."""
    asked = shutil.which("squeue") and subprocess.run(["squeue"], capture_output=True, text=True)
    if not asked or asked.returncode:
        pytest.fail("no SLURM answers here; run `make test-slurm`, or start one: launchers/one_node_slurm.sh start")
