# Apache Cassandra, which answers for ScyllaDB where there is none: one node, or three on three loopback addresses. It
# shows the protocol (conditional batches, fencing, loss of a node), not ScyllaDB's speed. Part of dev/services.
# shellcheck shell=bash disable=SC2034,SC2154

cassandra_forget() { CQL_PORT='' CASSANDRA_STORAGE='' CASSANDRA_NODES='' CASSANDRA_1='' CASSANDRA_2='' CASSANDRA_3=''; }

cassandra_runs() {
    local node process
    [ -n "$CASSANDRA_NODES" ] && [ "${nodes:-$CASSANDRA_NODES}" = "$CASSANDRA_NODES" ] || return 1
    for ((node = 1; node <= CASSANDRA_NODES; node++)); do
        process=CASSANDRA_$node
        alive "${!process}" || return 1
    done
}

# Some node may have been killed.
cassandra_lives() { alive "$CASSANDRA_1" || alive "$CASSANDRA_2" || alive "$CASSANDRA_3"; }

cassandra_start() {
    local fixed=no
    cql_port=${cql_port:-$CQL_PORT}
    if [ -n "$cql_port" ]; then fixed=yes; fi
    if [ -n "$CASSANDRA_NODES" ] && [ -n "$nodes" ] && [ "$nodes" != "$CASSANDRA_NODES" ]; then
        die "$dir holds $CASSANDRA_NODES node(s) of Cassandra, not $nodes"
    fi
    CASSANDRA_NODES=${nodes:-${CASSANDRA_NODES:-1}}
    with_ports cassandra "$fixed"
}

cassandra_note() {
    note cassandra CQL_PORT CASSANDRA_STORAGE CASSANDRA_NODES CASSANDRA_1 CASSANDRA_2 CASSANDRA_3
}

cassandra_start_once() {
    local node process
    # Nodes find each other by the second port: it stays as long as their data, and goes with a failed first try.
    if [ -n "$cql_port" ]; then
        CQL_PORT=$cql_port
    else
        rm -rf "$dir"/cassandra/node*
        free_port CQL_PORT
        CASSANDRA_STORAGE=''
    fi
    [ -n "$CASSANDRA_STORAGE" ] || free_port CASSANDRA_STORAGE
    # One after the other, as a node joins the ring of those before it.
    for ((node = 1; node <= CASSANDRA_NODES; node++)); do
        process=CASSANDRA_$node
        if ! alive "${!process}"; then cassandra_start_node "$node" || return 1; fi
    done
}

cassandra_start_node() {
    local node=$1 home="$dir/cassandra/node$1" jmx joining=() flag
    mkdir -p "$home"
    free_port jmx
    cassandra_yaml "$node" >"$home/cassandra.yaml"
    local pair
    for pair in "${cql_set[@]}"; do
        sed -i "/^${pair%%=*}:/d" "$home/cassandra.yaml"
        echo "${pair%%=*}: ${pair#*=}" >>"$home/cassandra.yaml"
    done
    cat >"$home/logback.xml" <<'TEXT'
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date %level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
TEXT
    if [ "$node" -eq 1 ]; then
        joining=(-Dcassandra.ring_delay_ms=0 -Dcassandra.skip_wait_for_gossip_to_settle=0)
    else
        joining=(-Dcassandra.ring_delay_ms=3000 -Dcassandra.consistent.rangemovement=false)
    fi
    # The module flags of Cassandra's own jvm17-server.options.
    local modules=()
    for flag in java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch \
        java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server \
        java.sql/java.sql java.base/java.lang.ref jdk.unsupported/sun.misc; do
        modules+=(--add-exports "$flag=ALL-UNNAMED")
    done
    for flag in java.lang java.lang.module java.lang.reflect java.io java.net java.nio java.util java.util.concurrent \
        java.util.concurrent.atomic jdk.internal.loader jdk.internal.ref jdk.internal.reflect jdk.internal.math \
        jdk.internal.module jdk.internal.util.jar sun.nio.ch; do
        modules+=(--add-opens "java.base/$flag=ALL-UNNAMED")
    done
    modules+=(--add-opens jdk.management/com.sun.management.internal=ALL-UNNAMED)
    local clock=()
    if [ -n "$cql_skew" ] && [ "$node" -eq "$CASSANDRA_NODES" ]; then
        cc -shared -fPIC -O1 -o "$home/skew.so" "$here/services.d/skew.c" -ldl || die "--cql-skew needs a C compiler"
        clock=(env "LD_PRELOAD=$home/skew.so" "SKEW_SECONDS=$cql_skew")
    fi
    spawn "$dir/cassandra/log" "${clock[@]}" "$(java_17)" -Xms768m -Xmx768m -XX:+UseSerialGC -Xss512k \
        -cp "$home:$cassandra_home/lib/*" "${modules[@]}" "${joining[@]}" \
        "-Dcassandra.config=file://$home/cassandra.yaml" "-Dcassandra.storagedir=$home" \
        "-Dcassandra.jmx.local.port=$jmx" "-Dlogback.configurationFile=$home/logback.xml" \
        -Dcassandra.superuser_setup_delay_ms=0 -Dcassandra-foreground=yes -Djna.tmpdir="$home" -Djava.io.tmpdir="$home" \
        org.apache.cassandra.service.CassandraDaemon
    printf -v "CASSANDRA_$node" '%s' "$spawned"
    cassandra_note
    # OPTIONS of protocol version 4 is answered with SUPPORTED.
    until_it_answers "$spawned" 240 answers "127.0.0.$node" "$CQL_PORT" '\4\0\0\0\5\0\0\0\0' 8400000006 && alive "$spawned"
}

cassandra_yaml() {
    local home="$dir/cassandra/node$1"
    cat <<TEXT
cluster_name: stampede
num_tokens: 4
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: periodic
commitlog_sync_period: 10000ms
listen_address: 127.0.0.$1
rpc_address: 127.0.0.$1
native_transport_port: $CQL_PORT
storage_port: $CASSANDRA_STORAGE
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:$CASSANDRA_STORAGE"
data_file_directories: ["$home/data"]
commitlog_directory: $home/commitlog
hints_directory: $home/hints
saved_caches_directory: $home/saved_caches
cdc_raw_directory: $home/cdc
paxos_variant: v2
authenticator: AllowAllAuthenticator
authorizer: AllowAllAuthorizer
network_authorizer: AllowAllNetworkAuthorizer
TEXT
}

cassandra_stop() {
    local node process
    for node in 3 2 1; do
        process=CASSANDRA_$node
        end "${!process}" "$(patience 15)"
    done
}

cassandra_env() {
    local node process points=''
    for ((node = 1; node <= CASSANDRA_NODES; node++)); do points+=",127.0.0.$node:$CQL_PORT"; done
    echo "CQL_CONTACT_POINTS=${points#,}"
    echo "CQL_PORT=$CQL_PORT"
    for ((node = 1; node <= CASSANDRA_NODES; node++)); do
        process=CASSANDRA_$node
        process=${!process}
        echo "CASSANDRA_PID_$node=${process%%:*}"
    done
}
