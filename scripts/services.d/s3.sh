# shellcheck shell=bash
# An S3 server: MinIO, with one bucket.

readonly s3_bucket=dualrun-test
# MinIO tags its releases by date, which Go does not take for versions: this is the newest commit when it was tried
readonly minio_module=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

s3_url() {
    printf 'http://%s:%s@127.0.0.1:%s/%s' "$user" "$password" "$s3_port" "$s3_bucket"
}

s3_env() {
    printf '# http://access-key:secret@endpoint/bucket\n'
    printf 'export DUALRUN_TEST_S3_URL=%q\n' "$(s3_url)"
}

s3_summary() {
    printf 'MinIO on 127.0.0.1:%s, bucket %s' "$s3_port" "$s3_bucket"
}

s3_healthy() {
    s3_lives && [ "$(s3_request HEAD)" = 200 ]
}

s3_start() {
    need curl "install curl"
    if command -v minio >/dev/null; then
        ln -sf "$(command -v minio)" "$bin/minio"
    else
        go_program minio "$minio_module"
    fi
    end_spawned minio
    need_free_port "$s3_port" DUALRUN_S3_PORT
    mkdir -p "$services/minio"
    MINIO_ROOT_USER=$user MINIO_ROOT_PASSWORD=$password MINIO_BROWSER=off MINIO_UPDATE=off \
        spawn minio "$bin/minio" server --quiet --address "127.0.0.1:$s3_port" "$services/minio"
    wait_for minio 30 s3_lives
    s3_request PUT >/dev/null
    wait_for minio 10 s3_healthy
}

s3_stop() {
    end_spawned minio
}

s3_lives() {
    curl -fsS -o /dev/null --noproxy '*' --max-time 5 "http://127.0.0.1:$s3_port/minio/health/live" 2>/dev/null
}

# A signed request for the bucket; prints the HTTP status. The secret goes through a file descriptor, not the arguments.
s3_request() {
    local method=(-X "$1")
    [ "$1" != HEAD ] || method=(-I)
    curl -sS -o /dev/null --noproxy '*' --max-time 10 -w '%{http_code}' "${method[@]}" \
        --aws-sigv4 aws:amz:us-east-1:s3 -K <(printf 'user = "%s:%s"\n' "$user" "$password") \
        "http://127.0.0.1:$s3_port/$s3_bucket" 2>/dev/null
}
