"""Planted defects: does the rig see them? Each is a patch in ../mutants that is applied to a copy
of the sources below build/mutants, never to the sources themselves.

A mutant runs under the faults that make its defect show, on a database without the guard that would
refuse it first; that the guard does refuse it is said in the table. A directed mutant is one that
needs a scene of its own: it is caught when that test fails.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

from support.databases import Databases
from support.settings import REPO

from rig import FOLDER, campaign, faults
from rig.world import FaultCluster

PATCHES = FOLDER / "mutants"
SCRATCH = REPO / "build" / "mutants"
LIMIT_S = 600

LOST = ("commit_reply", "commit_late", "cut", "terminate_all")
QUIET = ()
TROUBLE = {"money": 30, "batch": 10, "poison": 4, "moody": 6, "balance": 5, "history": 5}


@dataclass
class Mutant:
    kinds: tuple
    guards: tuple = ()
    only: dict = None
    test: str = None  # directed


MUTANTS = {
    "no_for_update": Mutant(QUIET, ("one entry per place", "all snapshots are moved")),
    "answer_before_commit": Mutant(("commit_request", "backend_kill", "commit_late")),
    "lost_commit_is_failure": Mutant(LOST),
    "retry_with_new_ids": Mutant(LOST),
    "one_leg_missing": Mutant(QUIET, ("entries sum to zero",)),
    "key_check_skipped": Mutant(QUIET, ("one transaction per key",)),
    "keys_before_locks": Mutant(QUIET, ("one transaction per key",),
                                {"money": 20, "twin": 60, "replay": 20}),
    "sequence_number_reused": Mutant(QUIET, ("one entry per place",)),
    "wrong_sign": Mutant(QUIET),
    "snapshot_not_moved": Mutant(QUIET),
    "limit_off_by_one": Mutant(QUIET),
    "duplicate_with_todays_balance": Mutant(QUIET),
    "split_loses_neighbour": Mutant(QUIET, only=TROUBLE),
    "poison_takes_neighbours": Mutant(QUIET, only=TROUBLE),
    "error_is_success": Mutant(QUIET, only=TROUBLE),
    "all_or_nothing_ignored": Mutant(QUIET, only={"money": 30, "batch": 30, "replay": 5}),
    "express_error_is_success": Mutant(QUIET),
    "express_refuses": Mutant(QUIET),
    "express_without_compare": Mutant(QUIET, ("one entry per place", "all snapshots are moved")),
    "serialization_failure_is_final": Mutant(QUIET, only=TROUBLE),
    "express_in_order": Mutant(QUIET, test="test_stale_express.py::"
                               "test_a_refusal_by_the_next_process_is_not_posted_afterwards"),
    "refused_group_without_fence": Mutant(QUIET, test="test_stale_express.py::"
                                          "test_a_group_refused_by_the_next_process_is_not"
                                          "_posted_afterwards"),
    "no_fence": Mutant(QUIET, test="test_stale_express.py::"
                       "test_what_may_still_be_posted_is_not_unavailable"),
    "posted_after_its_time": Mutant(QUIET, test="test_late.py::test_nothing_is_posted_for_an"
                                    "_attempt_whose_time_has_passed"),
    "warning_at_commit_ignored": Mutant(
        QUIET, test="test_standby.py::test_a_cancelled_wait_is_no_success"),
}


def what(name):
    """The first line of the patch says what is wrong."""
    return (PATCHES / f"{name}.patch").read_text().splitlines()[0]


# ---- building ----


def copy_sources():
    """A copy of everything that is built, as it is now; what has not changed keeps its time, so
    that the next build is short."""
    folders = ["CMakeLists.txt", "cmake", "ledger_core", "service_kit", "wallet_api", "auth_api",
               "reports", "tests", "migrations", "package.json", "package-lock.json", ".npmrc",
               "ops"]
    source = SCRATCH / "source"
    source.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard",
                    *folders], cwd=REPO, check=True, stdout=open(SCRATCH / "files", "wb"))
    wanted = set((SCRATCH / "files").read_bytes().decode().split("\0")) - {""}
    for name in sorted(wanted):
        original, copy = REPO / name, source / name
        if not original.is_file():
            continue
        if copy.is_file() and copy.read_bytes() == original.read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(original, copy)
    for copy in source.rglob("*"):
        if copy.is_file() and str(copy.relative_to(source)) not in wanted:
            copy.unlink()
    return source


def patch(source, name, *options):
    subprocess.run(["git", "apply", "--unsafe-paths", f"--directory={source.relative_to(REPO)}",
                    *options, str(PATCHES / f"{name}.patch")], cwd=REPO, check=True)


def build(name):
    """The mutant's wallet_api."""
    source = copy_sources()
    build_folder = SCRATCH / "build"
    log = open(SCRATCH / f"{name}.log", "wb")
    patch(source, name)
    try:
        if not (build_folder / "build.ninja").exists():
            subprocess.run(["cmake", "-G", "Ninja", "-S", source, "-B", build_folder,
                            "-DPACIOLI_FLAVOUR=release", "-DCMAKE_C_COMPILER=gcc"],
                           check=True, stdout=log, stderr=log)
        run = subprocess.run(["cmake", "--build", build_folder, "--target", "wallet_api"],
                             stdout=log, stderr=log)
        if run.returncode != 0:
            sys.exit(f"ops/faults: the mutant {name} does not build; see {SCRATCH / name}.log")
    finally:
        patch(source, name, "--reverse")
    target = SCRATCH / name / "bin"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(build_folder / "bin" / "wallet_api", target / "wallet_api")
    return target / "wallet_api"


