"""A small Superset on loopback with SQLite; its fixture gives folder and key by the environment."""

import os

SECRET_KEY = os.environ["SUPERSET_KEY"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{os.environ['SUPERSET_HOME']}/superset.db"
FAB_ADD_SECURITY_API = True
# Without these the sign-in form needs a browser that has read its page, and a proxy with TLS.
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
