"""Makes Superset's database: tables, built-in roles and one administrator.

As ``superset db upgrade``, ``init`` and ``fab create-admin`` do, in one process:
``database.py NAME``; the password is ``NAME-secret``.
"""

import sys

from superset.app import create_app

with create_app().app_context():
    from flask_migrate import upgrade
    from superset.extensions import appbuilder, security_manager

    upgrade()
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    name = sys.argv[1]
    role = security_manager.find_role("Admin")
    assert security_manager.add_user(
        name, name, "Example", f"{name}@example.org", role, password=f"{name}-secret"
    )
