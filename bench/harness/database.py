"""PostgreSQL for the bench: a cluster of its own with default durability, filled once by `partner-portal seed` and kept."""

import csv
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

# Beyond PostgreSQL's own defaults, for both servers alike. Durability (fsync, synchronous_commit, full_page_writes) is untouched.
SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "200",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "log_destination": "csvlog",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "bench",
    "log_rotation_size": "0",
    "log_rotation_age": "0",
}


def programs():
    """The folder of PostgreSQL's programs."""
    candidates = [os.environ.get("PG_BIN_DIR"), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)]
    if found := shutil.which("initdb"):
        candidates.insert(1, str(Path(found).parent))
    for folder in filter(None, candidates):
        if Path(folder, "initdb").exists() and Path(folder, "pgbench").exists():
            return Path(folder)
    raise SystemExit("PostgreSQL's programs (initdb, postgres, pgbench) are not found: install it, or set PG_BIN_DIR")


class Database:
    """A running cluster."""

    def __init__(self, folder):
        self.folder = folder / "postgres"
        self.bin = programs()
        # PostgreSQL refuses to run as root.
        self.user = None if os.geteuid() else ("postgres" if _exists("postgres") else "nobody")
        self.process = None

    def start(self):
        """Starts it; makes it first where it is not there."""
        if not (self.folder / "PG_VERSION").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True, mode=0o700)
            if self.user:
                shutil.chown(self.folder, self.user)
            self._run("initdb", "-D", self.folder, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
        arguments = [f"-c{name}={value.strip(chr(39))}" for name, value in SETTINGS.items()]
        arguments += [f"-cunix_socket_directories={self.folder}"]
        with open(self.folder.parent / "postgres.log", "w", encoding="utf8") as log:
            self.process = subprocess.Popen([self.bin / "postgres", "-D", self.folder, *arguments], user=self.user, stderr=log, start_new_session=True)
        for _ in range(600):
            if self.process.poll() is not None:
                break
            ready = subprocess.run([self.bin / "pg_isready", "-q", "-h", self.folder], check=False).returncode == 0
            if ready and self._is_ours():
                self._log_statements("none")
                return self
            time.sleep(0.1)
        raise SystemExit(f"PostgreSQL did not start, or one runs there already: see {self.folder.parent / 'postgres.log'}")

    def _is_ours(self):
        """Whether it is the cluster that was started here that runs in the folder, and not that of another run."""
        try:
            return int((self.folder / "postmaster.pid").read_text().split("\n", 1)[0]) == self.process.pid
        except (OSError, ValueError):
            return False

    def stop(self):
        """Stops it, with everything written."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(300)

    def url(self, name, options=""):
        """How tokio-postgres and libpq reach a database."""
        return f"host={self.folder} user=postgres dbname={name}" + (f" options='{options}'" if options else "")

    def sql(self, name, text):
        """Runs SQL as the owner; rows as lists of texts."""
        command = [self.bin / "psql", "-h", self.folder, "-U", "postgres", "-d", name, "-qAtX", "-v", "ON_ERROR_STOP=1", "--csv", "-f", "-"]
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"SQL failed: {done.stderr}")
        return list(csv.reader(done.stdout.splitlines()))

    def exists(self, name):
        """Whether there is such a database."""
        return bool(self.sql("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{name}'"))

    def statements(self, name, work):
        """What the database was asked while `work` ran: for each execution its process, text and values."""
        log = self.folder / "log" / "bench.csv"
        self._log_statements("all")
        begin = log.stat().st_size
        try:
            work()
            time.sleep(0.3)
        finally:
            self._log_statements("none")
        with open(log, newline="", encoding="utf8") as file:
            file.seek(begin)
            return [
                (row[3], row[13].split(": ", 1)[1], row[14])
                for row in csv.reader(file)
                if row[2] == name and row[13].startswith(("execute ", "statement: "))
            ]

    def _log_statements(self, which):
        self.sql("postgres", f"ALTER SYSTEM SET log_statement = '{which}'")
        self.sql("postgres", "SELECT pg_reload_conf()")
        time.sleep(0.3)

    def _run(self, program, *arguments):
        subprocess.run([self.bin / program, *arguments], user=self.user, stdout=subprocess.DEVNULL, check=True)


def _exists(user):
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False
