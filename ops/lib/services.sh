# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # shared with the script that sources this
# Starts, watches and stops the two services. Sourced; needs var_dir and build_dir.
#
#   var/<service>/.env     the service's settings, and its working folder
#   var/log/<service>.log  what it writes
#   var/run/<service>.pid  process id and start time: a number alone may be another's by now
#   var/run/<service>.sum  digest of program, documents and settings that were started

services=(auth wallet)

service_pid() { # SERVICE: prints the process id, or fails when it does not run
    local pid started
    { read -r pid started <"$var_dir/run/$1.pid"; } 2>/dev/null || return 1
    [[ $(process_start "$pid") == "$started" ]] || return 1
    printf '%s' "$pid"
}

# process_start PID: its start in clock ticks since boot; fails for one that has ended, reaped or
# not. The name, in parentheses, may hold anything.
process_start() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra stat <<<"${stat##*) }"
    [[ ${stat[0]} != [ZX] ]] || return 1
    printf '%s' "${stat[19]}"
}

service_holds_port() { # SERVICE PORT
    service_pid "$1" >/dev/null && grep -qsx "UVICORN_PORT=$2" "$var_dir/$1/.env"
}

service_program() { # SERVICE
    printf '%s/bin/%s_api' "$build_dir" "$1"
}

service_sum() { # SERVICE
    cat "$(service_program "$1")" "$build_dir/share/openapi/$1_api.json" "$var_dir/$1/.env" |
        sha256sum
}

service_is_current() { # SERVICE
    service_pid "$1" >/dev/null &&
        [[ $(cat "$var_dir/run/$1.sum" 2>/dev/null) == "$(service_sum "$1")" ]]
}

service_start() { # SERVICE PORT_NAME PORT
    local log=$var_dir/log/$1_api.log pid start
    local command=("$(service_program "$1")")
    # Hashing passwords is not to be noticed by who has logged in (auth_api/README.md, "Under load").
    [[ $1 != auth ]] || command=("$repo/ops/lib/giving-way" "${command[@]}")
    check_port_free "$2" "$3"
    make_folder "$var_dir/$1" 0700
    if [[ $(stat -c %s "$log" 2>/dev/null || echo 0) -gt $((32 * 1024 * 1024)) ]]; then
        mv "$log" "$log.1"
    fi
    (umask 077 && : >>"$log")
    service_sum "$1" >"$var_dir/run/$1.sum"
    (
        cd "$var_dir/$1" || exit
        # The environment wins over .env, and the caller's may be meant for something else.
        unset POSTGRES_USER POSTGRES_PASSWORD POSTGRES_HOST POSTGRES_PORT POSTGRES_DB \
            POSTGRES_ADMIN_USER POSTGRES_ADMIN_PASSWORD POSTGRES_ADMIN_DB \
            JWT_SECRET FEED_SECRET UVICORN_PORT PORT
        ulimit -c 0
        become_daemon "$log" '' "${command[@]}"
    ) &
    pid=$!
    disown
    start=$(process_start "$pid") || start=ended
    printf '%s %s\n' "$pid" "$start" >"$var_dir/run/$1.pid"
}

service_answers() { # PORT
    curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "http://127.0.0.1:$1/readyz"
}

service_ready_or_ended() { # SERVICE PORT
    ! service_pid "$1" >/dev/null || service_answers "$2"
}

service_wait_ready() { # SERVICE PORT
    local log=$var_dir/log/$1_api.log
    if wait_until 30 service_ready_or_ended "$1" "$2"; then
        service_pid "$1" >/dev/null && return
        die "$1_api ended at once: $(tail -n 1 "$log") (see $log)"
    fi
    die "$1_api is not ready on port $2 after 30 s: $(tail -n 1 "$log") (see $log)"
}

service_ended() { # SERVICE
    ! service_pid "$1" >/dev/null
}

# Asks all that run to end, then waits for them together.
services_stop() { # SERVICE …
    local service pid
    local -a running=()
    for service in "$@"; do
        if pid=$(service_pid "$service"); then
            kill -s TERM "$pid"
            running+=("$service")
        fi
    done
    for service in "${running[@]}"; do
        if ! wait_until 15 service_ended "$service"; then
            say "$program: ${service}_api did not end within 15 s and was killed" >&2
            pid=$(service_pid "$service") && kill -s KILL "$pid"
            wait_until 5 service_ended "$service" || true
        fi
    done
    for service in "$@"; do
        rm -f "$var_dir/run/$service.pid" "$var_dir/run/$service.sum"
    done
}
