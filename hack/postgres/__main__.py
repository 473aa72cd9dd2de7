"""``python -m hack.postgres``: look for PostgreSQL and PgBouncer for the tests."""

import sys

from hack.postgres.program import find, find_pooler
from hack.programs import prepare

if __name__ == "__main__":
    sys.exit(max(prepare("postgres", find), prepare("pgbouncer", find_pooler)))
