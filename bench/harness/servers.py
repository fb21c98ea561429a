"""The servers that are compared, and the tokens that both believe."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ISSUER = "https://bench.example"
BENCH = Path(__file__).resolve().parent.parent
UNLIMITED = "1000000000"
# Of PostGraphile.
PROCESSES = 2


class Keys:
    """An issuer's RSA key pair."""

    def __init__(self, folder):
        self.private = folder / "issuer.pem"
        if not self.private.exists():
            subprocess.run(["openssl", "genrsa", "-out", self.private, "2048"], check=True, capture_output=True)
        public = subprocess.run(["openssl", "rsa", "-in", self.private, "-pubout"], check=True, capture_output=True, text=True)
        self.public = public.stdout

    def token(self, subject, ours=None, theirs=None):
        """A session token good for a day: `ours` are claims that the portal reads, `theirs` what PostGraphile is told."""
        now = int(time.time())
        claims = {"v": 2, "iss": ISSUER, "sub": subject, "sid": f"sess_{subject}", "iat": now, "exp": now + 86_400}
        claims |= (ours or {}) | {"postgraphile": theirs}
        parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
        text = ".".join(parts)
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.private], input=text.encode(), capture_output=True, check=True)
        return f"{text}.{_base64(signed.stdout)}"


def _base64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Server:
    """A process that answers GraphQL over HTTP."""

    def __init__(self, name, command, environment, port, folder):
        self.name, self.port = name, port
        self.url = f"http://127.0.0.1:{port}/graphql"
        self.log = folder / f"{name}.{port}.log"
        self.started = time.perf_counter()
        with open(self.log, "w", encoding="utf8") as log:
            inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
            self.process = subprocess.Popen(command, env=inherited | environment, stdout=log, stderr=log, start_new_session=True)

    def ask(self, token, query, variables=None):
        """Runs an operation; what it answers, or an exception."""
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        headers = {"content-type": "application/json", "accept": "application/json", "authorization": f"Bearer {token}"}
        with urllib.request.urlopen(urllib.request.Request(self.url, body, headers), timeout=60) as response:
            answer = json.load(response)
        if "errors" in answer:
            raise SystemExit(f"{self.name}: {answer['errors']}")
        return answer["data"]

    def wait(self, token):
        """Waits for its first answer, and gives the seconds since it was started."""
        for _ in range(30_000):
            if self.process.poll() is not None:
                break
            try:
                self.ask(token, "{ __typename }")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.001)
                continue
            seconds = time.perf_counter() - self.started
            # Whoever else listens there would have answered too.
            if self.process.poll() is None:
                return seconds
        raise SystemExit(f"{self.name} did not start: see {self.log}")

    def pause(self):
        """Stands still while others are measured: what it does by itself would be charged to them."""
        # What ends soon after a request, has.
        time.sleep(0.4)
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self):
        """Goes on. One that is gone is found out by whoever asks it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self):
        """Ends it."""
        self.resume()
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
                return


def portal(binary, database, name, keys, folder, port=8090, **settings):
    """Our server, as in production: configured issuer, default limits but for the callers' budgets, no log of each operation."""
    environment = {
        "DATABASE_URL": database.url(name),
        "PORTAL_LISTEN": f"127.0.0.1:{port}",
        "PORTAL_ENCRYPTION_KEYS": encryption_key(folder),
        "PORTAL_LOG": "warn",
        "CLERK_ISSUER": ISSUER,
        "CLERK_JWT_KEY": keys.public,
        "PORTAL_USER_RATE": UNLIMITED,
        "PORTAL_USER_BURST": UNLIMITED,
        "PORTAL_TENANT_RATE": UNLIMITED,
        "PORTAL_TENANT_BURST": UNLIMITED,
    }
    return Server("portal", [binary, "serve"], environment | settings, port, folder)


def encryption_key(folder):
    """The key that seals the made-up partners' numbers."""
    path = folder / "encryption-key"
    if not path.exists():
        path.write_text("1:" + base64.b64encode(os.urandom(32)).decode())
    return path.read_text()


def postgraphile(database, name, keys, folder, pool=8, plans="force_generic_plan", port=8091, processes=PROCESSES):
    """PostGraphile, with the packages of `bench/postgraphile/package-lock.json`; `pool` connections in all its processes."""
    here = BENCH / "postgraphile"
    if _installed() != postgraphile_version():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=here, check=True)
    environment = {
        "DATABASE_URL": f"postgres:///{name}?host={database.folder}&user=postgres",
        "PORT": str(port),
        "POOL": str(pool // processes),
        "PROCESSES": str(processes),
        "PLANS": plans,
        "JWT_KEY": keys.public,
        "NODE_ENV": "production",
        "GRAPHILE_ENV": "production",
    }
    return Server("postgraphile", [_node(here), here / "server.mjs"], environment, port, folder)


def postgraphile_version():
    """The one that is fixed."""
    lock = json.loads((BENCH / "postgraphile" / "package-lock.json").read_text())
    return lock["packages"]["node_modules/postgraphile"]["version"]


def _installed():
    """The version that is there, if there is one."""
    package = BENCH / "postgraphile" / "node_modules" / "postgraphile" / "package.json"
    return json.loads(package.read_text())["version"] if package.exists() else None


def node_version():
    """Which Node.js PostGraphile runs on."""
    found = subprocess.run([_node(BENCH / "postgraphile"), "--version"], capture_output=True, text=True, check=True)
    return found.stdout.strip().lstrip("v")


def _node(here):
    """Node.js 22 or later: the one among the packages, or else the machine's own."""
    for package in sorted(here.glob("node_modules/node-linux-*/bin/node")):
        return package
    if found := shutil.which("node"):
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
        if int(version.lstrip("v").split(".")[0]) >= 22:
            return found
    raise SystemExit("PostGraphile 5 needs Node.js 22 or later")
