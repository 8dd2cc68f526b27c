"""ops/bench: the product and its references on one server, in turn, in rounds; medians, ratios.

A round runs every workload once, so that whatever the machine does meanwhile falls on all of them.
The references that post by SQL do so in a wallet of their own: the service would find its accounts
changed by somebody else, and that is another measurement.
The goals stand in GOALS; the exit status says whether all that were measured are reached."""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "api"))

from stage import Server, Stage  # noqa: E402
from support.databases import Databases  # noqa: E402

BATCH_SIZE = 200
TPCB_SCALE = 50

# name: (kind, connections, operations in a batch)
HTTP = {
    "transfer uniform 1": ("uniform", 1, 1),
    "transfer uniform 8": ("uniform", 8, 1),
    "transfer uniform 64": ("uniform", 64, 1),
    "transfer uniform 256": ("uniform", 256, 1),
    "transfer zipf 64": ("zipf", 64, 1),
    "transfer hot 64": ("hot", 64, 1),
    "batch 8": ("batch", 8, BATCH_SIZE),
    "balance 64": ("balance", 64, 1),
    "history 64": ("history", 64, 1),
    "mixed 1000": ("mixed", 1000, 20),
}
# name: (script or None for TPC-B, clients)
PGBENCH = {
    "pgbench TPC-B 8": (None, 8),
    "function 8": ("function.pgbench", 8),
    "function hot 8": ("function_hot.pgbench", 8),
    "statements 1": ("statements.pgbench", 1),
}

GROWTH = "transfer uniform 64"  # what is measured in a grown journal and beside it in an empty one

# what, numerator, denominator (None: the number itself), field, goal, whether more is better
GOALS = [
    ("transfers over HTTP / pgbench TPC-B",
     "transfer uniform 64", "pgbench TPC-B 8", "rate", 3.0, True),
    ("hot account / uniform", "transfer hot 64", "transfer uniform 64", "rate", 0.95, True),
    ("batch endpoint / pgbench TPC-B", "batch 8", "pgbench TPC-B 8", "rate", 4.0, True),
    ("journal grown by --grow / empty journal",
     f"grown: {GROWTH}", f"empty: {GROWTH}", "rate", 0.9, True),
    ("balance reads / transfers", "balance 64", "transfer uniform 64", "rate", 1.5, True),
    ("idle latency / the same statements",
     "transfer uniform 1", "statements 1", "p50_us", 1.5, False),
    ("MiB of wallet_api, 1,000 busy connections", "mixed 1000", None, "service_mib", 64, False),
]
# For the reader; not goals.
COMPARISONS = [
    ("transfers over HTTP / one function call per commit", "transfer uniform 64", "function 8"),
    ("hot account / the same by row locks", "transfer hot 64", "function hot 8"),
]


def run_wrk(stage, kind, connections, operations, seconds, tag):
    threads = "1" if connections < 256 else "2"
    stage.service.reset_memory_peak()
    run = subprocess.run(
        ["wrk", "-t", threads, "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s",
         "-s", str(HERE / "workload.lua"), f"http://127.0.0.1:{stage.service.port}", "--", kind,
         str(stage.accounts_file), str(stage.token_file), tag, str(operations)],
        capture_output=True, text=True, timeout=seconds + 60)
    lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
    if run.returncode != 0 or not lines:
        raise RuntimeError(f"wrk failed: {run.stdout}{run.stderr}")
    result = json.loads(lines[-1])
    if result["broken"] or result["refused"] > result["requests"] // 1000:
        raise RuntimeError(f"wrk {kind}: answers that should not be: {result}")
    result["rate"] = ((result["requests"] - result["refused"]) * 1e6 / result["duration_us"]
                      * (operations if kind == "batch" else 1))
    result["service_mib"] = stage.service.memory_peak_mib()
    return result


