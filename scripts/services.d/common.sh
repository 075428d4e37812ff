# shellcheck shell=bash
# What the servers have in common: folders, ports, certificates, processes with pid files, waiting.

services=${DUALRUN_CACHE:-$HOME/.cache/dualrun}/services
mkdir -p "$services"
services=$(cd "$services" && pwd)
readonly services
readonly bin=$services/bin logs=$services/logs pids=$services/pids tls=$services/tls
readonly postgres_port=${DUALRUN_POSTGRES_PORT:-25432}
readonly documentdb_port=${DUALRUN_DOCUMENTDB_PORT:-25433}
readonly mongodb_port=${DUALRUN_MONGODB_PORT:-27117}
readonly mongodb_tls_port=${DUALRUN_MONGODB_TLS_PORT:-27118}
readonly s3_port=${DUALRUN_S3_PORT:-29000}
# for servers that hold nothing but test data and listen on 127.0.0.1 only
readonly user=dualrun password=dualrun-secret
mkdir -p "$bin" "$logs" "$pids"

say() {
    printf '%-9s %s\n' "$1" "$2"
}

fail() {
    printf 'services: %s\n' "$1" >&2
    exit 1
}

variable_of() {
    printf 'DUALRUN_TEST_%s_URL' "${1^^}"
}

# Whether the environment names a server of its own. The one that `env` printed for ours does not count.
given() {
    local variable value
    variable=$(variable_of "$1")
    value=${!variable:-}
    [ -n "$value" ] && [ "$value" != "$("$1_url")" ]
}

# One start or stop of a server at a time; the others wait for it and then find the server running.
lock() {
    exec 9>"$services/$1.lock"
    flock -w 900 9 || fail "another start or stop holds $services/$1.lock"
}

need() {
    command -v "$1" >/dev/null || fail "$1 is missing: $2"
}

# Runs a build step quietly; its output is in a log, of which a failure shows the end.
logged() {
    local log=$logs/$1.log
    shift
    if ! "$@" >>"$log" 2>&1 9>&-; then
        show_end_of "$log"
        fail "failed: $1 (whole log: $log)"
    fi
}

show_end_of() {
    if [ -f "$1" ]; then
        printf -- '--- end of %s\n' "$1" >&2
        tail -n 20 "$1" >&2
    fi
}

# Waits until a spawned process passes a check; gives up when it has ended, or after so many seconds.
wait_for() {
    local name=$1 seconds=$2 end log=$logs/$1.log
    shift 2
    end=$((SECONDS + seconds))
    until "$@"; do
        if ended "$name" || [ "$SECONDS" -ge "$end" ]; then
            show_end_of "$log"
            fail "$name is not healthy (whole log: $log)"
        fi
        sleep 0.2
    done
}

# Starts a process that outlives this script: its own session, no inherited lock, output in a log, a pid file.
spawn() {
    local name=$1
    shift
    setsid --fork "$BASH" -c 'echo $$ >"$0"; exec "$@"' "$pids/$name.pid" "$@" \
        >>"$logs/$name.log" 2>&1 </dev/null 9>&-
}

# Ends a spawned process, if the pid is still that program's.
end_spawned() {
    local file=$pids/$1.pid pid
    [ -f "$file" ] || return 0
    pid=$(<"$file")
    if spawned_runs "$1"; then
        kill "$pid"
        local _
        for _ in {1..50}; do
            spawned_runs "$1" || break
            sleep 0.1
        done
        if spawned_runs "$1"; then kill -KILL "$pid"; fi
    fi
    rm -f "$file"
}

ended() {
    local file=$pids/$1.pid
    [ -f "$file" ] && [ -z "$(program_of "$(<"$file")")" ]
}

spawned_runs() {
    local file=$pids/$1.pid
    [ -f "$file" ] && [ "$(program_of "$(<"$file")")" = "$1" ]
}

# Whether the pid file of a PostgreSQL data folder names a PostgreSQL: after a crash the number may be another's.
runs_postgres() {
    local pid
    read -r pid 2>/dev/null <"$1/postmaster.pid" && [ "$(program_of "$pid")" = postgres ]
}

# The program of a process; nothing if it has ended, be it that nobody has collected its exit code yet.
program_of() {
    awk '/^Name:/ { name = $2 } /^State:/ && $2 != "Z" { print name }' "/proc/$1/status" 2>/dev/null
}

port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

port_is_open() {
    ! port_is_free "$1"
}

need_free_port() {
    port_is_free "$1" || fail "port $1 is taken by another program; $2=… chooses another"
}

# Installs Debian packages, where this is a Debian and we may.
debian_packages() {
    need apt-get "install $* by hand"
    [ "$(id -u)" = 0 ] || fail "needs root to install $*; install it by hand"
    logged packages nice apt-get -q -o DPkg::Lock::Timeout=300 update
    logged packages nice env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
}

# Builds a Go program once. It is moved into place when done, so an interrupted build leaves nothing.
go_program() {
    local name=$1 module=$2 folder
    [ -x "$bin/$name" ] && return
    need go "install Go, or put $name on the PATH"
    say "$name" "building (once)"
    rm -rf "$services/go-$name"-??????
    folder=$(mktemp -d "$services/go-$name-XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    logged "build-$name" nice env GOBIN="$folder" go install "$module"
    mv "$folder/$name" "$bin/$name"
    rm -rf "$folder"
}

# A certificate authority and a server certificate for localhost and 127.0.0.1 signed by it; another authority that
# signed neither; and a server certificate that has expired. Made once.
certificates() {
    [ -f "$tls/ca.pem" ] && return
    need openssl "install openssl"
    local folder
    folder=$(mktemp -d "$services/tls-XXXXXX")
    authority "$folder/ca" "dualrun test authority"
    authority "$folder/other-ca" "another authority"
    server_certificate "$folder" server 20250101000000Z 20450101000000Z
    server_certificate "$folder" expired 20200101000000Z 20210101000000Z
    cat "$folder/server.pem" "$folder/server.key" >"$folder/server-and-key.pem"
    chmod 755 "$folder"
    chmod 600 "$folder"/*key*
    # two servers may have made them at once: the first stays
    mv -nT "$folder" "$tls"
    rm -rf "$folder"
}

authority() {
    logged tls openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 7300 \
        -keyout "$1.key" -out "$1.pem" -subj "/CN=$2" \
        -addext keyUsage=critical,keyCertSign,cRLSign
}

# `openssl ca` is the only command of all versions that takes both dates.
server_certificate() {
    local folder=$1 name=$2 from=$3 to=$4 work
    work=$(mktemp -d "$folder/ca-XXXXXX")
    touch "$work/index.txt"
    cat >"$work/ca.conf" <<CONF
[ca]
default_ca = this
[this]
database = $work/index.txt
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
[server]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
CONF
    logged tls openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -keyout "$folder/$name.key" -out "$work/request.pem" -subj "/CN=localhost"
    logged tls openssl ca -batch -notext -config "$work/ca.conf" -extensions server \
        -cert "$folder/ca.pem" -keyfile "$folder/ca.key" -startdate "$from" -enddate "$to" \
        -in "$work/request.pem" -out "$folder/$name.pem"
    rm -rf "$work"
}
