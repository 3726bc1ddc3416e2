# RabbitMQ: one node under a name, ports and paths of its own, with a port mapper (epmd) of its own, so that several of
# them, and one of the system's, do not meet. Part of dev/services.
# shellcheck shell=bash disable=SC2034,SC2154

rabbitmq_bin=/usr/lib/rabbitmq/bin

rabbitmq_forget() { AMQP_PORT='' RABBITMQ_DIST='' RABBITMQ_EPMD='' RABBITMQ_PROCESS='' RABBITMQ_EPMD_PROCESS=''; }

rabbitmq_runs() { alive "$RABBITMQ_PROCESS"; }
rabbitmq_lives() { rabbitmq_runs || alive "$RABBITMQ_EPMD_PROCESS"; }

rabbitmq_start() {
    local fixed=no
    amqp_port=${amqp_port:-$AMQP_PORT}
    if [ -n "$amqp_port" ]; then fixed=yes; fi
    with_ports rabbitmq "$fixed"
}

# The environment of the node and of its tools, one NAME=VALUE a line.
rabbitmq_settings() {
    local home="$dir/rabbitmq"
    cat <<TEXT
HOME=$home
LANG=C.UTF-8
ERL_EPMD_PORT=$RABBITMQ_EPMD
ERL_EPMD_ADDRESS=127.0.0.1
RABBITMQ_NODENAME=stampede@localhost
RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
RABBITMQ_NODE_PORT=$AMQP_PORT
RABBITMQ_DIST_PORT=$RABBITMQ_DIST
RABBITMQ_CONF_ENV_FILE=$home/none
RABBITMQ_CONFIG_FILE=$home/rabbitmq.conf
RABBITMQ_ADVANCED_CONFIG_FILE=$home/advanced.config
RABBITMQ_ENABLED_PLUGINS_FILE=$home/enabled_plugins
RABBITMQ_MNESIA_BASE=$home/data
RABBITMQ_LOG_BASE=$home/logs
RABBITMQ_LOGS=-
RABBITMQ_PLUGINS_EXPAND_DIR=$home/plugins
RABBITMQ_GENERATED_CONFIG_DIR=$home/generated
RABBITMQ_SCHEMA_DIR=$home/schema
RABBITMQ_PID_FILE=$home/pid
TEXT
}

rabbitmq_start_once() {
    local home="$dir/rabbitmq" settings pid
    if [ -n "$amqp_port" ]; then AMQP_PORT=$amqp_port; else free_port AMQP_PORT; fi
    if [ -z "$RABBITMQ_DIST" ] || taken "$RABBITMQ_DIST"; then free_port RABBITMQ_DIST; fi
    mkdir -p "$home"/{data,logs,plugins,generated,schema}
    echo '[].' >"$home/enabled_plugins"
    printf '%s\n' 'log.console = true' 'log.console.level = warning' 'log.file = false' 'disk_free_limit.absolute = 50MB' \
        >"$home/rabbitmq.conf"
    rm -f "$home/pid"

    if ! alive "$RABBITMQ_EPMD_PROCESS"; then
        if [ -z "$RABBITMQ_EPMD" ] || taken "$RABBITMQ_EPMD"; then free_port RABBITMQ_EPMD; fi
        spawn "$home/epmd.log" epmd -port "$RABBITMQ_EPMD" -address 127.0.0.1
        RABBITMQ_EPMD_PROCESS=$spawned
    fi
    mapfile -t settings < <(rabbitmq_settings)
    # Schedulers that wait by turning would take the processor from those who have work.
    spawn "$home/log" env "${settings[@]}" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none' \
        "$rabbitmq_bin/rabbitmq-server"
    local script=$spawned
    RABBITMQ_PROCESS=$script
    note rabbitmq AMQP_PORT RABBITMQ_DIST RABBITMQ_EPMD RABBITMQ_PROCESS RABBITMQ_EPMD_PROCESS
    # A connection begins with a method frame on channel 0.
    until_it_answers "$script" 240 answers 127.0.0.1 "$AMQP_PORT" 'AMQP\0\0\11\1' 010000 || return 1
    # The script waits for the node, which has written its own id.
    pid=$(<"$home/pid")
    RABBITMQ_PROCESS="$pid:$(started "$pid")"
    note rabbitmq AMQP_PORT RABBITMQ_DIST RABBITMQ_EPMD RABBITMQ_PROCESS RABBITMQ_EPMD_PROCESS

    {
        echo '#!/bin/sh'
        echo "# rabbitmqctl for this node."
        printf 'exec env'
        printf ' %q' "${settings[@]}"
        printf ' %q "$@"\n' "$rabbitmq_bin/rabbitmqctl"
    } >"$home/rabbitmqctl"
    chmod +x "$home/rabbitmqctl"
    rabbitmq_runs
}

rabbitmq_stop() {
    local pid
    # When it did not get as far as answering, the id noted is the script's, and the node may have written its own.
    if pid=$(cat "$dir/rabbitmq/pid" 2>/dev/null) && [ -n "$pid" ] && [ "$pid" != "${RABBITMQ_PROCESS%%:*}" ] &&
        grep -qsz "$dir/rabbitmq" "/proc/$pid/cmdline"; then
        end "$pid:$(started "$pid")" "$(patience 20)"
    fi
    end "$RABBITMQ_PROCESS" "$(patience 20)"
    end "$RABBITMQ_EPMD_PROCESS" 2
    rm -f "$dir/rabbitmq/pid"
}

rabbitmq_env() {
    echo "AMQP_URL=amqp://guest:guest@127.0.0.1:$AMQP_PORT/%2f"
    echo "AMQP_PORT=$AMQP_PORT"
    echo "RABBITMQ_PID=${RABBITMQ_PROCESS%%:*}"
    echo "RABBITMQ_EPMD_PID=${RABBITMQ_EPMD_PROCESS%%:*}"
    echo "RABBITMQ_CTL=$dir/rabbitmq/rabbitmqctl"
}