# ---- running ----


def run_all(names, seed):
    unknown = set(names) - set(MUTANTS)
    if unknown:
        sys.exit(f"ops/faults: no such mutant: {', '.join(sorted(unknown))}; there are "
                 f"{', '.join(MUTANTS)}")
    seed = faults.environment_seed() if seed is None else seed
    chosen = names or list(MUTANTS)
    print(f"ops/faults: {len(chosen)} mutants, seed {seed} …", flush=True)
    cluster = FaultCluster()
    rows = []
    try:
        cluster.create()
        databases = Databases(cluster)
        for name in chosen:
            program = build(name)
            began = time.monotonic()
            caught = (run_test(name, program) if MUTANTS[name].test
                      else run_until_caught(name, program, cluster, databases, seed))
            rows.append((name, time.monotonic() - began, caught))
            show(*rows[-1])
    finally:
        cluster.stop()
    survived = [name for name, _, caught in rows if not caught]
    print(f"{len(rows) - len(survived)} of {len(rows)} mutants are caught"
          + (f"; these survive: {', '.join(survived)}" if survived else ""))
    return 1 if survived else 0


def show(name, seconds, caught):
    print(f"{name:32} {seconds:5.0f} s  {caught or 'SURVIVED'}")
    print(f"{'':32}          {what(name)}")
    for guard in MUTANTS[name].guards:
        print(f"{'':32}          The database refuses it too; taken away here: {guard}.")
    sys.stdout.flush()


def plan_of(name, program, seed, seconds):
    mutant = MUTANTS[name]
    return campaign.Plan(seconds=seconds, seed=seed, kinds=mutant.kinds, only=mutant.only,
                         guards=mutant.guards, program=str(program), rate=600, clients=32,
                         pause_s=0.3, calm_s=0.0, resolve_s=20, deep=False)


def run_until_caught(name, program, cluster, databases, seed):
    """By which rules, or "" after the limit."""
    end, seconds = time.monotonic() + LIMIT_S, 6
    while time.monotonic() < end:
        folder = campaign.temporary_folder()
        try:
            report = campaign.run(plan_of(name, program, seed, seconds), cluster, databases,
                                  folder).report
        finally:
            campaign.remove(folder)
        if report:
            return ", ".join(f"{rule} ({count})" for rule, count in report.counts.most_common(4))
        seed, seconds = seed + 1, min(seconds * 2, 60)
    return ""


def run_test(name, program):
    """A directed mutant: its test passes with the real service (ops/test sees to that) and must
    fail with this one."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", MUTANTS[name].test],
        cwd=FOLDER, env={**os.environ, "TEST_BUILD_DIR": str(program.parents[1])},
        capture_output=True, text=True)
    failed = [line for line in run.stdout.splitlines() if line.startswith("FAILED")]
    return failed[0].removeprefix("FAILED ")[:120] if run.returncode == 1 and failed else ""

