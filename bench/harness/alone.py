"""A portal with a PostgreSQL of its own in a fresh folder, for what is measured beside no other server."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def folder(name):
    """A folder that is removed at the end."""
    made = Path(tempfile.mkdtemp(prefix=f"portal-{name}-"))
    # PostgreSQL runs as another user where this is root.
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


class Portal:
    """The server, started with the demo data."""

    def __init__(self, program, data, address, settings=None):
        self.environment = {**os.environ, "PORTAL_DATA_DIR": str(data), "PORTAL_LOG": "warn", **(settings or {})}
        self.program, self.address, self.data = program, address, Path(data)
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program, "serve", "--listen", self.address], env=self.environment, stdout=subprocess.DEVNULL)
        until(lambda: urllib.request.urlopen(f"http://{self.address}/readyz", timeout=1).status == 200)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def token(self, role="partner"):
        return subprocess.check_output([self.program, "token", "--role", role], env=self.environment, text=True).strip()

    def ask(self, query, token):
        """What an operation answers; it must have no errors."""
        request = urllib.request.Request(f"http://{self.address}/graphql", json.dumps({"query": query}).encode(),
            {"content-type": "application/json", "authorization": f"Bearer {token}"})
        answer = json.load(urllib.request.urlopen(request, timeout=60))
        assert "errors" not in answer, answer
        return answer["data"]

    def sql(self, text):
        """Runs SQL as PostgreSQL's superuser, by a connection of its own; gives the lines of the answer."""
        socket = self.data / "postgres/run"
        done = subprocess.run(["psql", "-h", socket, "-U", "postgres", "-d", "portal", "-qAtX", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            input=text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


def until(holds, limit=120):
    """Waits until something holds."""
    end = time.monotonic() + limit
    while True:
        try:
            if holds():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(0.1)
