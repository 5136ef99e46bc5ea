#!/usr/bin/env bash
# Installs those of the given programs that are missing, and says so.
# usage: install-peers.sh [nginx] [haproxy] [wrk] [curl] [psql] ...     (default: nginx wrk curl)
#        install-peers.sh all                        whatever any test or bench of here runs
# Programs come with apt; a name that starts with "lib" is a package without a program. Two names
# are libraries, which go to target/peers (or $TIDEGATE_PEERS): python-websockets and node-ws.
# Their services are not started: the tests start what they need, on ports of their own.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly WEBSOCKETS=websockets==15.0.1 WS=ws@8.18.3
libraries=${TIDEGATE_PEERS:-target/peers}

[ $# -gt 0 ] || set -- nginx wrk curl
[ "$*" != all ] || set -- nginx libnginx-mod-stream haproxy wrk curl openssl python3 socat \
    redis-server redis-cli postgres psql node python-websockets node-ws

# The package that has a program, where its name is another.
package() {
    case $1 in
        redis-cli) echo redis-tools ;;
        psql) echo postgresql-client ;;
        postgres) echo postgresql ;;
        node) echo nodejs ;;
        *) echo "$1" ;;
    esac
}

installed() {
    case $1 in
        lib*) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
        postgres) compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null ;;
        *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
    esac
}

missing=()
for program in "$@"; do
    case $program in
        python-websockets)
            [ -d "$libraries/python/websockets" ] && continue
            python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
            ;;
        node-ws)
            [ -d "$libraries/node/node_modules/ws" ] && continue
            command -v npm >/dev/null || missing+=(npm)
            ;;
        *) installed "$program" || missing+=("$(package "$program")") ;;
    esac
done

if [ ${#missing[@]} -gt 0 ]; then
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
fi

for program in "$@"; do
    case $program in
        python-websockets)
            [ -d "$libraries/python/websockets" ] && continue
            echo "install-peers: pip install $WEBSOCKETS"
            python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
                --no-deps --target "$libraries/python" "$WEBSOCKETS"
            ;;
        node-ws)
            [ -d "$libraries/node/node_modules/ws" ] && continue
            echo "install-peers: npm install $WS"
            npm install --silent --no-fund --no-audit --no-save --prefix "$libraries/node" "$WS"
            ;;
    esac
done
