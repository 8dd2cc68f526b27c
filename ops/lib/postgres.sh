# shellcheck shell=bash
# shellcheck disable=SC2154  # repo and program come from common.sh
# A private PostgreSQL cluster in one folder. Sourced; ops/lib/cluster is the command-line form.
#
#   DIR/data            the cluster, with checksums; our settings are in data/pacioli.conf
#   DIR/socket          folder of the unix socket, unless DIR/socket_folder names another
#   DIR/postgresql.log
#
# PostgreSQL refuses to run as root. For root it runs as the system user postgres, who owns DIR
# but may be unable to walk to it (a checkout below /root). So the server inherits the data folder
# as an open file and is told that it lies at /proc/self/fd/N: that takes no permission on the
# way, no capability and no mount.

pg_bin=${PG_BIN:-/usr/lib/postgresql/15/bin} # another version for tests: ops/lib/postgres-16
pg_superuser=postgres

if ((EUID == 0)); then
    pg_account=postgres
    pg_as_server=(setpriv --reuid=postgres --regid=postgres --init-groups --no-new-privs
        --reset-env env LC_ALL=C.UTF-8)
else
    pg_account=$(id -un)
    pg_as_server=(env)
fi

pg_major() { # the version that $pg_bin is of
    "$pg_bin/postgres" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/'
}

pg_pid() { # DIR: prints the postmaster's process id, or fails when it does not run
    local pid
    { read -r pid <"$1/data/postmaster.pid"; } 2>/dev/null || return 1
    # The number may be another process's by now; only the server stands in this folder.
    [[ $pid =~ ^[0-9]+$ && $("${pg_as_server[@]}" readlink "/proc/$pid/cwd") == "$1/data" ]] || return 1
    printf '%s' "$pid"
}

pg_port() { # DIR: the port of the running server
    sed -n 4p "$1/data/postmaster.pid"
}

