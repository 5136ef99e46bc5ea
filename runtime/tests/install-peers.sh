#!/usr/bin/env bash
# Installs with apt those of the given programs that are missing, and says so.
# usage: install-peers.sh [nginx] [haproxy] [wrk] [curl] [strace]     (default: nginx wrk curl)
# Their services are not started: the tests start what they need, on ports of their own.
set -euo pipefail

[ $# -gt 0 ] || set -- nginx wrk curl

missing=()
for program in "$@"; do
    command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] || missing+=("$program")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "install-peers: apt-get install ${missing[*]}"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    # Without this the packages would start their daemons on the standard ports.
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
