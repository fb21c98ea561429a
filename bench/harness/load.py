"""Loads a server and accounts for what that took: time as the clients saw it, processor time by process, memory."""

import math
import os
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .queries import body
from .servers import BENCH

TICKS = os.sysconf("SC_CLK_TCK")


def _processes():
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            fields = text[text.rindex(")") + 2 :].split()
            # With the time of children that have ended, so that it does not vanish.
            found[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])) / TICKS)
    return found


def tree(root, processes=None):
    """A process and all below it."""
    processes = processes or _processes()
    found = [root]
    for pid in found:
        found += [child for child, (parent, _) in processes.items() if parent == pid]
    return found


def processor_seconds(root):
    """Processor time of a process and all below it."""
    processes = _processes()
    return sum(processes[pid][1] for pid in tree(root, processes) if pid in processes)


def resident(root):
    """Memory of a process and all below it, in MiB: what would be free without them (proportional set size)."""
    total = 0
    for pid in tree(root):
        try:
            total += int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[1])
        except (OSError, TypeError):
            continue
    return total / 1024


def machine_busy():
    """Processor time that the whole machine has spent on anything."""
    fields = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
    return (sum(fields) - fields[3] - fields[4]) / TICKS


@dataclass
class Turn:
    """What one turn of load was like. What was accepted and what was refused are each for a second."""

    per_second: float
    p50: float
    p99: float
    server_us: float
    postgres_us: float
    refused: float
    wrong: int
    noise: float
    generator: float
    memory: float
    position: int


def run_up(pause):
    """Seconds until all clients that pause for so many milliseconds, about, have begun; and what is lost of the clock's whole seconds."""
    return math.ceil(1.5 * pause / 1_000) + 3 if pause else 0


def turn(server, postgres, file, start, connections, seconds, pause=0):
    """Sends the file's requests over so many connections for so long; each waits for so many milliseconds, about, before it sends. Where
    they wait, answers are counted for so long once all have begun; times, those of processors too, are of the whole turn."""
    seconds += run_up(pause)
    began, children = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    own, theirs, busy = processor_seconds(server.process.pid), processor_seconds(postgres), machine_busy()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", BENCH / "post.lua", server.url]
    out, memory = _watched([*command, "--", file, str(start), str(pause)], server.process.pid)
    own, theirs, busy = processor_seconds(server.process.pid) - own, processor_seconds(postgres) - theirs, machine_busy() - busy
    elapsed, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    wrk = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    found = re.search(r"^RESULT .*$", out, re.MULTILINE)
    if not found:
        raise SystemExit(f"wrk gave no result:\n{out}")
    for line in re.findall(r"^WRONG .*$", out, re.MULTILINE):
        print(f"  {server.name}: {line}", flush=True)
    said = {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", found[0])}
    if not said["seconds"]:
        raise SystemExit(f"nothing was answered while all clients were there:\n{out}")
    accepted = max(said["requests"] - said["refused"] - said["wrong"], 1)
    return Turn(
        per_second=accepted / said["seconds"],
        p50=said["p50"],
        p99=said["p99"],
        server_us=own / accepted * 1e6,
        postgres_us=theirs / accepted * 1e6,
        refused=said["refused"] / said["seconds"],
        wrong=int(said["wrong"] + said["failed"]),
        noise=max(0.0, busy - own - theirs - wrk) / elapsed / os.cpu_count() * 100,
        generator=wrk / elapsed * 100,
        memory=memory,
        position=int(said["position"]),
    )


def _watched(command, pid):
    """What a command prints, and the most memory that a server took meanwhile, in MiB."""
    most = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        while True:
            try:
                return process.communicate(timeout=0.5)[0], max(most, resident(pid))
            except subprocess.TimeoutExpired:
                most = max(most, resident(pid))


class Load:
    """One operation's requests to one server, ready to be sent."""

    def __init__(self, query, server, world, folder):
        self.query, self.server, self.start, self.world = query, server, 0, world
        self.file = folder / f"{query.name}.{server.port}.requests"
        self.requests = list(world.requests(query, server))
        with open(self.file, "w", encoding="utf8") as file:
            for token, variables in self.requests:
                file.write(f"{token}\t{body(query, server, variables)}\n")

    def turn(self, postgres, connections, seconds, pause=0):
        """Goes on sending where the last turn stopped."""
        done = turn(self.server, postgres, self.file, self.start, connections, seconds, pause)
        if self.query.writes:
            if self.query.name == "M3" and done.position < self.start:
                raise SystemExit("M3 has no invoices left: what came last was told again, not booked")
            self.start = done.position
        return done

    def settle(self):
        """Waits until all changes have been told of."""
        for _ in range(300):
            if self.world.sql("SELECT EXISTS (SELECT FROM events WHERE place IS NULL)") == [["f"]]:
                return
            time.sleep(0.1)
        raise SystemExit("the portal does not tell of the changes that were made")

    def answer(self, place):
        """What the request in that place is answered."""
        token, variables = self.requests[place]
        return self.server.ask(token, self.query.text[self.server.name], variables)
