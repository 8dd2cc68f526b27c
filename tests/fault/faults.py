"""The command line of ops/faults."""

import argparse
import json
import os
import shutil
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rig import campaign, checker, faults, world  # noqa: E402
from rig.report import Report  # noqa: E402
from support.databases import Database, Databases  # noqa: E402


def parse():
    parser = argparse.ArgumentParser(prog="ops/faults", add_help=False)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--kinds")
    parser.add_argument("--rate", type=int, default=campaign.Plan.rate)
    parser.add_argument("--clients", type=int, default=campaign.Plan.clients)
    parser.add_argument("--keep")
    parser.add_argument("--check")
    parser.add_argument("--mutant", nargs="+", default=[])
    parser.add_argument("--mutants", action="store_true")
    return parser.parse_args()


def plan_of(options):
    kinds = tuple(options.kinds.split(",")) if options.kinds else tuple(faults.PACK)
    unknown = set(kinds) - set(faults.PACK)
    if unknown:
        sys.exit(f"ops/faults: no such kind: {', '.join(sorted(unknown))}; "
                 f"there are {', '.join(faults.PACK)}")
    seconds = options.seconds or (options.minutes * 60 if options.minutes else 60.0)
    seed = faults.environment_seed() if options.seed is None else options.seed
    return campaign.Plan(seconds=seconds, seed=seed, kinds=kinds, rate=options.rate,
                         clients=options.clients, resolve_s=max(300.0, seconds / 3))


def run(options):
    plan = plan_of(options)
    if options.keep and os.path.exists(options.keep):
        sys.exit(f"ops/faults: {options.keep} exists already")
    print(f"ops/faults: seed {plan.seed}, {plan.seconds:.0f} s …", flush=True)
    folder = campaign.temporary_folder()
    cluster = world.FaultCluster()
    try:
        cluster.create()
        result = campaign.run(plan, cluster, Databases(cluster), folder)
        for line in campaign.summary(plan, result):
            print(line)
        report(result.report)
        if options.keep or result.report:
            keep(options.keep or f"{folder}.kept", cluster, folder)
    finally:
        cluster.stop()
        campaign.remove(folder)
    return 1 if result.report else 0


def report(found):
    for line in found.lines():
        print(line)
    if not found:
        print("no violation")


def keep(target, cluster, folder):
    shutil.copytree(folder, target)
    world.keep_cluster(cluster, target)
    print(f"kept in {target}; ops/faults --check {target} checks it again")


def check(folder):
    """A kept run once more."""
    with open(os.path.join(folder, "database.json"), encoding="utf-8") as file:
        name = json.load(file)["name"]
    cluster = world.KeptCluster(folder)
    found = Report()
    try:
        cluster.start()
        counts = checker.check_run(folder, Database(cluster, "wallet", name, {}), found)
    finally:
        cluster.stop()
    print(campaign.table(counts))
    report(found)
    return 1 if found else 0


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = parse()
    if options.check:
        return check(options.check)
    if options.mutants or options.mutant:
        from rig import mutants
        return mutants.run_all(options.mutant, options.seed)
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
