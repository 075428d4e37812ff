# shellcheck shell=bash
# PostgreSQL of this machine's packages: TCP with scram passwords, TLS offered, a superuser.

postgres_url() {
    printf 'postgres://%s:%s@127.0.0.1:%s/dualrun' "$user" "$password" "$postgres_port"
}

postgres_env() {
    printf 'export DUALRUN_TEST_POSTGRES_URL=%q\n' "$(postgres_url)"
    printf 'export DUALRUN_TEST_TLS=%q\n' "$tls"
}

postgres_summary() {
    local version
    version=$(postgres_ask "show server_version")
    printf 'PostgreSQL %s on 127.0.0.1:%s (TLS offered)' "${version%% *}" "$postgres_port"
}

postgres_healthy() {
    [ "$(postgres_ask 'select 1')" = 1 ]
}

postgres_start() {
    postgres_programs >/dev/null || debian_packages postgresql
    certificates
    local data log
    data=$(postgres_data)
    log=$data.log
    # a server that hangs, or that was killed and left its pid file
    postgres_stop
    need_free_port "$postgres_port" DUALRUN_POSTGRES_PORT
    [ -f "$data/PG_VERSION" ] || postgres_create "$data"
    as_postgres "$(postgres_programs)/pg_ctl" start -D "$data" -l "$log" -w -t 60 \
        -o "-p $postgres_port" >/dev/null 2>&1 9>&- || { show_end_of "$log"; return 1; }
    [ "$(postgres_ask "select count(*) from pg_database where datname = 'dualrun'" postgres)" = 1 ] \
        || postgres_ask 'create database dualrun' postgres >/dev/null
    postgres_healthy
}

postgres_stop() {
    local data
    data=$(postgres_data)
    runs_postgres "$data" || return 0
    as_postgres "$(postgres_programs)/pg_ctl" stop -D "$data" -m fast -w -t 30 >/dev/null 2>&1 \
        || as_postgres "$(postgres_programs)/pg_ctl" stop -D "$data" -m immediate -w -t 30 >/dev/null 2>&1 \
        || fail "PostgreSQL in $data does not end"
}

# The folder of initdb and postgres: the newest of Debian's, else what the PATH has.
postgres_programs() {
    local folder
    folder=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    if [ -x "$folder/initdb" ]; then
        printf '%s' "$folder"
    elif folder=$(command -v initdb); then
        dirname "$(readlink -f "$folder")"
    else
        return 1
    fi
}

# PostgreSQL refuses to run as root, and its own user may not be able to enter root's home.
postgres_data() {
    if [ "$(id -u)" != 0 ] || runuser -u postgres -- test -x "$services" 2>/dev/null; then
        printf '%s/postgres/data' "$services"
    else
        printf '/var/lib/dualrun-services/%s/data' "$(printf '%s' "$services" | cksum | cut -d' ' -f1)"
    fi
}

as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

postgres_create() {
    local data=$1 new secret
    new=$(dirname "$data")/new
    mkdir -p "$(dirname "$data")"
    rm -rf "$new"
    mkdir -m 700 "$new"
    secret=$(dirname "$data")/password
    (umask 077 && printf '%s' "$password" >"$secret")
    [ "$(id -u)" != 0 ] || chown -R postgres: "$(dirname "$data")"
    logged postgres-create as_postgres "$(postgres_programs)/initdb" -D "$new" -U "$user" --pwfile "$secret" \
        -A scram-sha-256 -E UTF8 --locale=C --no-sync
    rm -f "$secret"
    cp "$tls/server.pem" "$tls/server.key" "$new/"
    cat >>"$new/postgresql.conf" <<'CONF'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
max_connections = 200
timezone = 'UTC'
# the data is thrown away, so a crash of the machine may cost it
fsync = off
synchronous_commit = off
full_page_writes = off
CONF
    [ "$(id -u)" != 0 ] || chown postgres: "$new"/server.*
    mv "$new" "$data"
}

postgres_ask() {
    local programs
    programs=$(postgres_programs) || return 1
    PGPASSWORD=$password PGCONNECT_TIMEOUT=5 "$programs/psql" -X -A -t -q -h 127.0.0.1 -p "$postgres_port" \
        -U "$user" -d "${2:-dualrun}" -c "$1" 2>/dev/null
}
