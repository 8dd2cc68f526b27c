# shellcheck shell=bash
# shellcheck disable=SC2154  # repo comes from common.sh
# Installs what is missing of ops/packages.txt, with apt-get, as root or through sudo. Sourced.

package_list() { # KIND …
    local kind name
    while read -r kind name; do
        [[ " $* " != *" $kind "* ]] || printf '%s\n' "$name"
    done < <(grep -v '^\(#\|$\)' "$repo/ops/packages.txt")
    # A newer node than Debian's stays the user's choice.
    if ! { command -v node && command -v npm; } >/dev/null; then
        printf '%s\n' nodejs npm
    fi
}

package_missing() { # KIND …
    local -a wanted
    mapfile -t wanted < <(package_list "$@")
    comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) <(
        dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' |
            sed -n 's/^installed //p' | sed 's/([^)]*)//g' | tr -s ', ' '\n' | sort -u
    )
}

# apt_install LOG PACKAGE …
# Debian's postgresql packages make and start a cluster of their own. Ours is private, so that is
# switched off while they are installed, and only then.
apt_install() {
    local log=$1 drop_in=/etc/postgresql-common/createcluster.d/pacioli.conf
    shift
    local -a as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            die "these packages are missing and only root can install them: $*"
        elif ! { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
            die "sudo does not let $(id -un) install these packages: $*"
        fi
        as_root=(sudo)
    fi
    # shellcheck disable=SC2016  # expanded by the inner shell
    step "Installing $# packages" "$log" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        LC_ALL=C.UTF-8 bash -c '
            set -euo pipefail
            drop_in=$1
            shift
            mkdir -p "${drop_in%/*}"
            trap "rm -f \"$drop_in\"" EXIT
            echo "create_main_cluster = false" >"$drop_in"
            apt-get -o DPkg::Lock::Timeout=300 update || true
            apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
        ' apt_install "$drop_in" "$@" </dev/null
}

ensure_packages() { # LOG KIND …
    local log=$1
    shift
    local -a missing
    mapfile -t missing < <(package_missing "$@")
    ((${#missing[@]} == 0)) || apt_install "$log" "${missing[@]}"
}
