"""Processor time a unit: runs, rounds and the table of their medians."""

import http.client
import os
import statistics
import time

import peers

from .proxies import Certificate, start_origins, start_proxy
from .scenarios import SCENARIOS, SIZES, kinds

# What the ratios are taken to.
BASES = {"haproxy": "HAProxy", "nginx": "nginx"}


def measure(stage, proxy, scenario, certificate, args):
    """One run: µs of processor time a unit, units a second, the part of the wall time that the
    proxy ran (`busy`), and why the run is void, if it is."""
    if proxy.log:
        os.truncate(proxy.log, 0)
    seconds = args.seconds if scenario.file else args.load_seconds
    try:
        scenario.check(proxy)
        before = peers.cpu_ns(proxy.process.pid)
        result = scenario.load(stage, proxy, seconds, certificate, args)
        spent_us = (peers.cpu_ns(proxy.process.pid) - before) / 1000
    except (OSError, http.client.HTTPException, peers.Failed) as failure:
        return {"void": str(failure)}
    run = {"void": result["void"], "units": result["units"]}
    if not run["void"]:
        run["us"] = spent_us / result["units"]
        run["rate"] = result["units"] * 1e6 / result["duration_us"]
        run["busy"] = spent_us / result["duration_us"]
        if proxy.log:
            time.sleep(0.3)
            with open(proxy.log, "rb") as lines:
                run["logged"] = sum(1 for _ in lines) / result["units"]
    return run


def measure_scenario(stage, proxies, name, certificate, args):
    """All rounds of one scenario: for each proxy a list with one run (or None) a round."""
    scenario = SCENARIOS[name]
    if not scenario.connects:
        proxies = [proxy for proxy in proxies if proxy.name != "haproxy-always"]
    runs = {proxy.name: [] for proxy in proxies}
    for number in range(args.rounds):
        turn = number % len(proxies) if proxies else 0
        for proxy in proxies[turn:] + proxies[:turn]:
            for attempt in ("void", "void again"):
                run = measure(stage, proxy, scenario, certificate, args)
                if not run["void"]:
                    break
                print(f"  {attempt}: {proxy.name}, {name}, round {number + 1}: {run['void']}")
            runs[proxy.name].append(None if run["void"] else run)
    return runs


def summary(runs):
    """Medians of one scenario for each proxy, with the ratios to the bases within each round."""
    lines = {}
    for name, list_ in runs.items():
        good = [run for run in list_ if run]
        if not good:
            lines[name] = None
            continue
        line = {key: statistics.median(run[key] for run in good) for key in ("us", "rate", "busy")}
        line["rounds"] = len(good)
        line["logged"] = min((run["logged"] for run in good if "logged" in run), default=None)
        line["ratios"] = {}
        for base in BASES:
            ratios = [run["us"] / other["us"] for run, other in zip(list_, runs.get(base, ()))
                      if run and other]
            if ratios:
                line["ratios"][base] = {"median": statistics.median(ratios), "min": min(ratios),
                                        "max": max(ratios)}
        lines[name] = line
    return lines


def print_table(title, table):
    """One table: scenario by proxy."""
    print(f"\n{title}\n")
    heads = " | ".join(f"{'ratio to ' + name:20}" for name in BASES.values())
    print(f"| {'scenario':30} | {'proxy':14} | {'unit':10} | µs/unit | {heads} | units/s | busy "
          "| rounds | logged |")
    rules = "|".join("-" * 21 + ":" for _ in BASES)
    print(f"|{'-' * 32}|{'-' * 16}|{'-' * 12}|--------:|{rules}|--------:|-----:|-------:"
          "|-------:|")
    for scenario, lines in table.items():
        for name, line in lines.items():
            head = f"| {SCENARIOS[scenario].title:30} | {name:14} | {SCENARIOS[scenario].unit:10} |"
            if line is None:
                blank = "|".join(" " * 22 for _ in BASES)
                print(f"{head}    void |{blank}|         |      |      0 |        |")
                continue
            ratios = ""
            for base in BASES:
                ratio = line["ratios"].get(base)
                text = "{median:.3f} ({min:.3f}..{max:.3f})".format(**ratio) if ratio else ""
                ratios += f" {text:>20} |"
            logged = "" if line["logged"] is None else f"{line['logged']:.1%}"
            print(f"{head} {line['us']:7.2f} |{ratios} {line['rate']:7.0f} | {line['busy']:4.0%} "
                  f"| {line['rounds']:6} | {logged:>6} |")


def compare(stage, args):
    """Both tables; true when every run of every proxy counted."""
    tables, complete = {}, True
    certificate = Certificate(stage) if "https" in kinds(args.scenarios) else None
    origins = start_origins(stage, kinds(args.scenarios), SIZES, args)
    for logged in ((False, True) if args.log == "both" else (args.log == "file",)):
        names = [name for name in args.scenarios if not logged or SCENARIOS[name].recorded]
        if not names:
            continue
        proxies = [start_proxy(stage, name, kinds(names), origins, certificate, args, logged)
                   for name in args.proxies]
        title = "access log to a file" if logged else "access log off"
        table = {}
        for name in names:
            runs = measure_scenario(stage, proxies, name, certificate, args)
            complete &= all(run is not None for list_ in runs.values() for run in list_)
            table[name] = summary(runs)
        for proxy in proxies:
            stage.stop(proxy.process)
        print_table(title, table)
        tables[title] = table
    return tables, complete
