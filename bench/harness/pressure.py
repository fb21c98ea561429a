"""More load than can be served, start-up, and memory."""

import json
import socket
import time
from statistics import median

from . import servers
from .load import Load, resident
from .queries import queries

# What counts as twice the load that saturates: so many connections keep all of the pool busy and as many again waiting.
SATURATING = 64
OVERLOADED = 512


def overload(database, name, binary, keys, world, folder, seconds, turns):
    """Throughput, tail and refusals at the load that saturates, and at far more than the places among operations under way."""
    places = str(2 * SATURATING)
    server = servers.portal(binary, database, name, keys, folder, PORTAL_MAX_IN_FLIGHT=places)
    try:
        server.wait(world.operator)
        load = Load(queries()["Q1"], server, world, folder)
        load.turn(database.process.pid, SATURATING, 2)
        rows = []
        for connections in (8, 32, SATURATING, 2 * SATURATING, OVERLOADED):
            seen = [load.turn(database.process.pid, connections, seconds) for _ in range(turns)]
            rows.append(
                {
                    "connections": connections,
                    "accepted": median(turn.per_second for turn in seen),
                    "p99": median(turn.p99 for turn in seen),
                    "refused": median(turn.refused for turn in seen) / seconds,
                    "wrong": sum(turn.wrong for turn in seen),
                    "memory": resident(server.process.pid),
                }
            )
        return {"places": int(places), "rows": rows}
    finally:
        server.stop()


def start_up(database, name, binary, keys, world, folder, times=9):
    """Seconds from the start of the program, on a database that is there, to its first answer."""
    seen = []
    for _ in range(times):
        server = servers.portal(binary, database, name, keys, folder)
        seen.append(server.wait(world.operator))
        server.stop()
    return median(seen)


def memory(database, name, binary, keys, world, folder, subscriptions=1_000):
    """Memory of the server at rest, for each subscription that is open, and for each request under way, in KiB."""
    unlimited = {"PORTAL_USER_SUBSCRIPTIONS": "100000", "PORTAL_USER_CONNECTIONS": "100000"}
    server = servers.portal(binary, database, name, keys, folder, **unlimited)
    try:
        server.wait(world.operator)
        load = Load(queries()["Q1"], server, world, folder)
        load.turn(database.process.pid, 8, 2)
        rest = resident(server.process.pid)
        open_ones = [_subscribe(server, world.operator) for _ in range(subscriptions)]
        time.sleep(1)
        with_subscriptions = resident(server.process.pid)
        for one in open_ones:
            one.close()
        time.sleep(1)
        before = resident(server.process.pid)
        load.turn(database.process.pid, 256, 4)
        after = resident(server.process.pid)
        return {
            "rest": rest,
            "subscription": (with_subscriptions - rest) * 1024 / subscriptions,
            "request": max(0.0, after - before) * 1024 / 256,
        }
    finally:
        server.stop()


def _subscribe(server, token):
    """Opens a subscription by server-sent events, and reads until it is open."""
    port = int(server.url.split(":")[2].split("/")[0])
    body = json.dumps({"query": "subscription { leadChanged { cursor } }"})
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        (
            f"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: text/event-stream\r\n"
            f"authorization: Bearer {token}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        ).encode()
    )
    answer = connection.recv(4096)
    if b" 200 " not in answer.split(b"\r\n", 1)[0]:
        raise SystemExit(f"a subscription was refused: {answer[:300]!r}")
    return connection
