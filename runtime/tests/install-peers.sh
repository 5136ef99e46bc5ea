#!/usr/bin/env bash
# Installs with apt those of the given programs that are missing, and says so.
# usage: install-peers.sh [nginx] [haproxy] [wrk] [curl] [strace]     (default: nginx wrk curl)
# A name that starts with "lib" is a package without a program.
# Their services are not started: the tests start what they need, on ports of their own.
set -euo pipefail

[ $# -gt 0 ] || set -- nginx wrk curl

installed() {
    case $1 in
        lib*) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
        *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
    esac
}

missing=()
for program in "$@"; do
    installed "$program" || missing+=("$program")
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
