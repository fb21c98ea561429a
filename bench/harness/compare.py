"""The comparison: both servers loaded in turn, again and again, and pgbench beside them."""

import math
import os
from statistics import median

from . import limit, servers
from .load import Load
from .queries import leaves, queries

# How many requests of a kind have their answers compared.
CHECKED = 40
# Seconds of load before anything counts: V8 compiles what it finds to be used much.
WARM_UP = 8
# What PostGraphile's set-up is chosen by, and among how many connections.
TUNED_BY = ["Q1", "Q2", "Q3", "M1"]
POOLS = [4, 8, 16]


def check_same(loads):
    """Both answer the same, and not with nothing: otherwise no figure counts. How many values an answer has."""
    ours, theirs = loads
    if ours.query.writes:
        return 0
    sizes = set()
    for place in range(0, len(ours.requests), max(1, len(ours.requests) // CHECKED)):
        one, other = leaves(ours.answer(place)), leaves(theirs.answer(place))
        if set(one) <= {"None"}:
            raise SystemExit(f"{ours.query.name}: request {place} is answered with nothing")
        if one != other:
            first = next((pair for pair in zip(one, other) if pair[0] != pair[1]), (len(one), len(other)))
            raise SystemExit(f"{ours.query.name}: the answers differ, request {place}: {first[0]!r} and {first[1]!r}")
        sizes.add(len(one))
    return round(sum(sizes) / len(sizes))


def middle(turns):
    """The median of each figure; what went wrong is summed up."""
    figures = {name: median(getattr(turn, name) for turn in turns) for name in vars(turns[0]) if name != "position"}
    figures["cores"] = median(turn.per_second * (turn.server_us + turn.postgres_us) / 1e6 for turn in turns)
    return figures | {"wrong": sum(turn.wrong for turn in turns), "spread": _spread([turn.per_second for turn in turns])}


def _spread(values):
    return (max(values) - min(values)) / max(median(values), 1e-9)


def compare(query, running, world, database, name, connections, seconds, turns, folder, with_limit=True):
    """One row for each number of connections."""
    loads = [Load(query, server, world, folder) for server in running if server.name in query.peers]
    size = check_same(loads) if len(loads) == 2 else 0
    if query.name == "M1":
        check_steps(loads, world)
    postgres = database.process.pid
    scripts = limit.scripts(query, loads[0], database, name, folder) if with_limit and not query.writes else None
    rows = []
    for server in running:
        server.pause()
    try:
        portal = running[0]
        for load in loads:
            _alone(load, portal, postgres, max(connections), WARM_UP)
        for count in connections:
            seen = {load.server.name: [] for load in loads}
            limits = []
            clients = limit.best_clients(database, name, scripts, count) if scripts else 0
            for number in range(turns):
                # Whoever goes first in one turn goes last in the next.
                for load in loads if number % 2 == 0 else reversed(loads):
                    seen[load.server.name].append(_alone(load, portal, postgres, count, seconds))
                if scripts:
                    limits.append(limit.run(database, name, scripts, clients, seconds))
            row = {"query": query.name, "title": query.title, "values": size, "connections": count, "turns": turns, "seconds": seconds}
            row["distinct"] = len(loads[0].requests)
            for load in loads:
                row[load.server.name] = middle(seen[load.server.name])
            ours = seen["portal"]
            if theirs := seen.get("postgraphile"):
                row["ratios"] = [a.per_second / b.per_second for a, b in zip(ours, theirs)]
                row["ratio"] = median(row["ratios"])
                row["p99_ratios"] = [a.p99 / b.p99 for a, b in zip(ours, theirs)]
                row["p99_ratio"] = median(row["p99_ratios"])
                row["cpu_ratio"] = median(_cpu(b) / _cpu(a) for a, b in zip(ours, theirs))
            if limits:
                row["limit"], row["clients"] = median(limits), clients
                row["of_limits"] = [a.per_second / b for a, b in zip(ours, limits)]
                row["of_limit"] = median(row["of_limits"])
            rows.append(row)
            print(line(row), flush=True)
            if any(row[load.server.name]["wrong"] for load in loads):
                print(f"{query.name}: some requests failed: their figures do not count", flush=True)
    finally:
        for server in running:
            server.resume()
    return rows


def _cpu(turn):
    return turn.server_us + turn.postgres_us


def _alone(load, portal, postgres, connections, seconds):
    """One turn of a server, while the others stand still."""
    if load.query.writes:
        # Changes are told of by the portal, also those that others have made: in nobody's turn.
        portal.resume()
        load.settle()
        portal.pause()
    load.server.resume()
    done = load.turn(postgres, connections, seconds)
    load.server.pause()
    return done


def check_steps(loads, world):
    """A lead's step is the same on both sides: its status, and one entry in its history. It goes there and back."""
    for load in loads:
        place = len(load.requests) // 2 - 1
        for there, before, after in ((place, "pending", "lost"), (len(load.requests) - 1, "lost", "pending")):
            lead = world.lead_of(load.requests[there][1], load.server)
            history = f"SELECT count(*) FROM lead_status_changes WHERE lead_id = '{lead}'"
            count = int(world.sql(history)[0][0])
            load.answer(there)
            entry = world.sql(
                f"""SELECT l.status, c.from_status, c.to_status, c.changed_by IS NOT NULL FROM partner_leads l
                    JOIN lead_status_changes c ON c.tenant_id = l.tenant_id AND c.lead_id = l.id
                    WHERE l.id = '{lead}' ORDER BY c.created_at DESC LIMIT 1"""
            )
            if entry != [[after, before, after, "t"]] or int(world.sql(history)[0][0]) != count + 1:
                raise SystemExit(f"M1: {load.server.name} made of a step from {before} to {after}: {entry}")


def tune(start, world, database, folder, seconds):
    """With how many connections, and which plans, PostGraphile does most: by the mean of the logarithms of what it does. In the processes that
    it is compared in; and for the reader, how it does in one for each processor."""
    found = []

    def attempt(pool, plans, processes):
        server = start(pool, plans, processes=processes)
        try:
            server.wait(world.operator)
            loads = [Load(queries()[query], server, world, folder) for query in TUNED_BY]
            for load in loads:
                load.turn(database.process.pid, 32, 3)
            done = [load.turn(database.process.pid, 32, seconds) for load in loads]
        finally:
            server.stop()
        tried = {"processes": processes, "pool": pool, "plans": plans, "memory": max(turn.memory for turn in done)}
        found.append(tried | {"per_second": {load.query.name: turn.per_second for load, turn in zip(loads, done)}})
        print(f"PostGraphile: {found[-1]}", flush=True)

    for plans in ("force_generic_plan", "auto"):
        for pool in POOLS:
            attempt(pool, plans, servers.PROCESSES)
    chosen = best(found)
    if os.cpu_count() > servers.PROCESSES:
        for pool in sorted({max(pool, os.cpu_count()) for pool in POOLS}):
            attempt(pool, chosen["plans"], os.cpu_count())
    return chosen, found


def best(found):
    """The one that does most in the processes that it is compared in, each query counting alike."""
    compared = [one for one in found if one["processes"] == servers.PROCESSES]
    return max(compared, key=lambda one: math.prod(one["per_second"].values()))


def line(row):
    """A row for the terminal."""

    def side(name):
        if name not in row:
            return "-" * 12
        turn = row[name]
        wrong = f" WRONG {turn['wrong']:.0f}" if turn["wrong"] else ""
        return (
            f"{turn['per_second']:7.0f}/s p50 {turn['p50']:7.2f} p99 {turn['p99']:7.2f} "
            f"CPU {turn['server_us']:5.0f}+{turn['postgres_us']:<5.0f} {turn['memory']:4.0f} MiB{wrong}"
        )

    text = f"{row['query']} {row['connections']:3} | {side('portal')} | {side('postgraphile')}"
    if "ratio" in row:
        text += f" | x{row['ratio']:.2f} p99 x{row['p99_ratio']:.2f}"
    if "limit" in row:
        text += f" | limit {row['limit']:.0f}/s, {row['of_limit']:.2f} of it"
    return text + f" | noise {row['portal']['noise']:.0f} %"
