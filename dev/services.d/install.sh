# Installs what a server needs: Debian's packages, and Cassandra's jars through Maven. Part of dev/services.
# shellcheck shell=bash

# Cassandra's jars are kept between runs, for all checkouts.
cassandra_version=5.0.6
cassandra_home="${XDG_CACHE_HOME:-$HOME/.cache}/stampede/cassandra-$cassandra_version"

have() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }

# Cassandra 5.0 runs on Java 17 (or 11), not on any newer one. Prints the path of such a `java`.
java_17() {
    local java
    for java in "${JAVA_HOME:-/nowhere}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*17*/bin/java; do
        if [ -x "$java" ] && "$java" -version 2>&1 | grep -q 'version "17\.'; then
            echo "$java"
            return
        fi
    done
    return 1
}

# Debian packages that server $1 lacks.
missing_packages() {
    case "$1" in
        prometheus)
            have promtool || echo prometheus
            # What runbooks are typed with.
            have curl || echo curl
            ;;
        redis) have redis-server || echo redis-server ;;
        rabbitmq) [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && have epmd || echo rabbitmq-server ;;
        cassandra)
            java_17 >/dev/null || echo openjdk-17-jre-headless
            [ -e "$cassandra_home/complete" ] || have mvn || echo maven
            ;;
    esac
}

install() {
    local server packages=()
    for server in "$@"; do
        mapfile -t -O "${#packages[@]}" packages < <(missing_packages "$server")
    done
    local jars=no
    if [[ " $* " == *" cassandra "* ]] && [ ! -e "$cassandra_home/complete" ]; then jars=yes; fi
    [ ${#packages[@]} -gt 0 ] || [ "$jars" = yes ] || return 0

    exec 8>"${TMPDIR:-/tmp}/stampede-services-install.$(id -u).lock"
    flock -w 600 8 || die "another installation does not end"
    if [ ${#packages[@]} -gt 0 ]; then install_packages "$@"; fi
    if [ "$jars" = yes ]; then install_cassandra; fi
    exec 8>&-
}

install_packages() {
    local server packages=() root=()
    # Asked again: another run may have been faster.
    for server in "$@"; do
        mapfile -t -O "${#packages[@]}" packages < <(missing_packages "$server")
    done
    [ ${#packages[@]} -gt 0 ] || return 0
    have apt-get || die "missing: ${packages[*]} (Debian's names), and there is no apt-get to install them with"
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || die "missing: ${packages[*]}; installing them needs root or sudo"
        root=(sudo)
    fi
    say "will install with apt-get: ${packages[*]} (started by nobody but this script)"
    local log
    log=$(mktemp)
    if ! { without_services "${root[@]}" -- "${packages[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "could not be installed: ${packages[*]}"
    fi
    rm -f "$log"
    packages=()
    for server in "$@"; do
        mapfile -t -O "${#packages[@]}" packages < <(missing_packages "$server")
    done
    [ ${#packages[@]} -eq 0 ] || die "still missing after apt-get: ${packages[*]}"
}

# Debian's packages start what they bring as a service of the system. For this run they are told not to.
without_services() (
    root=()
    while [ "$1" != -- ]; do root+=("$1"); shift; done
    shift
    policy=/usr/sbin/policy-rc.d
    kept=''
    restore() {
        if [ -n "$kept" ]; then "${root[@]}" mv "$kept" "$policy"; else "${root[@]}" rm -f "$policy"; fi
    }
    if ! grep -qs '^exit 101' "$policy"; then
        if [ -e "$policy" ]; then
            kept="$policy.before-stampede"
            "${root[@]}" mv "$policy" "$kept"
        fi
        trap restore EXIT
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod +x "$policy"
    fi
    apt() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null; }
    apt update -qq && apt install -y -qq --no-install-recommends "$@"
)

install_cassandra() {
    [ ! -e "$cassandra_home/complete" ] || return 0
    say "will fetch with Maven: Apache Cassandra $cassandra_version and its libraries (66 MB), into $cassandra_home"
    mkdir -p "$cassandra_home"
    local log="$cassandra_home/maven.log" tries
    for tries in 1 2 3; do
        if JAVA_HOME=$(dirname "$(dirname "$(readlink -f "$(java_17)")")") mvn -q -B -f "$here/cassandra/pom.xml" \
            dependency:copy-dependencies -DoutputDirectory="$cassandra_home/lib" >"$log" 2>&1 </dev/null; then
            touch "$cassandra_home/complete"
            return 0
        fi
        say "Maven failed ($tries of 3)"
    done
    tail -n 20 "$log" >&2
    die "could not be fetched: org.apache.cassandra:cassandra-all:$cassandra_version"
}
