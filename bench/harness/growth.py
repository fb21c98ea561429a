"""How cost grows: the same queries with more rows, and with more tenants beside."""

from statistics import median

from . import servers
from .load import Load
from .queries import World, queries

READS = ["Q1", "Q2", "Q3", "Q4", "Q5"]
# Each a hundredth, a tenth and the whole of the bench's rows.
SCALES = [0.01, 0.1, 1.0]
TENANTS = [1, 10, 1_000]
# What the other tenants have.
SMALL = ["--partners=2", "--leads=20", "--invoices=10", "--members=4"]
PORT = 8100


def add_tenants(database, name, portal, count, each):
    """Small tenants beside the one that is asked about, until there are so many."""
    here = int(database.sql(name, "SELECT count(*) FROM tenants")[0][0])

    def add(number):
        slug = f"beside-{number}"
        portal("tenant", "add", slug, "--name", slug, "--tenant-issuer", f"https://{slug}.example", "--currency", "USD")
        portal("seed", "--tenant", slug, f"--seed={number}", *SMALL)

    each(add, range(here, count))
    database.sql(name, "VACUUM ANALYZE")


def measure(database, binary, keys, folder, tenant, seconds, turns, names):
    """For each size of `names` the median time of each query in milliseconds, one client at a time. All sizes are asked in turn, so that what
    the machine does meanwhile befalls them alike; the growth of each turn is told too."""
    running, loads = {}, {}
    try:
        for place, (size, name) in enumerate(names.items()):
            world = World(database, name, tenant, keys)
            running[size] = servers.portal(binary, database, name, keys, folder, port=PORT + place)
            running[size].wait(world.operator)
            loads[size] = [Load(queries()[read], running[size], world, folder) for read in READS]
        first, last = min(names), max(names)
        found = [{"size": size, "times": {}} for size in names]
        for place, read in enumerate(READS):
            for size in names:
                loads[size][place].turn(database.process.pid, 1, 2)
            seen = {size: [] for size in names}
            for number in range(turns):
                for size in names if number % 2 == 0 else reversed(names):
                    seen[size].append(loads[size][place].turn(database.process.pid, 1, seconds).p50)
            for one in found:
                one["times"][read] = median(seen[one["size"]])
            growth = [most / least for least, most in zip(seen[first], seen[last])]
            found[-1].setdefault("growth", {})[read] = median(growth)
            found[-1].setdefault("turns", {})[read] = growth
            print(f"{read}: {seen}", flush=True)
        return found
    finally:
        for server in running.values():
            server.stop()
