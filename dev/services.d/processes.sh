# Processes, ports and notes about them. Part of dev/services.
# shellcheck shell=bash disable=SC2154

# A process is known by its id and by when it started: an id alone is given out again.
# Prints the start of process $1, in clock ticks since boot; fails when it is gone, or dead and not yet reaped.
started() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra stat <<<"${stat##*) }"
    case "${stat[0]}" in Z|X) return 1 ;; esac
    echo "${stat[19]}"
}

# Is $1 an "ID:START" that still runs?
alive() {
    [ -n "$1" ] && [ "$(started "${1%%:*}")" = "${1#*:}" ]
}

# Starts a process that outlives this script: spawn LOG COMMAND ...; its "ID:START" is then in $spawned.
spawn() {
    local log=$1
    shift
    setsid "$@" </dev/null >>"$log" 2>&1 9>&- &
    spawned="$!:$(started $! || echo gone)"
}

# Ends the process "ID:START" $1: asks, waits up to $2 seconds, then kills.
end() {
    local tries
    alive "$1" || return 0
    if [ "$2" -gt 0 ]; then
        kill -TERM "${1%%:*}" 2>/dev/null || true
        for ((tries = 0; tries < $2 * 20; tries++)); do
            alive "$1" || return 0
            sleep 0.05
        done
    fi
    kill -KILL "${1%%:*}" 2>/dev/null || true
    for ((tries = 0; tries < 200; tries++)); do
        alive "$1" || return 0
        sleep 0.05
    done
    die "process ${1%%:*} does not end"
}

# How long a server may take to end in peace. What is thrown away needs none.
patience() { if [ -e "$dir/.temporary" ]; then echo 0; else echo "$1"; fi; }

# Does somebody listen on port $1?
taken() {
    local port
    printf -v port '%04X' "$1"
    grep -qsE "^ *[0-9]+: [0-9A-F]+:$port [0-9A-F]+:[0-9A-F]+ 0A" /proc/net/tcp /proc/net/tcp6
}

# Puts a port that nobody listens on into the variable named $1. It is below the range of ports that clients get.
picked=' '
free_port() {
    local tries candidate
    for ((tries = 0; tries < 500; tries++)); do
        candidate=$((15000 + RANDOM % 15000))
        if [[ "$picked" != *" $candidate "* ]] && ! taken "$candidate"; then
            picked+="$candidate "
            printf -v "$1" '%s' "$candidate"
            return
        fi
    done
    die "no free port"
}

# Waits until the command $3 ... succeeds, while "ID:START" $1 is alive, for $2 seconds at most.
until_it_answers() {
    local process=$1 tries=$(($2 * 5))
    shift 2
    for ((; tries > 0; tries--)); do
        if "$@"; then return 0; fi
        alive "$process" || return 1
        sleep 0.2
    done
    return 1
}

# Sends the bytes $3 (as printf writes them) to $1:$2 and succeeds when the answer's first bytes, in hex, are $4.
answers() {
    local answer
    answer=$(timeout 2 bash -c '
        exec 3<>"/dev/tcp/$1/$2" && printf "$3" >&3 && head -c "$4" <&3 | od -An -v -tx1 | tr -d " \n"' \
        answers "$1" "$2" "$3" "$((${#4} / 2))" 2>/dev/null) || true
    [ "$answer" = "$4" ]
}

# Tries to start a server on fresh ports up to three times, as somebody else may take one in between: start_once must
# succeed, or fail when the server ended or did not answer. With ports that were asked for or noted, it tries once.
with_ports() {
    local name=$1 fixed=$2 tries
    for tries in 1 2 3; do
        if "${name}_start_once"; then return 0; fi
        "${name}_stop"
        [ "$fixed" = no ] || break
        say "$name did not start; trying other ports ($tries)"
    done
    tail -n 20 "$dir/$name/log" >&2 || true
    die "$name did not start: $dir/$name/log"
}

# Notes the variables $2 ... of server $1 in its directory.
note() {
    local name=$1 variable
    shift
    for variable in "$@"; do printf '%s=%s\n' "$variable" "${!variable}"; done >"$dir/$name/state"
}

# Reads them back. They were written by `note`; no shell looks at the values.
read_state() {
    local variable value
    "${1}_forget"
    [ -f "$dir/$1/state" ] || return 0
    while IFS='=' read -r variable value; do
        printf -v "$variable" '%s' "$value"
    done <"$dir/$1/state"
}
