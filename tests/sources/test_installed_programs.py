"""Programs of the tests that are looked for in ``PATH``: which version will do."""

from pathlib import Path

import pytest

from hack.helm import program as helm
from hack.nats import program as nats
from hack.postgres import program as postgres
from hack.programs import GoModule, Installed, NoProgram
from hack.redis import program as redis

NATS, HELM, REDIS = nats._SERVER.installed, helm._HELM.installed, redis._SERVER
POSTGRES, POOLER = postgres._SERVER, postgres._POOLER
PRINTED = {
    "nats-server: v2.10.7": (NATS, True),
    "nats-server: v2.9.25": (NATS, False),
    "nats-server: v3.0.0": (NATS, True),
    "v3.14.0": (HELM, True),
    "v4.0.1": (HELM, True),
    "v3.9.4": (HELM, False),
    "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64": (REDIS, True),
    "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64": (REDIS, False),
    "postgres (PostgreSQL) 18.1 (Debian 18.1-1.pgdg13+2)": (POSTGRES, True),
    "postgres (PostgreSQL) 14.0": (POSTGRES, True),
    "postgres (PostgreSQL) 13.22": (POSTGRES, False),
    "PgBouncer 1.18.0": (POOLER, True),
    "PgBouncer 1.8.1": (POOLER, False),
    "command not understood": (NATS, False),
}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def install(env: dict[str, str], wanted: Installed, printed: str) -> Path:
    """Put a program there that prints this if it is asked for its version as it wants to be."""
    program = Path(env["PATH"]) / wanted.name
    asked = " ".join(wanted.asked)
    program.write_text(f"#!/bin/sh\n[ \"$*\" = '{asked}' ] && echo '{printed}'\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("printed", PRINTED)
def test_an_installed_program_is_taken_if_it_is_new_enough(env, printed):
    wanted, taken = PRINTED[printed]
    program = install(env, wanted, printed)
    assert wanted.located(env) == (program if taken else None)


def test_a_program_that_is_not_there_is_none(env):
    assert NATS.located(env) is None


@pytest.mark.parametrize("module", [nats._SERVER, helm._HELM], ids=lambda module: module.name)
def test_an_old_program_is_built_instead_which_needs_go(env, module: GoModule):
    install(env, module.installed, "v1.0.0")
    with pytest.raises(NoProgram, match=f"no {module.installed.wanted} in PATH, and no go"):
        module.located(env)


def test_an_old_redis_says_how_to_install_another_one(env):
    install(env, REDIS, "Redis server v=6.0.16")
    with pytest.raises(NoProgram, match=r"no redis-server >= 7 in PATH: install one"):
        redis.located(env)


def test_postgresql_is_found_where_debian_keeps_it_too(env, tmp_path):
    (tmp_path / "15").mkdir()
    elsewhere = install({"PATH": str(tmp_path / "15")}, POSTGRES, "postgres (PostgreSQL) 15.18")
    assert postgres.located(POSTGRES, env, [elsewhere.parent]) == elsewhere
    with pytest.raises(NoProgram, match=r"no postgres >= 14 in PATH: install one"):
        postgres.located(POSTGRES, env, [])
