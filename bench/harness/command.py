"""The command line."""

import argparse
import functools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import growth, pressure, report, servers
from .compare import compare, tune
from .database import Database
from .queries import World, queries

ROOT = servers.BENCH.parent
TENANT = "bench"
# Of each kind of rows in the whole, `seed` makes this much at a time, several at once: each with partners of its own.
PARTS = 10
# Invoices make commissions, some of them a refund too; so do the leads that convert. Lists of partners are to be full at every scale.
LEAST_PARTNERS = 100
# Fewer say nothing of how far they differ.
LEAST_TURNS = 3
WHOLE = {"partners": 1_000, "leads": 200_000, "invoices": 407_000, "members": 80_000}


def number_list(text):
    """Numbers separated by commas."""
    return [int(part) for part in text.split(",")]


def arguments(words=None):
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures the portal against PostGraphile and against pgbench.")
    parser.add_argument("--parts", default="compare,growth,memory,pressure,start", help="which, separated by commas (all)")
    parser.add_argument("--folder", type=Path, default=ROOT / "target" / "bench", help="where the database is kept (target/bench)")
    parser.add_argument("--binary", type=Path, help="our server; built in release mode where it is not given")
    parser.add_argument("--queries", default="Q1,Q2,Q3,Q4,Q5,M1,M2,M3", help="which, separated by commas")
    parser.add_argument("--connections", type=number_list, default=[1, 8, 32, 64], help="how many clients at once (1,8,32,64)")
    parser.add_argument("--seconds", type=int, default=8, help="of each turn (8)")
    parser.add_argument("--turns", type=int, default=3, help="of each server, taken alternately; medians are shown (3)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the data: 1 is 1,000 partners and 200,000 leads")
    parser.add_argument("--no-peer", action="store_true", help="without PostGraphile")
    parser.add_argument("--no-limit", action="store_true", help="without pgbench")
    parser.add_argument("--no-report", action="store_true", help="leaves RESULTS.md as it is")
    parser.add_argument("--out", type=Path, help="writes all figures there as JSON")
    asked = parser.parse_args(words)
    if asked.seconds < 2:
        parser.error("--seconds: a turn has at least 2, for pgbench's first is left out")
    for given, known in ((asked.queries, queries()), (asked.parts, PARTS_BY_NAME)):
        for one in given.split(","):
            if one not in known:
                parser.error(f"{one} is none of {', '.join(known)}")
    return asked


def built(binary):
    """Our server's release build."""
    if binary:
        return binary.resolve()
    subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
    return ROOT / "target" / "release" / "partner-portal"


def command_line(database, name, binary, folder):
    """Our command line, on that database. What is lost in a crash is made again."""
    environment = os.environ | {
        "DATABASE_URL": database.url(name, "-c synchronous_commit=off"),
        "PORTAL_ENCRYPTION_KEYS": servers.encryption_key(folder),
        "PORTAL_LOG": "warn",
    }

    def portal(*command):
        subprocess.run([binary, *command], env=environment, check=True, stdout=subprocess.DEVNULL)

    return portal


def fill(database, name, binary, folder, scale):
    """Makes the data, unless it is there."""
    if database.exists(name):
        # By an older version, perhaps.
        return command_line(database, name, binary, folder)("migrate")
    # One that was not finished is of no use.
    database.sql("postgres", f'DROP DATABASE IF EXISTS "{name}_filling"')
    database.sql("postgres", f'CREATE DATABASE "{name}_filling"')
    portal = command_line(database, f"{name}_filling", binary, folder)
    portal("migrate")
    portal("tenant", "add", TENANT, "--name", "Bench", "--tenant-issuer", servers.ISSUER, "--currency", "USD")

    def part(seed):
        least = {"partners": LEAST_PARTNERS}
        amounts = [f"--{what}={max(least.get(what, 0), round(many * scale)) // PARTS}" for what, many in WHOLE.items()]
        portal("seed", "--tenant", TENANT, "--monthly-payouts", f"--seed={seed}", *amounts)

    print(f"Filling {name}: this takes a while, once.", flush=True)
    each(part, range(11, 11 + PARTS))
    database.sql(f"{name}_filling", "VACUUM ANALYZE")
    database.sql("postgres", f'ALTER DATABASE "{name}_filling" RENAME TO "{name}"')


