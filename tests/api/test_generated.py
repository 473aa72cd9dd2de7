"""The committed CRDs are what the models say, and the command writes exactly them."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from licenseusage.api import crd

COMMITTED = Path(__file__).resolve().parents[2] / "crds"


def test_committed_files_are_the_generated_ones() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in COMMITTED.iterdir()}
    assert committed == crd.files(), "run: licenseusage crds --output crds"


def test_kustomization_lists_every_crd() -> None:
    kustomization = yaml.safe_load(crd.files()["kustomization.yaml"])
    assert kustomization["resources"] == sorted(f"{crd.file_stem(kind)}.yaml" for kind in crd.KINDS)


def test_manifest_is_one_stream_of_all() -> None:
    names = [one["metadata"]["name"] for one in yaml.safe_load_all(crd.manifest())]
    assert names == [crd.file_stem(kind) for kind in crd.KINDS]


def test_command_prints_the_manifest() -> None:
    from licenseusage.cli.crds import app

    done = CliRunner().invoke(app, [])
    assert (done.exit_code, done.output) == (0, crd.manifest())


def test_command_writes_the_folder(tmp_path: Path) -> None:
    from licenseusage.cli.crds import app

    folder = tmp_path / "new"
    done = CliRunner().invoke(app, ["--output", str(folder)])
    assert done.exit_code == 0
    assert {path.name: path.read_text("utf-8") for path in folder.iterdir()} == crd.files()


def test_command_refuses_a_file(tmp_path: Path) -> None:
    from licenseusage.cli.crds import app

    file = tmp_path / "file"
    file.touch()
    done = CliRunner().invoke(app, ["--output", str(file)])
    assert done.exit_code == 2


@pytest.mark.parametrize("kind", crd.KINDS, ids=lambda kind: kind.name)
def test_default_columns_are_few(kind: crd.Kind) -> None:
    assert len([column for column in kind.columns if not column.wide]) <= 7