# The address of a unix socket has room for 107 bytes. When DIR lies too deep for that, a folder
# below /tmp takes its place, and DIR/socket_folder remembers it.
pg_socket_folder() { # DIR
    local folder=$1/socket
    if ((${#folder} + 16 > 107)); then
        read -r folder <"$1/socket_folder"
    fi
    printf '%s' "$folder"
}

pg_make_socket_folder() { # DIR
    local folder=$1/socket
    if ((${#folder} + 16 > 107)); then
        folder=$(cat "$1/socket_folder" 2>/dev/null) || folder=''
        if [[ -z $folder || $(stat -c %U "$folder" 2>/dev/null) != "$pg_account" ]]; then
            folder=$(mktemp -d /tmp/pacioli-XXXXXXXX)
            printf '%s\n' "$folder" >"$1/socket_folder"
        fi
    fi
    mkdir -p "$folder"
    chmod 0700 "$folder"
    ((EUID != 0)) || chown postgres:postgres "$folder"
}

pg_memory_mib() { # what this machine or this container has
    local kib limit
    kib=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
    limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null) || limit=max
    if [[ $limit =~ ^[0-9]+$ ]] && ((limit / 1024 < kib)); then
        kib=$((limit / 1024))
    fi
    printf '%s' $((kib / 1024))
}

pg_write_settings() { # DIR PORT
    local buffers socket compression=lz4
    # Not every build has it.
    [[ $(ldd "$pg_bin/postgres") == *liblz4* ]] || compression=pglz
    buffers=$(($(pg_memory_mib) / 8))
    ((buffers >= 32)) || buffers=32
    ((buffers <= 1024)) || buffers=1024
    socket=$(pg_socket_folder "$1")
    # Relative to the data folder, for the same reason.
    [[ $socket != "$1/socket" ]] || socket=../socket
    cat >"$1/data/pacioli.conf" <<EOF
# Written at every start by ops/lib/postgres.sh.
listen_addresses = '127.0.0.1'
port = $2
unix_socket_directories = '${socket//\'/\'\'}'
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'
max_connections = 200

# An answer is given after its commit is on the disk.
fsync = on
full_page_writes = on
synchronous_commit = on

shared_buffers = ${buffers}MB
wal_compression = $compression
min_wal_size = 1GB
max_wal_size = 4GB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
random_page_cost = 1.1
effective_io_concurrency = 64

timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d %a '
log_checkpoints = on
log_lock_waits = on
log_autovacuum_min_duration = 10s
# Parameters are personal data and secrets.
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
EOF
    ((EUID != 0)) || chown postgres:postgres "$1/data/pacioli.conf"
}

pg_prepare_folder() { # DIR
    local owner
    if ((EUID == 0)) && ! id -u postgres >/dev/null 2>&1; then
        die "the system user postgres does not exist; install postgresql-15"
    fi
    make_folder "$1"
    owner=$(stat -c %U "$1")
    if [[ -e $1/data ]]; then
        owner=$(stat -c %U "$1/data")
        [[ $owner == "$pg_account" ]] ||
            die "the cluster in $1 belongs to $owner; run this as $([[ $owner == postgres ]] &&
                echo root || echo "$owner"), or choose another VAR_DIR"
        [[ $(cat "$1/data/PG_VERSION") == "$(pg_major)" ]] ||
            die "the cluster in $1 is of PostgreSQL $(cat "$1/data/PG_VERSION"); this is $(pg_major)"
    elif ((EUID == 0)) && ! chown postgres:postgres "$1" 2>/dev/null; then
        die "cannot give $1 to the system user postgres; choose a VAR_DIR on a local file system"
    fi
}

# pg_init DIR PASSWORD LOG: makes the cluster; the password is the superuser's. Made beside its
# place and moved there when whole, so that an interrupted start leaves nothing half done.
pg_init() {
    local dir=$1 password=$2 log=$3
    rm -rf "$dir/data.new"
    mkdir -m 0700 "$dir/data.new"
    (umask 077 && printf '%s\n' "$password" >"$dir/superuser.new")
    ((EUID != 0)) || chown postgres:postgres "$dir/data.new" "$dir/superuser.new"
    step "Creating the database cluster" "$log" pg_run_initdb "$dir/data.new" "$dir/superuser.new"
    rm -f "$dir/superuser.new"
    mv "$dir/data.new" "$dir/data"
}

pg_run_initdb() { # DATA PASSWORD_FILE
    (
        exec 7<"$1" 8<"$2"
        cd / &&
            "${pg_as_server[@]}" "$pg_bin/initdb" -D /proc/self/fd/7 --pwfile=/proc/self/fd/8 \
                --username="$pg_superuser" --auth=scram-sha-256 --data-checksums \
                --encoding=UTF8 --locale=C.UTF-8 --no-instructions &&
            printf "\ninclude 'pacioli.conf'\n" >>"$1/postgresql.conf" &&
            : >"$1/pacioli.conf" &&
            # A role of one database has no business in another.
            printf '%s\n' 'REVOKE ALL ON DATABASE postgres FROM PUBLIC;' \
                'REVOKE ALL ON DATABASE template1 FROM PUBLIC;' |
            "${pg_as_server[@]}" "$pg_bin/postgres" --single -j -D /proc/self/fd/7 postgres
    )
}

pg_ready() { # DIR PROCESS: ready, or ended
    { pg_pid "$1" && [[ $(sed -n 8p "$1/data/postmaster.pid") == ready* ]]; } >/dev/null ||
        ! kill -0 "$2" 2>/dev/null
}

# pg_start DIR PORT: returns when it takes connections. Recovery after a crash may take its time.
pg_start() {
    local dir=$1 port=$2 process log=$1/postgresql.log
    pg_make_socket_folder "$dir"
    pg_write_settings "$dir" "$port"
    # One old log is kept.
    if [[ $(stat -c %s "$log" 2>/dev/null || echo 0) -gt $((32 * 1024 * 1024)) ]]; then
        mv "$log" "$log.1"
    fi
    (umask 077 && : >>"$log")
    # A killed server that nobody has waited for yet still counts as running in PostgreSQL's eyes.
    process=$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null) || true
    if [[ -n $process ]] && grep -qs '^State:[[:space:]]*Z' "/proc/$process/status"; then
        rm -f "$dir/data/postmaster.pid" "$(pg_socket_folder "$dir")"/.s.PGSQL.*.lock
    fi
    exec 7<"$dir/data"
    (cd / && become_daemon "$log" 7 "${pg_as_server[@]}" "$pg_bin/postgres" -D /proc/self/fd/7) &
    process=$!
    disown
    exec 7<&-
    if ! wait_until 600 pg_ready "$dir" "$process" || ! pg_pid "$dir" >/dev/null; then
        die "PostgreSQL did not start: $(grep -E 'FATAL|PANIC|ERROR|postgres:' "$log" | tail -n 1)" \
            "(see $log)"
    fi
}

pg_gone() { # DIR
    ! pg_pid "$1" >/dev/null
}

pg_stop() { # DIR [SIGNAL]: INT is a fast shutdown
    local pid
    pid=$(pg_pid "$1") || return 0
    kill -s "${2:-INT}" "$pid"
    wait_until 120 pg_gone "$1" || die "PostgreSQL (process $pid) does not stop; see $1/postgresql.log"
}