def each(work, items):
    """Does the work of all items, as many at once as there are processors. After a failure nothing more is begun."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            list(pool.map(work, items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def counts(database, name):
    """How many rows there are."""
    tables = ("partners", "partner_leads", "partner_commission_events", "partner_payouts", "credit_allocations")
    return {table: int(database.sql(name, f"SELECT count(*) FROM {table}")[0][0]) for table in tables}


def main():
    """Runs what was asked for, and writes it down."""
    asked = arguments()
    # So that whatever was started is ended, also where the terminal is closed, or the run is one in the background.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    # Subscriptions by the thousand, at both of their ends.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for needed in ("wrk", "openssl", "npm"):
        if not shutil.which(needed):
            raise SystemExit(f"{needed} is not found: see bench/README.md")
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    binary = built(asked.binary)
    keys = servers.Keys(folder)
    database = Database(folder).start()
    try:
        name = database_of(asked.scale)
        fill(database, name, binary, folder, asked.scale)
        found = {"counts": counts(database, name)}
        if is_whole(asked):
            found["machine"] = report.machine(database, asked)
        print(found["counts"], flush=True)
        for part in asked.parts.split(","):
            found |= PARTS_BY_NAME[part](asked, database, name, binary, keys, folder)
            # What has been found so far is not lost with what comes.
            (asked.out or folder / "found.json").write_text(json.dumps(found, indent=1))
        if is_whole(asked):
            report.write(found)
        else:
            print("That was a part: RESULTS.md is left as it is.")
    finally:
        database.stop()


def is_whole(asked):
    """Whether it is a run whose results are worth keeping."""
    whole = arguments([])
    given = ("parts", "binary", "queries", "connections", "scale", "no_peer", "no_limit")
    return not asked.no_report and asked.turns >= LEAST_TURNS and all(getattr(asked, name) == getattr(whole, name) for name in given)


def database_of(scale):
    """The name of the database of that size."""
    return f"bench_{scale:g}".replace(".", "_")


def run_compare(asked, database, name, binary, keys, folder):
    """Both servers, and pgbench."""
    # Of a copy: what is changed must not be there for what is measured next, or the next time.
    kept, name = name, f"{name}_compared"
    database.sql("postgres", f'DROP DATABASE IF EXISTS "{name}"')
    database.sql("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{kept}" STRATEGY FILE_COPY')
    database.sql(name, (servers.BENCH / "postgraphile" / "functions.sql").read_text())
    database.sql("postgres", "CHECKPOINT")
    world = World(database, name, TENANT, keys)
    running = []
    try:
        running.append(servers.portal(binary, database, name, keys, folder))
        running[0].wait(world.operator)
        found = {}
        if not asked.no_peer:
            start = functools.partial(servers.postgraphile, database, name, keys, folder)
            running[0].pause()
            best, found["tuned"] = tune(start, world, database, folder, asked.seconds)
            running[0].resume()
            running.append(start(best["pool"], best["plans"]))
            running[1].wait(world.operator)
        rows = []
        for query in map(queries().get, asked.queries.split(",")):
            limits = not asked.no_limit
            rows += compare(query, running, world, database, name, asked.connections, asked.seconds, asked.turns, folder, limits)
        return found | {"compared": rows}
    finally:
        for server in running:
            server.stop()
        database.sql("postgres", f'DROP DATABASE IF EXISTS "{name}"')


def run_growth(asked, database, name, binary, keys, folder):
    """The same queries with more rows, and with more tenants beside."""
    names = []
    for scale in growth.SCALES:
        scale *= asked.scale
        names.append(database_of(scale))
        fill(database, names[-1], binary, folder, scale)
    counted = [int(database.sql(other, "SELECT count(*) FROM partner_leads")[0][0]) for other in names]
    measure = functools.partial(growth.measure, database, binary, keys, folder, TENANT, asked.seconds, asked.turns)
    rows = measure(dict(zip(counted, names)))
    before, shared = names[0], {}
    for count in growth.TENANTS:
        shared[count] = f"{names[0]}_of_{count}"
        if database.exists(shared[count]):
            command_line(database, shared[count], binary, folder)("migrate")
        else:
            filling = f"{shared[count]}_filling"
            database.sql("postgres", f'DROP DATABASE IF EXISTS "{filling}"')
            database.sql("postgres", f'CREATE DATABASE "{filling}" TEMPLATE "{before}"')
            growth.add_tenants(database, filling, command_line(database, filling, binary, folder), count, each)
            database.sql("postgres", f'ALTER DATABASE "{filling}" RENAME TO "{shared[count]}"')
        before = shared[count]
    return {"rows": rows, "tenants": measure(shared)}


def run_memory(asked, database, name, binary, keys, folder):
    """Memory at rest, for a subscription, for a request."""
    world = World(database, name, TENANT, keys)
    return {"memory": pressure.memory(database, name, binary, keys, world, folder)}


def run_pressure(asked, database, name, binary, keys, folder):
    """More load than can be served."""
    world = World(database, name, TENANT, keys)
    return {"pressure": pressure.overload(database, name, binary, keys, world, folder, asked.seconds, asked.turns)}


def run_start(asked, database, name, binary, keys, folder):
    """From the start of the program to its first answer."""
    world = World(database, name, TENANT, keys)
    return {"start": pressure.start_up(database, name, binary, keys, world, folder)}


PARTS_BY_NAME = {"compare": run_compare, "growth": run_growth, "memory": run_memory, "pressure": run_pressure, "start": run_start}
