"""Mutants against real clusters: builds one after the other, runs some at a time, and keeps the table of what came of it."""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

# What is tried, in this order for each seed, unless the patch names those that are likely to catch it.
SCENARIOS = ["calm", "force", "weather", "pause", "partition", "kill"]
# The longest scenario for CI takes a third of this.
LIMIT = 300

HEAD = """\
# Mutants on real clusters

Known wrong versions of the protocol, each run by `chaos` until a property is violated. Written by
`tests/mutants/run --chaos --table`; what is wrong with each stands in the first line of its patch in
[tests/mutants/patches](../tests/mutants/patches). `unchanged` is the protocol as it is, in every scenario that a row can name: of
a property that it violates, another row says nothing.

| mutant | caught by | property | the first violation | runs | took | date |
|---|---|---|---|---|---|---|
"""


def named(patch):
    """The scenarios that the patch names (`Chaos: kill pause@2.12.8`), or all that are usual; and why there are none."""
    said = re.search(r"^Chaos: (.*)$", patch.read_text(), re.M) if patch else None
    if not said:
        return SCENARIOS, None
    if said[1].startswith(("not tried", "not caught")):
        return [], said[1]
    return said[1].split(), None


class Failed(Exception):
    """A run that could not be had, which says nothing of the mutant."""


def once(binary, scenario, seed, out):
    """Runs and judges one scenario; gives the violated properties, each with its first violation."""
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    scenario, _, release = scenario.partition("@")
    run = [str(binary), "run", scenario, "--seed", str(seed), "--out", str(out)]
    run += ["--release", release] if release else []
    env = {**os.environ, "LEASE_TESTS_PREBUILT": "1"}
    ran = subprocess.run(run, env=env, capture_output=True, text=True, timeout=LIMIT)
    # 1: violated; 2: the history says nothing.
    if ran.returncode not in (0, 1, 2):
        # A worker that a mutant makes die, or a run that it keeps from healing, is caught as well.
        died = re.search(r"died by themselves.*|cannot be undone.*", ran.stderr)
        if died:
            return [("the run comes to its end", died[0])]
        raise Failed(f"{scenario} with seed {seed} did not run ({ran.returncode}):\n{ran.stderr[-2000:]}")
    verdict = json.loads((out / "verdict.json").read_text())
    violated = [it for it in verdict["findings"] if it["status"] == "violated" and not it["is_assumed"]]
    return [(it["property"], it["violations"][0]["sentence"]) for it in violated]


class Table:
    """The rows by mutant: those of earlier runs stay until their mutant is tried again."""

    def __init__(self, path):
        self.path, self.rows, self.lock = path, {}, threading.Lock()
        if path and path.exists():
            found = re.findall(r"^\| `([^`]+)` \|.*$", path.read_text(), re.M)
            lines = re.findall(r"^\| `[^`]+` \|.*$", path.read_text(), re.M)
            self.rows = dict(zip(found, lines))

    def put(self, name, cells):
        with self.lock:
            self.rows[name] = f"| `{name}` | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
            if self.path:
                self.path.write_text(HEAD + "".join(self.rows[key] + "\n" for key in sorted(self.rows)))


def endanger(chosen, patches, wishes, work, build, say, table_path, unchanged):
    """Tries each; gives how many are not as they should be. `build(name)` gives the folder of its programs."""
    table = Table(table_path)
    failures = []
    # A checker that is wrong would catch mutants where it is wrong.
    everywhere = sorted({scenario for patch in patches.values() for scenario in named(patch)[0]})

    def attempt(name, folder):
        begun, runs = time.monotonic(), 0
        scenarios, why_not = named(patches.get(name))
        if name == unchanged:
            scenarios = everywhere
        caught = None
        for seed in range(wishes.first, wishes.first + wishes.seeds):
            for scenario in scenarios:
                runs += 1
                out = work / "runs" / name.strip("()") / f"{scenario}-{seed}"
                violated = once(folder / "chaos", scenario, seed, out)
                if violated:
                    caught = (f"{scenario}, seed {seed}", violated)
                    break
                shutil.rmtree(out, ignore_errors=True)
            if caught:
                break
        took = f"{time.monotonic() - begun:.0f} s"
        where = caught[0] if caught else "–"
        properties = "; ".join(it[0] for it in caught[1]) if caught else why_not or ("nothing, as it should" if name == unchanged else "**not caught**")
        sentence = caught[1][0][1] if caught else ""
        if (caught is None) != (name == unchanged):
            failures.append(name)
        table.put(name.strip("()"), [where, properties, sentence, str(runs), took, date.today().isoformat()])
        say(f"{name:<44} {where:<24} {runs:>3} runs {took:>6}  {properties}  {sentence[:100]}")

    def guarded(name, folder):
        try:
            attempt(name, folder)
        except Exception as error:  # noqa: BLE001: told with its mutant, and counted
            failures.append(name)
            say(f"{name:<44} {error}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    with ThreadPoolExecutor(wishes.at_once) as pool:
        # Not more ahead than is run: each has programs of 100 MB.
        ahead = threading.Semaphore(wishes.at_once + 1)
        for name in chosen:
            ahead.acquire()
            folder = work / "bin" / re.sub(r"[^a-z-]", "", name)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            try:
                for program in build(name):
                    shutil.copy(program, folder)
            except Failed as error:
                say(f"{name:<44} {error}")
                failures.append(name)
                ahead.release()
                continue
            pool.submit(guarded, name, folder).add_done_callback(lambda _: ahead.release())
    return len(set(failures))
