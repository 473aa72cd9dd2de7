"""A small JupyterHub on loopback: real hub, real proxy, users who need no password.

Its fixture gives ports, tokens and the proxy's program by environment variables.
"""

import os

c = get_config()  # noqa: F821 - JupyterHub's own
c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['HUB_PUBLIC_PORT']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{os.environ['HUB_PORT']}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['HUB_PROXY_API_PORT']}"
c.ConfigurableHTTPProxy.command = [os.environ["HUB_PROXY"]]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.services = [
    {"name": "license-meter", "api_token": os.environ["HUB_METER_TOKEN"]},
    {"name": "gauge-meter", "api_token": os.environ["HUB_GAUGE_TOKEN"]},
    {"name": "test", "api_token": os.environ["HUB_TEST_TOKEN"]},
]
c.JupyterHub.load_roles = [
    {
        "name": "license-meter",
        "scopes": ["list:users", "read:users:activity"],
        "services": ["license-meter"],
    },
    {"name": "gauge-meter", "scopes": ["read:metrics"], "services": ["gauge-meter"]},
    {"name": "test", "scopes": ["admin:users", "tokens"], "services": ["test"]},
]
c.PeriodicMetricsCollector.active_users_update_interval = 1  # the default is an hour
c.JupyterHub.db_url = f"sqlite:///{os.environ['HUB_FOLDER']}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{os.environ['HUB_FOLDER']}/cookie_secret"
c.ConfigurableHTTPProxy.pid_file = f"{os.environ['HUB_FOLDER']}/proxy.pid"
