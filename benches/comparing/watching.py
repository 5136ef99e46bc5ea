"""Where a proxy's time goes: its system calls, its symbols."""

import os
import re
import signal
import subprocess
import time

import peers

from .proxies import LOAD_CORE, Certificate, start_origins, start_proxy
from .scenarios import SCENARIOS, SIZES, kinds


def under_load(stage, args, watch):
    """Runs `watch(proxy, scenario, load)` for each; `load(seconds)` loads the proxy and gives the
    units that it completed."""
    needed = kinds(args.scenarios)
    certificate = Certificate(stage) if "https" in needed else None
    origins = start_origins(stage, needed, SIZES, args)
    for name in args.proxies:
        proxy = start_proxy(stage, name, needed, origins, certificate, args, args.log == "file")
        for scenario in (SCENARIOS[chosen] for chosen in args.scenarios):
            scenario.check(proxy)

            def load(seconds, scenario=scenario, proxy=proxy):
                result = scenario.load(stage, proxy, seconds, certificate, args)
                if result["void"]:
                    print(f"  void: {result['void']}")
                return result["units"]

            print(f"\n{name}, {scenario.title}")
            watch(proxy, scenario, load)
        stage.stop(proxy.process)


def strace(stage, args):
    """System calls a unit, by name."""

    def watch(proxy, scenario, load):
        output = stage.path("strace.out")
        pids = [part for pid in peers.session_pids(proxy.process.pid) for part in ("-p", str(pid))]
        tracer = stage.start(["strace", "-q", "-c", "-f", "-o", output, *pids], core=LOAD_CORE,
                             stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        units = load(1)
        os.kill(tracer.pid, signal.SIGINT)
        tracer.wait(10)
        stage.stop(tracer)
        if not units:
            return
        with open(output, encoding="utf-8") as text:
            rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(\d+)?\s+(\w+)$", text.read(),
                              re.MULTILINE)
        rows = [(int(calls), int(errors or 0), call) for calls, errors, call in rows
                if call != "total"]
        print(f"  {sum(row[0] for row in rows) / units:.3f} system calls a {scenario.unit} "
              f"({units:.0f} while traced)")
        for calls, errors, call in sorted(rows, reverse=True):
            if calls / units >= 0.0005:
                print(f"  {calls / units:8.3f}  {call}"
                      + (f"  ({errors / units:.3f} failed)" if errors else ""))

    under_load(stage, args, watch)


def perf(stage, args):
    """The 30 symbols that take most of a proxy's time, kernel included."""

    def watch(proxy, _, load):
        data = stage.path("perf.data")
        pids = ",".join(map(str, peers.session_pids(proxy.process.pid)))
        recorder = stage.start(["perf", "record", "-q", "-F", "999", "-p", pids, "-o", data],
                               core=LOAD_CORE, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        load(args.seconds)
        os.kill(recorder.pid, signal.SIGINT)
        recorder.wait(20)
        stage.stop(recorder)
        report = subprocess.run(
            ["perf", "report", "-i", data, "--stdio", "--no-children", "-F",
             "overhead,dso,symbol", "-q"], capture_output=True, text=True, check=False)
        lines = [line for line in report.stdout.splitlines() if line.strip()][:30]
        print("\n".join(lines) if lines else "  perf saw nothing here: " + report.stderr[:300])

    under_load(stage, args, watch)
