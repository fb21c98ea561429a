"""How cost grows: the same queries with more rows, and with more tenants beside."""

import os
import subprocess

from . import servers
from .load import Load
from .queries import World, queries

READS = ["Q1", "Q2", "Q3", "Q4", "Q5"]
# Each a hundredth, a tenth and the whole of the bench's rows.
SCALES = [0.01, 0.1, 1.0]
TENANTS = [1, 10, 1_000]
# What the other tenants have.
SMALL = ["--partners=2", "--leads=20", "--invoices=10", "--members=4"]


def add_tenants(database, name, binary, folder, count, each):
    """Small tenants beside the one that is asked about, until there are so many."""
    environment = os.environ | {
        "DATABASE_URL": database.url(name, "-c synchronous_commit=off"),
        "PORTAL_ENCRYPTION_KEYS": servers.encryption_key(folder),
        "PORTAL_LOG": "warn",
    }
    here = int(database.sql(name, "SELECT count(*) FROM tenants")[0][0])

    def add(number):
        slug = f"beside-{number}"
        issuer = f"https://{slug}.example"
        quiet = {"env": environment, "check": True, "stdout": subprocess.DEVNULL}
        subprocess.run([binary, "tenant", "add", slug, "--name", slug, "--tenant-issuer", issuer, "--currency", "USD"], **quiet)
        subprocess.run([binary, "seed", "--tenant", slug, f"--seed={number}", *SMALL], **quiet)

    each(add, range(here, count))
    database.sql(name, "VACUUM ANALYZE")


def measure(database, name, binary, keys, folder, tenant, seconds, turns):
    """The median time of each query, one client at a time, in milliseconds."""
    world = World(database, name, tenant, keys)
    server = servers.portal(binary, database, name, keys, folder)
    try:
        server.wait(world.operator)
        loads = [Load(queries()[read], server, world, folder) for read in READS]
        found = {}
        for load in loads:
            load.turn(database.process.pid, 1, 1)
            times = sorted(load.turn(database.process.pid, 1, seconds).p50 for _ in range(turns))
            found[load.query.name] = times[len(times) // 2]
        return found
    finally:
        server.stop()
