# shellcheck shell=bash
# shellcheck disable=SC2154  # program and var_dir are the caller's
# What every script of ops/ begins with: places, settings, messages, steps. Sourced, never run.
# A script sets `program` (its name in messages) before it sources this file.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
export LC_ALL=C.UTF-8
umask 022

# The caller's libpq settings would redirect every psql below.
unset PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGPASSFILE PGSERVICE PGSERVICEFILE \
    PGOPTIONS PGSSLMODE PGDATA PGAPPNAME

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "$program" "$*" >&2
    exit 1
}

# absolute PATH: relative paths start at the checkout, wherever the caller stands.
absolute() {
    case $1 in
    /*) realpath -m -- "$1" ;;
    *) realpath -m -- "$repo/$1" ;;
    esac
}

check_port() { # NAME VALUE
    if ! [[ $2 =~ ^[1-9][0-9]{0,4}$ ]] || (($2 > 65535)); then
        die "$1 must be a port from 1 to 65535, not '$2'"
    fi
}

check_system() {
    local id='' version=''
    if [[ -r /etc/os-release ]]; then
        id=$(. /etc/os-release && printf '%s' "${ID:-}")
        version=$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")
    fi
    [[ $id == debian && $version == 12 ]] ||
        die "needs Debian 12 (bookworm); this is '${id:-$(uname -s)} ${version}'"
}

free_kib() { # PATH: space left on the file system of the nearest folder that exists
    local path=$1
    while [[ ! -d $path ]]; do
        path=$(dirname "$path")
    done
    df -Pk -- "$path" | awk 'NR == 2 { print $4 }'
}

check_space() { # MIB PATH
    local left
    left=$(free_kib "$2")
    ((left >= $1 * 1024)) ||
        die "the disk is nearly full: $2 has $((left / 1024)) MiB left, $1 MiB are needed"
}

make_folder() { # PATH [MODE]
    local owner
    if ! mkdir -p -- "$1" 2>/dev/null || ! [[ -w $1 && -x $1 ]]; then
        owner=$(stat -c 'it belongs to %U' -- "$1" 2>/dev/null) || owner='it cannot be made'
        die "$(id -un) cannot write to $1 ($owner); choose another VAR_DIR or another account"
    fi
    [[ -z ${2:-} ]] || chmod "$2" -- "$1"
}

# step TITLE LOG COMMAND …: one line while all goes well, the end of the log when it does not.
step() {
    local title=$1 log=$2 path
    shift 2
    say "$title …"
    if "$@" >"$log" 2>&1 9>&-; then
        return 0
    fi
    for path in "$repo" "$log" /tmp; do
        if (($(free_kib "$path") < 32 * 1024)); then
            die "$title failed because the disk is full: $path has no space left"
        fi
    done
    tail -n 25 -- "$log" >&2
    die "$title failed; all of it is in $log"
}

# port_holder PORT: prints who listens on it ("pid 12 (nginx)" or "another process"), or fails.
port_holder() {
    local hex inode fd
    hex=$(printf '%04X' "$1")
    inode=$(awk -v port=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10; exit }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null) || true
    [[ -n $inode ]] || return 1
    fd=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" -print -quit 2>/dev/null) || true
    if [[ $fd =~ ^/proc/([0-9]+)/ ]]; then
        printf 'pid %s (%s)' "${BASH_REMATCH[1]}" \
            "$(cat "/proc/${BASH_REMATCH[1]}/comm" 2>/dev/null || echo '?')"
    else
        printf 'a process of another user'
    fi
}

check_port_free() { # NAME PORT
    local holder
    if holder=$(port_holder "$2"); then
        die "port $2 is taken by $holder; choose another with $1=<port>"
    fi
}

wait_until() { # SECONDS COMMAND …: polls ten times a second
    local tries=$(($1 * 10))
    shift
    until "$@"; do
        ((tries-- > 0)) || return 1
        sleep 0.1
    done
}

# become_daemon LOG KEEP COMMAND …: in a subshell, replaces it by COMMAND in a session of its own,
# without the caller's open files: they may be a pipe that somebody waits on. KEEP is a file
# descriptor that stays open, or empty.
become_daemon() {
    local log=$1 keep=$2 fd
    shift 2
    for fd in /proc/"$BASHPID"/fd/*; do
        fd=${fd##*/}
        if ((fd > 2)) && [[ $fd != "$keep" ]]; then
            exec {fd}>&-
        fi
    done
    exec setsid "$@" </dev/null >>"$log" 2>&1
}

# Files of two accounts in one VAR_DIR would be in each other's way.
check_var_owner() {
    [[ -O $var_dir ]] || die "$var_dir belongs to $(stat -c %U -- "$var_dir"): run this from that" \
        "account, or choose another VAR_DIR"
}

# One script at a time works on a VAR_DIR. The lock is file 9, which no daemon inherits.
lock_var_dir() {
    exec 9>"$var_dir/run/lock"
    if ! flock --nonblock 9; then
        say "waiting for another ops/up or ops/down on $var_dir …"
        flock 9
    fi
}

unlock_var_dir() {
    exec 9>&-
}
