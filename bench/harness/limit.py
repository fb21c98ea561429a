"""The limit: pgbench with the very statements that our server runs, their values included, and nothing around them.

For reads alone: a change that is replayed is another change (ids are taken, a status is what it is), and would be no limit.
"""

import os
import re
import subprocess

# How many requests are recorded. Each becomes a script; pgbench takes one of them at random each time.
RECORDED = 24
# Our server has eight connections. Where fewer or more do better, that is the limit.
CLIENTS = [4, 8, 16]


def scripts(query, load, database, name, folder):
    """Records what PostgreSQL is asked for some requests, and writes it down as pgbench's scripts."""
    count = min(RECORDED, len(load.requests))
    for place in range(count):
        load.answer(place)  # Every caller is known by now.
    types = {}
    made = []
    for place in range(count):
        seen = database.statements(name, lambda place=place: load.answer(place))
        # The server's listener for changes asks too, on a connection of its own.
        asking = {process for process, text, _ in seen if "portal_caller" in text or "caller_versions" in text}
        if len(asking) != 1:
            raise SystemExit(f"{query.name}: {len(asking)} requests were seen in place of one")
        seen = [(_text(text), detail) for process, text, detail in seen if process in asking]
        for text, detail in seen:
            if text not in types and "$1" in text:
                types[text] = _types(database, name, text, _values(detail))
        made.append(_script(query, seen, types, folder, len(made)))
    return made


def _text(logged):
    return " ".join(logged.split())


def _values(detail):
    return dict(re.findall(r"(\$\d+) = ('(?:[^']|'')*'|NULL)", detail))


def _types(database, name, text, values):
    """Of what types a statement's values are: pgbench sends texts, and leaves it to PostgreSQL to guess."""
    # Of an array alone PostgreSQL cannot tell what of; ours are of ids.
    known = ["uuid[]" if value.startswith("'{") else "unknown" for value in values.values()]
    prepared = f"PREPARE asked ({', '.join(known)}) AS {text}"
    asked = f"{prepared}; SELECT unnest(parameter_types)::text FROM pg_prepared_statements WHERE name = 'asked'"
    return [row[0] for row in database.sql(name, asked)]


def _script(query, seen, types, folder, number):
    """One script. What is sent together is a pipeline. With our server a transaction's end goes with the next one's start; pgbench wants it in
    the script, so there it goes with the last statements: the round trips are as many."""
    texts = [text for text, _ in seen]
    # A relation that no row has is not asked for.
    *groups, last = query.round_trips
    last -= sum(query.round_trips) + 1 - len(seen)
    if texts[-1] != "COMMIT" or not 0 <= last <= query.round_trips[-1]:
        listed = "\n".join(f"{place}: {text[:110]}" for place, text in enumerate(texts, 1))
        raise SystemExit(f"{query.name}: {len(seen)} statements, and not {query.round_trips} and COMMIT:\n{listed}")
    lines, variables = [], {}
    rest = iter(seen)
    groups += [last] if last else []
    groups[-1] += 1
    for group in groups:
        lines.append("\\startpipeline")
        for _ in range(group):
            text, detail = next(rest)
            lines.append(_statement(text, _values(detail), types.get(text, []), variables, f"s{number}_{len(lines)}"))
        lines.append("\\endpipeline")
    path = folder / f"{query.name}.{number}.sql"
    path.write_text("\n".join(lines) + "\n")
    return path, variables


def _statement(text, values, types, variables, prefix):
    """A statement with a variable for each value."""

    def named(match):
        value, kind = values[match[0]], types[int(match[0][1:]) - 1]
        if value == "NULL":
            return f"NULL::{kind}"
        name = f"{prefix}_{match[0][1:]}"
        variables[name] = value[1:-1].replace("''", "'")
        return f":{name}::{kind}"

    return re.sub(r"\$\d+", named, text) + ";"


def run(database, name, made, clients, seconds):
    """Transactions per second over so many connections."""
    command = [database.bin / "pgbench", "-h", database.folder, "-U", "postgres", "-n", "-M", "prepared", "-T", str(seconds + 1), "-P", "1"]
    command += ["-c", str(clients), "-j", str(max(1, min(clients, os.cpu_count() // 2)))]
    for path, variables in made:
        for variable, value in variables.items():
            command += ["-D", f"{variable}={value}"]
        command += ["-f", path]
    environment = {"PGOPTIONS": "-c role=portal_app -c plan_cache_mode=force_generic_plan -c timezone=UTC -c statement_timeout=10000"}
    done = subprocess.run([*command, name], capture_output=True, text=True, check=False, env=environment)
    # In the first second it connects and plans.
    found = [float(tps) for tps in re.findall(r"^progress: [\d.]+ s, ([\d.]+) tps", done.stderr, re.MULTILINE)][1:]
    if not found or done.returncode:
        raise SystemExit(f"pgbench: {done.stderr[-2000:]}")
    return sum(found) / len(found)


def best_clients(database, name, made, connections):
    """With how many connections pgbench does most: no more than ask our server, unless it is one alone."""
    if connections < min(CLIENTS):
        return connections
    return max((clients for clients in CLIENTS if clients <= connections), key=lambda clients: run(database, name, made, clients, 2))
