"""JupyterHub's own proxy from npm, installed once per lock file into the user's cache."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_HERE = Path(__file__).parent
_FILES = ("package.json", "package-lock.json")


class ProxyMissing(Exception):
    """Node or npm is not there; the message says what to install."""


def configurable_http_proxy() -> Path:
    """Return the proxy's program, which is installed with ``npm ci`` if it is not in the cache.

    Raises:
        ProxyMissing: There is no ``node``, or nothing in the cache and no ``npm``.
        RuntimeError: ``npm ci`` failed; the message holds its last words.
    """
    if shutil.which("node") is None:
        raise ProxyMissing("JupyterHub's proxy needs Node.js 20 or later (https://nodejs.org)")
    locked = b"".join((_HERE / name).read_bytes() for name in _FILES)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "licenseusage"
    folder = cache / "jupyterhub-proxy" / hashlib.sha256(locked).hexdigest()[:16]
    program = folder / "node_modules" / ".bin" / "configurable-http-proxy"
    if program.exists():
        return program
    if shutil.which("npm") is None:
        raise ProxyMissing("JupyterHub's proxy is installed by npm, which is not on the PATH")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Installed beside and renamed: an interrupted npm leaves nothing that looks complete.
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        for name in _FILES:
            shutil.copy(_HERE / name, work)
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=work,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm ci of JupyterHub's proxy failed:\n{done.stderr[-2000:]}")
        Path(work).rename(folder)
        Path(work).mkdir()
    return program
