"""More load than can be served, start-up, and memory."""

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from . import servers
from .load import Load, resident, run_up
from .queries import body, queries

# Clients that ask again as soon as they are answered. The last of these are more than the places, and do so when they are refused, too.
STEPS = [8, 32, 64, 256, 512]
# Places, by default.
PLACES = 256
# Clients that ask at twice the rate that can be served, whatever they are answered.
PACED = 2_000
PROBES = 4


def overload(database, name, binary, keys, world, folder, seconds, turns):
    """Throughput, tail and refusals, up to more than can be served. wrk does not tell the times of what was accepted and what was refused
    apart, so a few clients more keep their own time."""
    server = servers.portal(binary, database, name, keys, folder, PORTAL_MAX_IN_FLIGHT=str(PLACES))
    try:
        server.wait(world.operator)
        load = Load(queries()["Q1"], server, world, folder)
        load.turn(database.process.pid, 64, 2)
        seen = {clients: [] for clients in [*STEPS, PACED]}
        # Each turn has all of them, back and forth: a machine that becomes slower or faster favours none.
        for number in range(2 * turns):
            for clients in [*STEPS, PACED][:: -1 if number % 2 else 1]:
                pause = round(PACED / (2 * _accepted(seen[_best(seen)])) * 1_000) if clients == PACED else 0
                seen[clients].append(_under(load, database, clients, pause, seconds))
        best = seen[_best(seen)]
        return {
            "places": PLACES,
            "probes": PROBES,
            "rows": [_middle(f"{PACED:,}, paced" if clients == PACED else f"{clients}", seen[clients]) for clients in seen],
            "kept": [paced["accepted"] / most["accepted"] for paced, most in zip(seen[PACED], best)],
            "offered": [(paced["accepted"] + paced["refused"]) / most["accepted"] for paced, most in zip(seen[PACED], best)],
        }
    finally:
        server.stop()


def _best(seen):
    """With how many clients most was accepted, of those that do not pause."""
    return max(STEPS, key=lambda clients: _accepted(seen[clients]))


def _accepted(turns):
    return median(one["accepted"] for one in turns)


def _under(load, database, clients, pause, seconds):
    """One turn of so many clients."""
    with ThreadPoolExecutor(PROBES) as pool:
        begin = time.monotonic() + run_up(pause)
        probes = [pool.submit(_probe, load, place, begin, begin + seconds) for place in range(PROBES)]
        turn = load.turn(database.process.pid, clients, seconds, pause)
        told = [one for probe in probes for one in probe.result()]
        lost = sum(status not in (200, 503) for status, _ in told)
    answered = [took for status, took in told if status == 200]
    return {
        # Those of the few clients more are accepted too.
        "accepted": turn.per_second + len(answered) / seconds,
        "refused": turn.refused,
        "answered_times": answered,
        "refused_times": [took for status, took in told if status == 503],
        "wrong": turn.wrong + lost,
        "memory": turn.memory,
        "generator": turn.generator,
    }


def _middle(name, seen):
    """What the turns of one number of clients come to."""
    accepted, refused, generator = (median(one[key] for one in seen) for key in ("accepted", "refused", "generator"))
    answered_times, refused_times = ([took for one in seen for took in one[key]] for key in ("answered_times", "refused_times"))
    row = {
        "clients": name,
        "offered": accepted + refused,
        "accepted": accepted,
        "p99": _percentile(answered_times, 99),
        "timed": len(answered_times),
        "refused": refused,
        "refused_p50": _percentile(refused_times, 50),
        "wrong": sum(one["wrong"] for one in seen),
        "memory": max(one["memory"] for one in seen),
        "generator": generator,
    }
    print(row, flush=True)
    return row


def _percentile(times, percent):
    """In milliseconds; none of none."""
    return sorted(times)[int(len(times) * percent / 100)] * 1_000 if times else None


def _probe(load, place, begin, end):
    """One client more, from then till then: the status of each answer and the seconds that it took; 0 where there was no good one."""
    seen = []
    connection = http.client.HTTPConnection("127.0.0.1", load.server.port, timeout=30)
    time.sleep(max(0.0, begin - time.monotonic()))
    while time.monotonic() < end:
        token, variables = load.requests[place % len(load.requests)]
        headers = {"content-type": "application/json", "accept": "application/json", "authorization": f"Bearer {token}"}
        asked = time.perf_counter()
        try:
            connection.request("POST", "/graphql", body(load.query, load.server, variables), headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            seen.append((0, time.perf_counter() - asked))
            continue
        is_good = answer.status == 503 or b'"errors":[' not in text
        seen.append((answer.status if is_good else 0, time.perf_counter() - asked))
        place += PROBES
        # So few more are no load of their own, also where they are refused at once.
        time.sleep(0.01)
    connection.close()
    return seen


def start_up(database, name, binary, keys, world, folder, times=9):
    """Seconds from the start of the program, on a database that is there, to its first answer."""
    seen = []
    for _ in range(times):
        server = servers.portal(binary, database, name, keys, folder)
        try:
            seen.append(server.wait(world.operator))
        finally:
            server.stop()
    return median(seen)


def memory(database, name, binary, keys, world, folder, times=3):
    """Memory of the server at rest in MiB, and for each subscription that is open and each request under way in KiB: of a new server each time."""
    rest, subscription = zip(*(_of_subscriptions(database, name, binary, keys, world, folder) for _ in range(times)))
    request = [_of_requests(database, name, binary, keys, world, folder) for _ in range(times)]
    return {"rest": sorted(rest), "subscription": sorted(subscription), "request": sorted(request)}


def _of_subscriptions(database, name, binary, keys, world, folder, subscriptions=1_000):
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
        return rest, (with_subscriptions - rest) * 1024 / subscriptions
    finally:
        server.stop()


def _of_requests(database, name, binary, keys, world, folder):
    server = servers.portal(binary, database, name, keys, folder, PORTAL_MAX_IN_FLIGHT=str(PLACES))
    try:
        server.wait(world.operator)
        load = Load(queries()["Q1"], server, world, folder)
        load.turn(database.process.pid, 8, 2)
        # Few under way, and as many as may be: the rest is the same.
        few = load.turn(database.process.pid, 8, 4).memory
        many = load.turn(database.process.pid, PLACES, 4).memory
        return (many - few) * 1024 / (PLACES - 8)
    finally:
        server.stop()


def _subscribe(server, token):
    """Opens a subscription by server-sent events, and reads until it is open."""
    text = json.dumps({"query": "subscription { leadChanged { cursor } }"})
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(
        (
            f"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: text/event-stream\r\n"
            f"authorization: Bearer {token}\r\ncontent-length: {len(text)}\r\n\r\n{text}"
        ).encode()
    )
    answer = connection.recv(4096)
    if b" 200 " not in answer.split(b"\r\n", 1)[0]:
        raise SystemExit(f"a subscription was refused: {answer[:300]!r}")
    return connection
