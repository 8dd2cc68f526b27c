# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # shared with the scripts that source this
# Commits, images and the container engine. Sourced.

registry=${REGISTRY:-localhost}

usage_error() {
    usage >&2
    exit 64
}

find_engine() {
    engine=${ENGINE:-}
    if [[ -z $engine ]]; then
        engine=$(command -v podman || command -v docker) || die "neither podman nor docker is here"
        engine=${engine##*/}
    fi
    [[ $engine == podman || $engine == docker ]] || die "ENGINE must be podman or docker"
}

full_commit() { # REVISION
    git -C "$repo" rev-parse --verify --quiet --end-of-options "$1^{commit}" ||
        die "this repository has no commit '$1'"
}

image_name() { # IMAGE COMMIT
    printf '%s/pacioli/%s:%s' "$registry" "$1" "$2"
}

# The targets of the commit's Containerfile that are images of their own.
images_of_commit() { # COMMIT
    git -C "$repo" show "$1:ops/containers/Containerfile" |
        sed -n 's/^FROM .* AS \(auth_api\|wallet_api\|ledger_report\|migrate\)$/\1/p'
}

have_image() { # NAME
    "$engine" image inspect "$1" >/dev/null 2>&1
}

save_images() { # FILE NAME …
    local file=$1
    shift
    if [[ $engine == podman ]]; then
        podman save --quiet --multi-image-archive --output "$file" "$@"
    else
        docker save --output "$file" "$@"
    fi
}
