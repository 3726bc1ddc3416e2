#!/usr/bin/env bash
# A Redis of its own, for `stampede bench`: in a temporary directory, on one loopback port, gone at the end.
#
#   redis.sh PORT FSYNC SCRIPT   (FSYNC: always or everysec; SCRIPT: the text of redis.lua)
#
# Says "ready" once it serves. Then every line on standard input is one measurement, and every answer one number, orders
# per second:
#
#   order CLIENTS SECONDS
#
# Ends with its standard input, on SIGTERM or SIGINT, and stops the server that it started by its number.
set -euo pipefail

port=$1
fsync=$2
script=$3

if ! command -v redis-server >/dev/null || ! command -v redis-benchmark >/dev/null; then
    echo "installing redis-server" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server redis-tools >&2
    # The package starts a server of the machine's own; whoever had none does not want one now.
    service redis-server stop >&2 || true
fi

directory=$(mktemp -d "${TMPDIR:-/tmp}/stampede-peer-redis-XXXXXX")
server=
finish() {
    trap - EXIT
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$directory"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
cd "$directory"

# Every write in the append-only file; no snapshots and no rewrites, which would cost it time.
redis-server --bind 127.0.0.1 --port "$port" --dir "$directory" --save '' --appendonly yes --appendfsync "$fsync" \
    --no-appendfsync-on-rewrite no --auto-aof-rewrite-percentage 0 --daemonize no --loglevel warning \
    </dev/null >log 2>&1 &
server=$!
cli() { redis-cli -h 127.0.0.1 -p "$port" "$@" </dev/null; }
for _ in $(seq 200); do
    [ "$(cli ping 2>/dev/null)" = PONG ] && break
    kill -0 "$server" || { cat log >&2 && exit 1; }
    sleep 0.05
done

run() { # requests, clients: prints orders per second
    cli flushall >/dev/null
    cli eval 'for i = 0, 9999 do redis.call("SET", "stock:" .. i, 2000000000) end' 0 >/dev/null
    if ! redis-benchmark -h 127.0.0.1 -p "$port" -c "$2" -n "$1" -r 999999999999 --csv evalsha "$sha" 0 __rand_int__ \
        </dev/null >benchmark.out 2>benchmark.err; then
        cat benchmark.out benchmark.err >&2
        exit 1
    fi
    tail -n 1 benchmark.out | cut -d, -f2 | tr -d '"'
}
sha=$(cli script load "$script")
[ "$(cli evalsha "$sha" 0 1)" = -1 ] || { echo "the script does not say that nothing is there" >&2 && exit 1; }
rate=$(run 20000 64)

echo ready
while read -r what clients seconds; do
    [ "$what" = order ] || { echo "unknown: $what" >&2 && exit 2; }
    # It counts requests, not seconds: so many as took that long the last time.
    requests=$(awk -v rate="$rate" -v seconds="$seconds" 'BEGIN { printf "%d", (rate * seconds < 1000) ? 1000 : rate * seconds }')
    rate=$(run "$requests" "$clients")
    echo "$rate"
done