def run_pgbench(stage, script, clients, seconds):
    database = "tpcb" if script is None else stage.wallet.name
    command = ["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)),
               "-T", str(seconds), "-l"]
    if script is not None:
        command += ["-f", str(HERE / script), "-D", f"accounts={len(stage.accounts)}",
                    "-D", f"source={stage.accounts[0]}", "-D", f"target={stage.accounts[1]}",
                    "-D", f"owner={stage.owner}"]
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([*command, database], env=stage.server.client_environment(),
                             cwd=folder, capture_output=True, text=True, timeout=seconds + 60)
        if run.returncode != 0:
            raise RuntimeError(f"pgbench failed: {run.stdout}{run.stderr}")
        times = sorted(int(line.split()[2]) for path in Path(folder).glob("pgbench_log.*")
                       for line in path.read_text().splitlines())
    rate = next(float(line.split()[2]) for line in run.stdout.splitlines()
                if line.startswith("tps"))
    return {"rate": rate, "p50_us": times[len(times) // 2], "p99_us": times[len(times) * 99 // 100]}


def measure(plays, rounds, seconds, checkpoint=True):
    """Every play once a round; a play is (the stage, what it is called there, the workload)."""
    samples = {prefix + name: [] for _, prefix, name in plays}
    for number in range(rounds):
        if checkpoint:
            # The server goes on in WAL files that it had before, as one does that has been running
            # for a while; a new file stops everybody for the time that it is made.
            plays[0][0].wallet.execute("CHECKPOINT")
        for stage, prefix, name in plays:
            if name in HTTP:
                kind, connections, operations = HTTP[name]
                sample = run_wrk(stage, kind, connections, operations, seconds,
                                 f"b{int(time.time() * 1000)}")
            else:
                sample = run_pgbench(stage, *PGBENCH[name], seconds)
            samples[prefix + name].append(sample)
            print(f"round {number + 1}/{rounds}  {prefix + name:<32} {sample['rate']:>9.0f}/s  "
                  f"p50 {sample['p50_us'] / 1000:>8.2f} ms  p99 {sample['p99_us'] / 1000:>8.2f} ms",
                  file=sys.stderr, flush=True)
    return samples


def measure_growth(grown, empty, arguments):
    """The same load in a grown journal and in an empty one, in turn. The first round warms up both
    and does not count: it fills the caches, and it writes every page that the load changes whole
    into the WAL, as the first change after a checkpoint does, which otherwise comes every 15 min."""
    began = time.monotonic()
    grown.grow(arguments.grow)
    print(f"the journal was filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
    plays = [(empty, "empty: ", GROWTH), (grown, "grown: ", GROWTH)]
    measure(plays, 1, max(8, arguments.seconds))
    return measure(plays, arguments.rounds, arguments.seconds, checkpoint=False)


def middle(samples):
    """Medians of every workload; of memory the highest."""
    return {name: {field: (max if field == "service_mib" else statistics.median)(
        sample[field] for sample in runs) for field in runs[0]} for name, runs in samples.items()}


def ratios(results):
    rows = []
    for what, top, bottom, field, goal, more in GOALS:
        if top in results and (bottom is None or bottom in results):
            ratio = results[top][field] / (results[bottom][field] if bottom else 1)
            rows.append({"what": what, "ratio": ratio, "goal": goal, "more_is_better": more,
                         "reached": ratio >= goal if more else ratio <= goal})
    for what, top, bottom in COMPARISONS:
        if top in results and bottom in results:
            rows.append({"what": what, "ratio": results[top]["rate"] / results[bottom]["rate"]})
    return rows


def print_table(results, rows):
    print(f"\n{'workload':<34}{'per second':>11}{'p50 ms':>10}{'p99 ms':>10}{'MiB':>8}")
    for name, result in results.items():
        memory = f"{result['service_mib']:.1f}" if "service_mib" in result else ""
        print(f"{name:<34}{result['rate']:>11.0f}{result['p50_us'] / 1000:>10.2f}"
              f"{result['p99_us'] / 1000:>10.2f}{memory:>8}")
    print(f"\n{'ratio':<54}{'measured':>9}{'goal':>9}")
    for row in rows:
        goal = ""
        if "goal" in row:
            goal = ("≥ " if row["more_is_better"] else "≤ ") + f"{row['goal']:.2f}"
        verdict = "" if "reached" not in row else "   reached" if row["reached"] else "   MISSED"
        print(f"{row['what']:<54}{row['ratio']:>9.2f}{goal:>9}{verdict}")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="ops/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="of each workload in each round")
    parser.add_argument("--accounts", type=int, default=10000)
    parser.add_argument("--only", default="", help="workloads whose name contains one of these, "
                        "separated by commas")
    parser.add_argument("--grow", type=int, default=0, metavar="ENTRIES",
                        help="then fill the journal up to so many entries, and measure transfers "
                        "in it and in an empty one in turn")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of wallet_api, THREADS=2 for example")
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    parts = [part for part in arguments.only.split(",") if part]
    names = [name for name in [*PGBENCH, *HTTP]
             if not parts or any(part in name for part in parts)]
    settings = dict(one.split("=", 1) for one in arguments.set)
    with contextlib.ExitStack() as cleaning:
        server = Server()
        cleaning.callback(server.stop)
        databases = Databases(server)

        stages = []

        def make_stage():
            stages.append(Stage(server, databases, arguments.accounts, **settings))
            cleaning.callback(stages[-1].service.stop)
            return stages[-1]

        with server.connect("postgres") as connection:
            connection.execute("CREATE DATABASE tpcb")
        subprocess.run(["pgbench", "-i", "-q", "-s", str(TPCB_SCALE), "tpcb"], check=True,
                       env=server.client_environment(), capture_output=True)
        product = make_stage()
        reference = make_stage() if any(name in PGBENCH for name in names) else product
        samples = measure([(product if name in HTTP else reference, "", name) for name in names],
                          arguments.rounds, arguments.seconds)
        if arguments.grow:
            samples |= measure_growth(product, make_stage(), arguments)
        for stage in stages:
            stage.check_snapshots()
    results = middle(samples)
    rows = ratios(results)
    print_table(results, rows)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(
            {"machine": {"cores": os.cpu_count()}, "arguments": vars(arguments),
             "results": results, "ratios": rows, "samples": samples}, indent=2) + "\n")
    return 0 if all(row.get("reached", True) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
