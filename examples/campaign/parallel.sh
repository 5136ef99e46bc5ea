#!/usr/bin/env bash
# A campaign of the simulator by GNU parallel, on this machine or on several.
#
#   examples/campaign/parallel.sh A..B SHARDS OUT [HOST,HOST,..]
#
# The seeds A..B are split into SHARDS parts, run one for each processor, and merged. What they
# say is kept below OUT: a report for each shard, the sum of all as JSON and as JUnit's XML. OUT is
# for one range of seeds, split once. A campaign that was interrupted goes on where it was: shards
# whose report is there are not run again, save those that were interrupted. With hosts, which need
# this directory at the same path and ssh without a password, the shards are spread over them.
set -euo pipefail

readonly seeds=${1:?seeds A..B} shards=${2:?number of shards} out=${3:?directory} hosts=${4:-}
sim=${TIDEGATE_SIM:-$PWD/target/campaign/tidegate-sim}
[ -x "$sim" ] || { echo "no $sim: sim/guided builds it" >&2; exit 2; }
mkdir -p "$out"

spread=()
[ -z "$hosts" ] || spread=(--sshlogin "$hosts" --workdir "$PWD")
# The numbers of the shards that are still to be run.
missing() {
    for n in $(seq "$shards"); do
        local report=$out/shard-$n.json
        if [ ! -s "$report" ] || grep -q '"ended_early": "interrupted"' "$report"; then
            echo "$n"
        fi
    done
}

# A shard that finds something ends with 1; the others go on. The merge tells of all.
missing | parallel --no-run-if-empty "${spread[@]}" --joblog "$out/joblog" --retries 1 \
    "$sim run --seeds $seeds --shard {}/$shards --cases $out \
     --json $out/shard-{}.json >$out/shard-{}.txt" || true

reports=()
for n in $(seq "$shards"); do reports+=("$out/shard-$n.json"); done
"$sim" merge "${reports[@]}" --json "$out/all.json" --junit "$out/all.xml"
