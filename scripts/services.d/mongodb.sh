# shellcheck shell=bash
# MongoDB: a mongod with its mongosh on the PATH, else FerretDB over documentdb, which speaks the same wire protocol.

readonly ferretdb_module=github.com/FerretDB/FerretDB/v2/cmd/ferretdb@v2.7.0

mongodb_url() {
    printf 'mongodb://%s:%s@127.0.0.1:%s/' "$user" "$password" "$mongodb_port"
}

mongodb_env() {
    printf '# without TLS\n'
    printf 'export DUALRUN_TEST_MONGODB_URL=%q\n' "$(mongodb_url)"
    printf '# the same server with TLS; its authority is ca.pem in DUALRUN_TEST_TLS\n'
    printf 'export DUALRUN_TEST_MONGODB_TLS_URL=%q\n' \
        "mongodb://$user:$password@127.0.0.1:$(tls_port)/?tls=true"
    printf 'export DUALRUN_TEST_TLS=%q\n' "$tls"
}

mongodb_summary() {
    local what
    if mongodb_is_own; then
        what=$(mongod --version | head -n 1)
    else
        what="FerretDB ${ferretdb_module##*@}"
    fi
    printf '%s on 127.0.0.1:%s, with TLS on %s' "$what" "$mongodb_port" "$(tls_port)"
}

mongodb_healthy() {
    mongodb_answers "$mongodb_port" && port_is_open "$(tls_port)" && { mongodb_is_own || documentdb_healthy; }
}

# A mongod speaks both on one port.
tls_port() {
    if mongodb_is_own; then printf '%s' "$mongodb_port"; else printf '%s' "$mongodb_tls_port"; fi
}

mongodb_start() {
    certificates
    mongodb_stop
    if mongodb_is_own; then mongod_start; else ferretdb_start; fi
}

mongodb_stop() {
    end_spawned mongod
    end_spawned ferretdb
    documentdb_stop
}

mongodb_is_own() {
    command -v mongod >/dev/null && command -v mongosh >/dev/null
}

ferretdb_start() {
    documentdb_start
    if command -v ferretdb >/dev/null; then
        ln -sf "$(command -v ferretdb)" "$bin/ferretdb"
    else
        go_program ferretdb "$ferretdb_module"
    fi
    need_free_port "$mongodb_port" DUALRUN_MONGODB_PORT
    need_free_port "$mongodb_tls_port" DUALRUN_MONGODB_TLS_PORT
    mkdir -p "$services/ferretdb"
    spawn ferretdb "$bin/ferretdb" \
        --postgresql-url="postgres://postgres@127.0.0.1:$documentdb_port/postgres" \
        --listen-addr="127.0.0.1:$mongodb_port" --listen-tls="127.0.0.1:$mongodb_tls_port" \
        --listen-tls-cert-file="$tls/server.pem" --listen-tls-key-file="$tls/server.key" \
        --telemetry=disable --debug-addr=- --state-dir="$services/ferretdb" --log-level=WARN
    wait_for ferretdb 30 mongodb_healthy
}

# A replica set of one member, since snapshot reads, transactions and change streams need a set.
mongod_start() {
    local data=$services/mongod log=$logs/mongod.log
    need_free_port "$mongodb_port" DUALRUN_MONGODB_PORT
    mkdir -p "$data"
    [ -f "$services/mongod.key" ] || (umask 077 && openssl rand -base64 96 >"$services/mongod.key")
    spawn mongod mongod --dbpath "$data" --bind_ip 127.0.0.1 --port "$mongodb_port" --replSet dualrun \
        --keyFile "$services/mongod.key" --tlsMode allowTLS --tlsCertificateKeyFile "$tls/server-and-key.pem" \
        --tlsCAFile "$tls/ca.pem" --tlsAllowConnectionsWithoutCertificates
    wait_for mongod 60 mongodb_answers "$mongodb_port"
    mongosh --quiet --port "$mongodb_port" --eval "
        try { rs.status() } catch (e) {
            if (e.codeName === 'NotYetInitialized')
                rs.initiate({_id: 'dualrun', members: [{_id: 0, host: '127.0.0.1:$mongodb_port'}]})
        }
        while (!db.hello().isWritablePrimary) sleep(100)
        try { db.getSiblingDB('admin').createUser({user: '$user', pwd: '$password', roles: ['root']}) } catch (e) {
            if (!['Unauthorized', 'Location51003'].includes(e.codeName)) throw e
        }" >>"$log" 2>&1 || { show_end_of "$log"; fail "mongod does not become a primary"; }
}

# Sends the command hello and waits for a whole header of the answer. Works without a driver and without a login.
mongodb_answers() {
    local header
    header=$(
        exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
        # OP_MSG of 52 bytes with the document {hello: 1, $db: "admin"}
        printf '\x34\0\0\0\1\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x1f\0\0\0\x10hello\0\1\0\0\0\x02$db\0\x06\0\0\0admin\0\0' >&3
        timeout 5 head -c 16 <&3 | od -An -tx1 -j 8 -N 8
    )
    # the answer to request 1, itself an OP_MSG
    [ "$header" = ' 01 00 00 00 dd 07 00 00' ]
}
