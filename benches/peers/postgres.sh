#!/usr/bin/env bash
# A PostgreSQL of its own, for `stampede bench`: in a temporary directory, on one loopback port, gone at the end.
#
#   postgres.sh PORT SCHEMA      (SCHEMA: the text of postgres.sql)
#
# Says "ready" once it serves. Then every line on standard input is one measurement, and every answer one number,
# transactions per second:
#
#   hot CLIENTS SECONDS          every transaction takes a unit of the same row and inserts an order
#   rows CLIENTS SECONDS         of one of 1,000 rows
#
# Ends with its standard input, on SIGTERM or SIGINT, and stops the server that it started by its own means.
set -euo pipefail

port=$1
schema=$2

if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || ! command -v pgbench >/dev/null; then
    echo "installing postgresql" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql postgresql-client >&2
    # The package starts a server of the machine's own; whoever had none does not want one now.
    service postgresql stop >&2 || true
fi
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)

directory=$(mktemp -d "${TMPDIR:-/tmp}/stampede-peer-postgres-XXXXXX")
# PostgreSQL refuses to run as root.
as=()
if [ "$(id -u)" = 0 ]; then
    as=(runuser -u postgres --)
    chown postgres "$directory"
fi

finish() {
    trap - EXIT
    "${as[@]}" "$bin/pg_ctl" -D "$directory/data" -m immediate -w -t 30 stop >/dev/null 2>&1 </dev/null || true
    rm -rf "$directory"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
cd "$directory"

"${as[@]}" "$bin/initdb" -D data -U bench --auth=trust --no-instructions >/dev/null </dev/null
# Durable, and otherwise as somebody would set it who knows it: enough memory, and no checkpoint within a round.
"${as[@]}" tee -a data/postgresql.conf >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$directory'
max_connections = 300
fsync = on
synchronous_commit = on
full_page_writes = on
shared_buffers = 512MB
wal_buffers = 16MB
max_wal_size = 8GB
checkpoint_timeout = 30min
wal_compression = off
logging_collector = off
log_min_messages = fatal
CONF
"${as[@]}" "$bin/pg_ctl" -D data -l log -w -t 60 start >/dev/null </dev/null 2>&1
sql() { psql -h 127.0.0.1 -p "$port" -U bench -d postgres -v ON_ERROR_STOP=1 -q -c "$1" >/dev/null </dev/null; }
sql "$schema"

# One statement: the row is locked for as short as it can be, and there is one round trip.
transaction() {
    cat <<SQL
\set buyer random(1, 1000000000)
\set sku random(0, $1)
WITH taken AS (UPDATE stock SET units = units - 1 WHERE sku = :sku AND units > 0 RETURNING sku)
INSERT INTO orders (sku, buyer, units, unit_price) SELECT sku, :buyer, 1, 1999 FROM taken;
SQL
}
transaction 0 >hot.sql
transaction 999 >rows.sql

echo ready
while read -r what clients seconds; do
    case $what in hot | rows) ;; *) echo "unknown: $what" >&2 && exit 2 ;; esac
    sql 'VACUUM stock'
    if ! pgbench -h 127.0.0.1 -p "$port" -U bench -n -M prepared -f "$what.sql" -c "$clients" -j 1 -T "$seconds" postgres \
        </dev/null >pgbench.out 2>pgbench.err; then
        cat pgbench.out pgbench.err >&2
        exit 1
    fi
    # It says nothing when no transaction came to its end in time.
    rate=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' pgbench.out)
    echo "${rate:-0}"
done
