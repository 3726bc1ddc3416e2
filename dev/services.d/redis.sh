# Redis: one process, nothing on disk. Part of dev/services.
# shellcheck shell=bash disable=SC2034,SC2154

redis_forget() { REDIS_PORT='' REDIS_PROCESS=''; }

redis_runs() { alive "$REDIS_PROCESS"; }
redis_lives() { redis_runs; }

redis_start() {
    local fixed=no
    redis_port=${redis_port:-$REDIS_PORT}
    if [ -n "$redis_port" ]; then fixed=yes; fi
    with_ports redis "$fixed"
}

redis_start_once() {
    local more=()
    if [ -n "$redis_port" ]; then REDIS_PORT=$redis_port; else free_port REDIS_PORT; fi
    # Tests make it slow with DEBUG SLEEP; before version 7 that needed no leave.
    if redis-server --version | grep -qE 'v=([7-9]|[1-9][0-9])'; then more=(--enable-debug-command local); fi
    spawn "$dir/redis/log" redis-server --bind 127.0.0.1 --port "$REDIS_PORT" --dir "$dir/redis" \
        --save '' --appendonly no --daemonize no "${more[@]}"
    REDIS_PROCESS=$spawned
    note redis REDIS_PORT REDIS_PROCESS
    # "+PONG"
    until_it_answers "$REDIS_PROCESS" 30 answers 127.0.0.1 "$REDIS_PORT" 'PING\r\n' 2b504f4e47 && redis_runs
}

redis_stop() { end "$REDIS_PROCESS" "$(patience 5)"; }

redis_env() {
    echo "REDIS_URL=redis://127.0.0.1:$REDIS_PORT"
    echo "REDIS_PORT=$REDIS_PORT"
    echo "REDIS_PID=${REDIS_PROCESS%%:*}"
}
