# shellcheck shell=bash
# PostgreSQL 18 with the extension documentdb, the store under FerretDB. Debian has it in sid only, whose libc is newer
# than that of the releases, so it lives in a root folder of its own. Mounts are made in a mount namespace of the
# process that needs them: they end with it, whatever ends it.

readonly documentdb_root=$services/documentdb
readonly documentdb_data=/var/lib/postgresql/data
readonly documentdb_programs=/usr/lib/postgresql/18/bin

documentdb_healthy() {
    [ -d "$documentdb_root" ] && documentdb_ask 'select 1' >/dev/null 2>&1
}

documentdb_start() {
    if documentdb_healthy; then return; fi
    documentdb_build
    documentdb_stop
    need_free_port "$documentdb_port" DUALRUN_DOCUMENTDB_PORT
    local log=$documentdb_root/var/lib/postgresql/server.log
    in_root "$documentdb_root" runuser -u postgres -- "$documentdb_programs/pg_ctl" start -D "$documentdb_data" \
        -l /var/lib/postgresql/server.log -w -t 60 -o "-p $documentdb_port -c cron.host=127.0.0.1" \
        >/dev/null 2>&1 </dev/null 9>&- || { show_end_of "$log"; fail "the store of FerretDB does not start"; }
    logged documentdb-extension documentdb_ask 'create extension if not exists documentdb cascade'
    documentdb_user
}

documentdb_stop() {
    runs_postgres "$documentdb_root$documentdb_data" || return 0
    documentdb_control stop -m fast || documentdb_control stop -m immediate \
        || fail "PostgreSQL in $documentdb_root does not end"
}

# Needs no mounts: it reads the pid file and sends a signal.
documentdb_control() {
    chroot "$documentdb_root" runuser -u postgres -- "$documentdb_programs/pg_ctl" "$@" -D "$documentdb_data" \
        -w -t 30 >/dev/null 2>&1
}

# Debian's sid with the packages and an empty cluster, made aside and moved into place when done.
documentdb_build() {
    [ -d "$documentdb_root" ] && return
    [ "$(id -u)" = 0 ] || fail "FerretDB's store needs root (debootstrap); give DUALRUN_TEST_MONGODB_URL instead"
    command -v debootstrap >/dev/null || debian_packages debootstrap
    say documentdb "building (once)"
    local folder
    rm -rf "$services"/documentdb-??????
    folder=$(mktemp -d "$services/documentdb-XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf --one-file-system '$folder'" EXIT
    chmod 755 "$folder"
    logged build-documentdb nice unshare --mount --propagation private \
        debootstrap --variant=minbase sid "$folder"
    # services of installed packages are not started
    printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
    chmod 755 "$folder/usr/sbin/policy-rc.d"
    logged build-documentdb in_root "$folder" nice apt-get -q -o Acquire::Check-Valid-Until=false update
    logged build-documentdb in_root "$folder" env DEBIAN_FRONTEND=noninteractive \
        nice apt-get -q install -y --no-install-recommends postgresql-18-documentdb
    documentdb_create "$folder"
    rm -rf "$folder"/var/cache/apt/* "$folder"/var/lib/apt/lists/*
    mv "$folder" "$documentdb_root"
}

documentdb_create() {
    logged build-documentdb in_root "$1" runuser -u postgres -- \
        "$documentdb_programs/initdb" -D "$documentdb_data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync
    cat >>"$1$documentdb_data/postgresql.conf" <<'CONF'
shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb'
cron.database_name = 'postgres'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
# the data is thrown away, so a crash of the machine may cost it
fsync = off
synchronous_commit = off
full_page_writes = off
CONF
}

# The user that clients of FerretDB log in with.
documentdb_user() {
    [ "$(documentdb_ask "select count(*) from pg_roles where rolname = '$user'")" = 0 ] || return 0
    logged documentdb-user documentdb_ask "select documentdb_api.create_user('{\"createUser\": \"$user\",
        \"pwd\": \"$password\", \"roles\": [{\"role\": \"clusterAdmin\", \"db\": \"admin\"},
        {\"role\": \"readWriteAnyDatabase\", \"db\": \"admin\"}]}')"
}

documentdb_ask() {
    chroot "$documentdb_root" /usr/bin/env PGCONNECT_TIMEOUT=5 "$documentdb_programs/psql" -X -A -t -q \
        -h 127.0.0.1 -p "$documentdb_port" -U postgres -d postgres -c "$1"
}

# Runs a command inside a root folder with /proc and /dev.
in_root() {
    # shellcheck disable=SC2016
    unshare --mount --propagation private "$BASH" -euc '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TMPDIR=/tmp
        exec chroot "$root" "$@"' in_root "$@"
}
