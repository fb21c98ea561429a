"""What was found, for people: `RESULTS.md` and its plot. Every figure comes from a run."""

import datetime
import math
import os
import platform
import re
import subprocess
from pathlib import Path
from statistics import median

from . import servers
from .compare import best

RESULTS = servers.BENCH / "RESULTS.md"
PLOT = servers.BENCH / "growth.svg"
# Times PostGraphile's throughput, at 8 connections and more.
GOALS = {"Q1": 2.5, "Q2": 1.8, "Q3": 3.5, "Q4": 3.5, "M1": 2.0}
P99_GOAL, MEMORY_GOAL, LIMIT_GOAL, GROWTH_GOAL, START_GOAL, KEPT_GOAL = 0.4, 0.08, 0.65, 1.5, 0.150, 0.9
# In percent of the one processor that the load generator can use: beyond it, it may be what holds a row back.
GENERATOR_BUSY = 70


def machine(database, asked):
    """Where and when it ran, and how."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) / 1024**2
    postgres = database.sql("postgres", "SHOW server_version")[0][0]
    node = servers.node_version()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=servers.BENCH, capture_output=True, text=True, check=False)
    return [
        ("date", datetime.date.today().isoformat()),
        ("commit", commit.stdout.strip()),
        ("machine", f"{processor[1] if processor else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}"),
        ("turns", f"{asked.turns} of {asked.seconds} s"),
        ("PostgreSQL", postgres),
        ("PostGraphile", f"{servers.postgraphile_version()} on Node.js {node}"),
    ]


def table(head, rows):
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def _compared(rows):
    head = ["", "conn.", "portal /s", "p50 ms", "p99 ms", "CPU µs", "cores", "MiB", "PostGraphile /s", "p50 ms", "p99 ms", "CPU µs", "cores", "MiB", "ratio", "by CPU", "p99", "ratios of the turns", "limit /s", "of it", "failed", "others"]

    def side(turn):
        if not turn:
            return ["", "", "", "", "", ""]
        return [f"{turn['per_second']:.0f}", f"{turn['p50']:.2f}", f"{turn['p99']:.2f}", f"{turn['server_us']:.0f} + {turn['postgres_us']:.0f}", f"{turn['cores']:.1f}", f"{turn['memory']:.0f}"]

    body = []
    for row in rows:
        ratio = f"**{row['ratio']:.2f}**" if "ratio" in row else ""
        limit = [f"{row['limit']:.0f}", f"{row['of_limit']:.2f}"] if "limit" in row else ["", ""]
        p99 = f"{row['p99_ratio']:.2f}" if "p99_ratio" in row else ""
        by_cpu = f"{row['cpu_ratio']:.2f}" if "cpu_ratio" in row else ""
        busy = "†" if max(row[name]["generator"] for name in ("portal", "postgraphile") if name in row) > GENERATOR_BUSY else ""
        ratios = f"{min(row['ratios']):.2f} to {max(row['ratios']):.2f}" if "ratios" in row else f"± {row['portal']['spread'] / 2:.0%}"
        failed = sum(row[name]["wrong"] for name in ("portal", "postgraphile") if name in row)
        body.append([row["query"], f"{row['connections']}{busy}", *side(row["portal"]), *side(row.get("postgraphile")), ratio, by_cpu, p99, ratios, *limit, f"**{failed}**" if failed else "0", f"{_others(row):.0f} %"])
    return table(head, body)


def _verdict(medians, lows, highs, goal, at_least):
    """Whether all of the medians reach the goal, and whether the turns leave a doubt of it. Of each: the lowest and the highest turn."""
    reaches = (lambda value: value >= goal) if at_least else (lambda value: value <= goal)
    worst = lows if at_least else highs
    best = highs if at_least else lows
    holds = all(map(reaches, medians))
    is_sure = all(map(reaches, worst)) if holds else not all(map(reaches, best))
    text = "yes" if holds else "**no**"
    return text if is_sure else f"{text} by the medians; the turns reach across"


def _judged(rows, medians, turns, goal, at_least):
    """The verdict on some rows, by the names of their figures; none where requests failed in one of them."""
    failed = sum(row[name]["wrong"] for row in rows for name in ("portal", "postgraphile") if name in row)
    if failed:
        return f"**not known**: {failed:.0f} requests failed"
    return _verdict([row[medians] for row in rows], [min(row[turns]) for row in rows], [max(row[turns]) for row in rows], goal, at_least)


def _goals(found):
    rows = []
    compared = found.get("compared", [])
    busy = [row for row in compared if row["connections"] >= 8]

    def among(rows, name):
        values = [row[name] for row in rows]
        return f"{min(values):.2f} to {max(values):.2f}"

    for query, goal in GOALS.items():
        seen = [row for row in busy if row["query"] == query and "ratio" in row]
        if seen:
            rows.append((f"{query}: times PostGraphile's throughput", f"≥ {goal}", among(seen, "ratio"), _judged(seen, "ratio", "ratios", goal, True)))
    tails = [row for row in compared if row["connections"] == 64 and "p99_ratio" in row]
    if tails:
        rows.append(("p99 at 64 connections, of PostGraphile's", f"≤ {P99_GOAL}", among(tails, "p99_ratio"), _judged(tails, "p99_ratio", "p99_ratios", P99_GOAL, False)))
    shares = [row["portal"]["memory"] / row["postgraphile"]["memory"] for row in compared if "postgraphile" in row]
    if shares:
        rows.append(("memory, of PostGraphile's", f"≤ {MEMORY_GOAL}", f"{min(shares):.3f} to {max(shares):.3f}", _verdict(shares, shares, shares, MEMORY_GOAL, False)))
    limits = [row for row in busy if "of_limit" in row]
    if limits:
        rows.append(("share of pgbench's limit, of what reads", f"≥ {LIMIT_GOAL}", among(limits, "of_limit"), _judged(limits, "of_limit", "of_limits", LIMIT_GOAL, True)))
    if "pressure" in found:
        kept, offered = found["pressure"]["kept"], median(found["pressure"]["offered"])
        seen = f"{median(kept):.2f} ({min(kept):.2f} to {max(kept):.2f}), {offered:.1f} times being offered"
        rows.append(("throughput with more than can be served, of the best", f"≥ {KEPT_GOAL}", seen, _verdict([median(kept)], [min(kept)], [max(kept)], KEPT_GOAL, True)))
    if "start" in found:
        rows.append(("start-up to the first answer", f"< {START_GOAL * 1000:.0f} ms", f"{found['start'] * 1000:.0f} ms", _verdict([found["start"]], [found["start"]], [found["start"]], START_GOAL, False)))
    for what, key in (("rows", "rows"), ("tenants", "tenants")):
        if key in found:
            growth, turns = found[key][-1]["growth"], found[key][-1]["turns"]
            worst = max(growth, key=growth.get)
            judged = _verdict(growth.values(), map(min, turns.values()), map(max, turns.values()), GROWTH_GOAL, False)
            rows.append((f"p50 from the fewest to the most {what}", f"≤ {GROWTH_GOAL}", f"{min(growth.values()):.2f} to {growth[worst]:.2f} ({worst})", judged))
    return table(["goal", "", "found", "holds"], rows)


def _others(row):
    return max(row[name]["noise"] for name in ("portal", "postgraphile") if name in row)


def _typical_spread(rows):
    spreads = [(max(row["ratios"]) - min(row["ratios"])) / row["ratio"] for row in rows if "ratios" in row]
    return median(spreads) if spreads else 0.0


def _growth(sizes, unit):
    queries = list(sizes[0]["times"])
    body = [[f"{size['size']:,}", *(f"{size['times'][query]:.2f}" for query in queries)] for size in sizes]
    last = sizes[-1]
    turns = last["turns"]
    body.append(["most to fewest, paired", *(f"{last['growth'][query]:.2f} ({min(turns[query]):.2f} to {max(turns[query]):.2f})" for query in queries)])
    return table([unit, *(f"{query} p50 ms" for query in queries)], body)


def _pressure(pressure):
    body = [
        [row["clients"], f"{row['offered']:.0f}", f"{row['accepted']:.0f}", _milliseconds(row["p99"]), row["timed"], f"{row['refused']:.0f}", _milliseconds(row["refused_p50"]), row["wrong"], f"{row['memory']:.0f}", f"{row['generator']:.0f} %"]
        for row in pressure["rows"]
    ]
    return table(["clients", "offered /s", "accepted /s", "p99 of the accepted, ms", "of", "refused /s", "p50 of the refused, ms", "failed", "MiB", "generator"], body)


def _milliseconds(value):
    return "" if value is None else f"{value:.1f}"


def write(found):
    """Writes `RESULTS.md`, and the plot where there is growth to show."""
    parts = ["# Results\n\nWritten by `bench/run`; do not edit. How to read it: [README.md](README.md).", table(["", ""], found["machine"])]
    if "counts" in found:
        parts.append(table(["rows of", ""], [(name, f"{count:,}") for name, count in found["counts"].items()]))
    parts.append("## Goals\n\n" + _goals(found))
    if "tuned" in found:
        chosen = best(found["tuned"])
        queries = list(chosen["per_second"])
        body = [
            [one["processes"], f"{'**' if one is chosen else ''}{one['pool']}{'**' if one is chosen else ''}", one["plans"], *(f"{one['per_second'][query]:.0f}" for query in queries), f"{one['memory']:.0f}"]
            for one in found["tuned"]
        ]
        parts.append(
            "## How PostGraphile is set up\n\nOne turn each at 32 connections, with so many database connections in all. It is compared in two processes, as the goals were set, with "
            "what did most in these (in bold); what it does in one process for each core is for the reader.\n\n" + table(["processes", "database connections", "plan_cache_mode", *(f"{query} /s" for query in queries), "MiB"], body)
        )
    if "compared" in found:
        turns = found["compared"][0]
        parts.append(
            f"## Side by side\n\nMedians of {turns['turns']} turns of {turns['seconds']} s each, the servers taking turns; ratios are paired within a turn. "
            f"CPU is server + PostgreSQL, for one request; *cores* is how many both kept busy, *by CPU* the ratio that remains where both may keep as many busy. The limit is pgbench with "
            f"the portal's own statements. Each client asks again as soon as it is answered, so that times follow throughput: neither server is asked at the other's rate.\n\n" + _compared(found["compared"])
        )
        parts.append(
            "Everything runs on one machine, the load generator too. *others* is how much of it was busy with something else, in the median of the turns; "
            "rows where that is more than a few percent say less. "
            f"Half of all rows have ratios that differ by {_typical_spread(found['compared']):.0%} or more from turn to turn: smaller differences are not resolved. † marks where the load generator used more than {GENERATOR_BUSY} % of its one thread's processor in the median of either "
            "server's turns: what it could not send is missing there. Different requests that take turns: " + ", ".join(f"{query} {count:,}" for query, count in {row["query"]: row["distinct"] for row in found["compared"]}.items()) + "."
        )
    if "rows" in found or "tenants" in found:
        parts.append("## How cost grows\n\nOne client at a time, all sizes in turn; the turns' ratios in brackets. `growth.svg` shows both.\n\n![growth](growth.svg)")
        parts += [_growth(found[key], unit) for key, unit in (("rows", "leads"), ("tenants", "tenants")) if key in found]
        PLOT.write_text(plot(found))
    if "memory" in found:
        memory = found["memory"]
        figures = (("at rest after a load", "rest", "MiB"), ("for each open subscription", "subscription", "KiB"), ("for each request under way", "request", "KiB"))
        rows = [(what, f"{median(memory[key]):.1f} {unit}", f"{memory[key][0]:.1f} to {memory[key][-1]:.1f}") for what, key, unit in figures]
        parts.append("## Memory\n\n" + table(["", "", "each time"], rows))
    if "pressure" in found:
        parts.append(f"## More than can be served\n\nQ1; {found['pressure']['places']} operations may be under way. The last clients pause so that they would ask at twice the rate that was served best if they were answered at once, and wait for their answers too; all others ask again as soon as they are answered, refused or not. What single answers took was measured by {found['pressure']['probes']} clients more. Each turn has all of them, back and forth; rows are medians of the turns, and the share of what most is accepted of is taken within a turn. *generator* is how much of one processor the clients took: what more of them take than the best had is missing to the server.\n\n" + _pressure(found["pressure"]))
    RESULTS.write_text("\n\n".join(parts) + "\n")


COLORS = ["#1b6ac9", "#c9541b", "#2a8f4f", "#8a4fc0", "#9a7d0a"]


def plot(found):
    """p50 by size, both axes logarithmic, as SVG."""
    panels = [(found[key], unit) for key, unit in (("rows", "leads"), ("tenants", "tenants")) if key in found]
    width, height, margin = 420, 300, 48
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * len(panels)}" height="{height}" font-family="sans-serif" font-size="11">']
    out.append(f'<rect width="{width * len(panels)}" height="{height}" fill="white"/>')
    values = [value for sizes, _ in panels for size in sizes for value in size["times"].values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    for number, (sizes, unit) in enumerate(panels):
        left, right, top, bottom = width * number + margin, width * (number + 1) - 70, 24, height - 40
        first, last = math.log10(sizes[0]["size"]), math.log10(sizes[-1]["size"])
        across = lambda size: left + (math.log10(size) - first) / max(last - first, 1e-9) * (right - left)
        up = lambda value: bottom - (math.log10(value) - low) / (high - low) * (bottom - top)
        out.append(f'<text x="{left}" y="14">p50 in ms by number of {unit}</text>')
        for power in range(low, high + 1):
            y = up(10**power)
            out.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/><text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
        for size in sizes:
            out.append(f'<text x="{across(size["size"]):.1f}" y="{bottom + 16}" text-anchor="middle">{size["size"]:,}</text>')
        labels = []
        for color, query in zip(COLORS, sizes[0]["times"]):
            points = [(across(size["size"]), up(size["times"][query])) for size in sizes]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            out.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
            out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points]
            labels.append([points[-1][1], query, color])
        labels.sort()
        for upper, lower in zip(labels, labels[1:]):
            lower[0] = max(lower[0], upper[0] + 13)
        out += [f'<text x="{right + 8}" y="{y + 4:.1f}" fill="{color}">{query}</text>' for y, query, color in labels]
    return "\n".join([*out, "</svg>"]) + "\n"
