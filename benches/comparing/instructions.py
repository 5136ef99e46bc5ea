"""Instructions that the core spends on a request, counted by valgrind: a busy machine changes
nothing about them."""

import re
import subprocess

import peers

# As many as warm everything up, and as many again.
COUNTS = (10_000, 20_000)
RING = 16 << 20


def collected(program, count, ring):
    """Instructions of a whole run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program,
               str(count), *([str(ring)] if ring else [])]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", said.stderr)
    if said.returncode or not found:
        raise peers.Failed(f"{' '.join(command)}: {said.stderr}")
    return int(found[1])


def instructions(program):
    """Prints them without the flight recorder and with it, and gives both."""
    results = {}
    for name, ring in (("without recorder", None), ("with recorder", RING)):
        few, many = (collected(program, count, ring) for count in COUNTS)
        results[name] = (many - few) / (COUNTS[1] - COUNTS[0])
        print(f"{name:17} {results[name]:8.0f} instructions a request")
    return results
