# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154  # run on the host; shared with ops/test-delivery
# The machine of ops/test-delivery: a container engine with storage of its own, the images that a
# registry would have, and a second container that is the remote host. Sourced.

host_name=pacioli-delivery-$$
standins=$repo/tests/delivery/standins

machine_clean_up() {
    local status=$?
    trap '' INT TERM HUP
    [[ -z ${load_pid:-} ]] || kill -KILL "$load_pid" 2>/dev/null || true
    if ((status != 0)) && [[ -n ${host_address:-} ]]; then
        on_host_console sh -c 'tail -n 20 /opt/pacioli/compose.log /opt/pacioli/deployments.log
            for name in $(podman ps -a --format "{{.Names}}"); do
                echo "== $name"; podman logs --tail 10 $name 2>&1; done' >&2 || true
    fi
    if [[ -n ${CONTAINERS_CONF:-} ]]; then
        podman stop --time 5 "$host_name" >/dev/null 2>&1 || true
        podman rm --force --ignore --volumes "$host_name" "$host_name-systemd" >/dev/null 2>&1 || true
        rm -rf "$work/host"
        if [[ -z $keep ]]; then
            podman rmi --all --force >/dev/null 2>&1 || true
        fi
    fi
    [[ -n $keep ]] || rm -rf "$work"
    exit "$status"
}

# Overlay where the kernel has it, else plain copies, which take far more disk and time.
storage_driver() { # FOLDER
    local try=$1/overlay-try
    mkdir -p "$try"/{lower,upper,work,merged}
    if mount -t overlay -o "lowerdir=$try/lower,upperdir=$try/upper,workdir=$try/work" overlay \
        "$try/merged" 2>/dev/null; then
        umount "$try/merged"
        printf overlay
    else
        printf vfs
    fi
    rm -rf "$try"
}

machine_engine() {
    local driver
    mkdir -p "$work/engine"
    driver=$(storage_driver "$work/engine")
    cat >"$work/engine/containers.conf" <<EOT
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
events_logger = "file"
cgroup_manager = "cgroupfs"
[engine.runtimes]
runc = ["/usr/sbin/runc"]
[network]
network_backend = "netavark"
EOT
    cp "$work/engine/containers.conf" "$work/engine/host-containers.conf"
    echo "network_config_dir = \"$work/engine/networks\"" >>"$work/engine/containers.conf"
    printf '[storage]\ndriver = "%s"\nrunroot = "%s"\ngraphroot = "%s"\n' "$driver" \
        "$work/engine/run" "$work/engine/storage" >"$work/engine/storage.conf"
    printf '[storage]\ndriver = "%s"\nrunroot = "/run/containers/storage"\ngraphroot = "%s"\n' \
        "$driver" /var/lib/containers/storage >"$work/engine/host-storage.conf"
    export CONTAINERS_CONF=$work/engine/containers.conf
    export CONTAINERS_STORAGE_CONF=$work/engine/storage.conf
}

# The base image, as a registry would have it. A machine that reaches npm through a proxy with a
# certificate of its own hands that on.
import_base() {
    local root=$work/base
    debootstrap --variant=minbase bookworm "$root" http://deb.debian.org/debian
    cp /etc/ssl/certs/ca-certificates.crt "$root/usr/local/share/build-ca.crt"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    tar -C "$root" -c . | podman import --change \
        'ENV NODE_EXTRA_CA_CERTS=/usr/local/share/build-ca.crt' - docker.io/library/debian:bookworm-slim
    rm -rf "$root"
}

build_standin() { # NAME TAG
    local context=$work/context
    rm -rf "$context"
    mkdir "$context"
    cp "$standins"/* "$context"
    cp "$work/engine/host-containers.conf" "$context/containers.conf"
    cp "$work/engine/host-storage.conf" "$context/storage.conf"
    # shellcheck disable=SC2086  # a list of options
    podman build $BUILD_OPTIONS --file "$context/$1.Containerfile" --tag "$2" "$context"
}

postgres_image=docker.io/library/postgres:16-bookworm
haproxy_image=docker.io/library/haproxy:2.8-bookworm

machine_images() {
    have_image docker.io/library/debian:bookworm-slim ||
        step "Making the base image" "$work/log/base.log" import_base
    step "Making the remote host's image" "$work/log/host.log" build_standin host \
        localhost/pacioli-test/host:1
    step "Making the stand-in for PostgreSQL's image" "$work/log/postgres.log" \
        build_standin postgres "$postgres_image"
    step "Making the stand-in for haproxy's image" "$work/log/haproxy.log" \
        build_standin haproxy "$haproxy_image"
}

on_host_console() { # COMMAND …: not through SSH
    podman exec "$host_name" "$@"
}

machine_host() {
    local image
    rm -rf "$work/host"
    mkdir -p "$work/host"
    podman run --detach --name "$host_name" --privileged \
        --volume "$work/host:/var/lib/containers" localhost/pacioli-test/host:1 >/dev/null
    host_address=$(podman inspect --format '{{.NetworkSettings.IPAddress}}' "$host_name")
    rm -f "$work/identity" "$work/identity.pub"
    ssh-keygen -q -t ed25519 -N '' -C delivery-test -f "$work/identity"
    podman exec -i "$host_name" sh -c 'umask 077; mkdir -p /root/.ssh; cat >/root/.ssh/authorized_keys' \
        <"$work/identity.pub"
    # The host's key comes from its console, as an operator would take it: never over the network.
    on_host_console cat /etc/ssh/ssh_host_ed25519_key.pub | sed "s/^/$host_address /" \
        >"$work/known_hosts"
    export SSH_IDENTITY=$work/identity SSH_KNOWN_HOSTS=$work/known_hosts
    for image in "$postgres_image" "$haproxy_image"; do
        podman save --quiet "$image" | on_host_console_input podman load --quiet >/dev/null
    done
}

on_host_console_input() { # COMMAND …: standard input is the command's
    podman exec --interactive "$host_name" "$@"
}

# An image holds no compiler, no npm, no root, and says what it is.
machine_check_images() { # COMMIT
    local image name label
    while read -r image; do
        name=$(image_name "$image" "$1")
        label=$(podman image inspect --format \
            '{{index .Config.Labels "org.opencontainers.image.revision"}} {{.Config.User}}' "$name")
        [[ $label == "$1 10001:10001" ]] || die "$name: expected commit and user, not '$label'"
        podman run --rm --network none --entrypoint /bin/bash "$name" -c \
            '! command -v gcc cc npm node make && [[ $(id -u) == 10001 ]]' ||
            die "$name has tools that it must not have, or runs as root"
        [[ $image == migrate ]] || podman run --rm --network none --entrypoint /bin/cat "$name" \
            /usr/lib/pacioli/share/sbom/sbom.spdx.json |
            jq -e '.spdxVersion == "SPDX-2.3" and any(.packages[]; .name == "libpq5")' >/dev/null ||
            die "$name has no bill of materials"
        say "$image: $(($(podman image inspect --format '{{.Size}}' "$name") / 1000000)) MB with its base"
    done < <(images_of_commit "$1")
    ! podman images --format '{{.Tag}}' --filter reference='*/pacioli/*' | grep -qx latest ||
        die "an image is tagged latest"
}

# The environment for the host: with a TLS front, whose certificate only this test trusts, and a pepper.
machine_environment() {
    local key=$work/tls.key
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=delivery-test \
        -addext "subjectAltName = IP:$host_address" -keyout "$key" -out "$work/tls.crt" 2>/dev/null
    sed -i 's/^WITH_TLS=.*/WITH_TLS=yes/' "$environment"
    sed -i 's/^#\(PASSWORD_PEPPER_FILE=\)/\1/; s/^\(AUTH\|WALLET\)_ADDRESS=.*/\1_ADDRESS=0.0.0.0/' "$environment"
    printf '\n[auth/pepper]\np1 %s\n' "$(openssl rand -base64 32)" >>"$environment"
    { echo && echo '[tls/tls.pem]' && cat "$work/tls.crt" "$key"; } >>"$environment"
    rm -f "$key"
}

# stage NAME [FOLDER]: the commands of that stage of the Jenkinsfile, as Jenkins runs them in a checkout.
stage() {
    local commands
    commands=$(awk -v name="stage('$1')" 'index($0, "stage(\047") { here = index($0, name) } here' \
        "$clone/Jenkinsfile" | sed -n "s/^ *sh '\(.*\)'\$/\1/p")
    [[ -n $commands ]] || die "the Jenkinsfile has no stage '$1' with commands"
    (cd "${2:-$clone}" && sh -ec "$commands")
}

# The stages that the rest of the test does not run. The whole of ops/test takes as long as all this.
machine_check_stages() {
    git -c advice.detachedHead=false clone --quiet "$clone" "$work/checkout"
    BRANCH=delivery-test stage Checkout "$work/checkout" >"$work/log/checkout.log" 2>&1 ||
        die "the stage Checkout fails: $(tail -n 3 "$work/log/checkout.log")"
    [[ $(git -C "$work/checkout" rev-parse HEAD) == "$third" ]] || die "the stage Checkout took another commit"
    rm -rf "$work/checkout"
    [[ $(sed -n "/stage('Build and test')/,/stage('Package')/s/^ *sh '\(.*\)'\$/\1/p" "$clone/Jenkinsfile") == \
        ops/test ]] || die "the stage 'Build and test' is not ops/test"
    "$clone/ops/test" -R unit_money >"$work/log/test.log" 2>&1 ||
        die "ops/test fails: $(tail -n 5 "$work/log/test.log")"
}

published_keys() {
    curl -sf --noproxy '*' "$auth/.well-known/jwks.json" | jq -r '.keys[].kid' | sort
}

# Through the front: the scenario, and nothing of what is for the inside.
machine_check_tls() {
    local front=https://$host_address path status
    CURL_CA_BUNDLE=$work/tls.crt "$clone/ops/smoke" --auth "$front" --wallet "$front"
    for path in /metrics /readyz /%6detrics /internal/revocations /auth_api/metrics /auth_api/%72eadyz \
        /auth_api/internal/revocations /auth_api/%69nternal/revocations; do
        status=$(curl -s --noproxy '*' --cacert "$work/tls.crt" -o /dev/null -w '%{http_code}' "$front$path")
        [[ $status == 404 ]] || die "the front answers $path with $status"
    done
    # One trail each, both behind the front.
    for path in /audit /auth_api/audit; do
        status=$(curl -s --noproxy '*' --cacert "$work/tls.crt" -o /dev/null -w '%{http_code}' "$front$path")
        [[ $status == 401 ]] || die "the front answers $path with $status, not 401"
    done
}

# A backup as README.md has it, inside PostgreSQL's container, and a data folder made of it again.
machine_check_backup() {
    local backup
    on_host_console_input sh -c 'cat >/root/backup' <"$clone/ops/backup"
    on_host_console_input sh -c 'cat >/root/restore' <"$clone/ops/restore"
    backup=$(on_host_console bash /root/backup --container pacioli_postgres --to /backup \
        2>"$work/log/backup.log") || die "no backup: $(tail -n 5 "$work/log/backup.log")"
    on_host_console sh -c 'podman exec -i -u postgres pacioli_postgres bash -s -- \
        --from /backup --to /backup/restored </root/restore' >"$work/log/restore.log" ||
        die "$backup cannot be restored"
    say "backup: $backup"
}

# Keys stay through deployments, can be rotated in the container, and the first administrator is made.
machine_check_keys() { # KEYS BEFORE
    local user answer
    [[ $(published_keys) == "$1" ]] || die "keys were lost: $(published_keys)"
    on_host_console podman exec --env KEYS_NEXT_AGE_S=0 pacioli_auth_api \
        /usr/lib/pacioli/bin/auth_keys rotate >"$work/log/rotate.log"
    [[ $(published_keys | grep -cFx "$1") == 2 && $(published_keys | wc -l) == 3 ]] ||
        die "after a rotation two old keys and a new one must be published"
    "$clone/ops/smoke" --auth "$auth" --wallet "$wallet"
    user='{"username": "delivery-admin", "password": "correct horse battery"}'
    curl -sf --noproxy '*' -H 'Content-Type: application/json' -d "$user" "$auth/users/" >/dev/null
    "$clone/ops/deploy" --host "root@$host_address" --administrator delivery-admin
    answer=$(curl -sf --noproxy '*' -H 'Content-Type: application/json' -d "$user" "$auth/auth/login")
    [[ $(curl -s --noproxy '*' -o /dev/null -w '%{http_code}' "$auth/users/" \
        -H "Authorization: Bearer $(jq -r .access_token <<<"$answer")") == 200 ]] ||
        die "the first administrator is none"
    ! "$clone/ops/deploy" --host "root@$host_address" --administrator delivery-admin 2>/dev/null ||
        die "there was a second first administrator"
}

# Deployments that must not begin, and what the running containers may not do.
machine_refusals() {
    local before after
    before=$(runs)
    echo "$host_address ssh-ed25519 $(ssh-keygen -q -t ed25519 -N '' -f "$work/other" &&
        cut -d' ' -f2 "$work/other.pub")" >"$work/wrong_hosts"
    rm -f "$work/other" "$work/other.pub"
    if SSH_KNOWN_HOSTS=$work/wrong_hosts deploy "$first" ALL 2>"$work/log/wrong-key.log"; then
        die "a host with another key was trusted"
    fi
    chmod 0644 "$environment"
    if deploy "$first" ALL 2>/dev/null; then
        die "an environment file that others can read was taken"
    fi
    chmod 0600 "$environment"
    after=$(runs)
    [[ $before == "$after" ]] || die "a refused deployment changed what runs: $after"
    ! on_host_console podman exec pacioli_wallet_api touch /usr/lib/pacioli/x 2>/dev/null ||
        die "the root file system of a service can be written to"
    # Even "down --volumes" leaves the data, because the volumes are external.
    on_host_console sh -c 'cd "$(readlink -f /opt/pacioli/running/infra)" &&
        RELEASE_DIR=$PWD podman-compose -p pacioli_infra -f compose.infra.yaml down --volumes' \
        >"$work/log/down.log" 2>&1 || true
    on_host_console podman volume inspect pacioli_data >/dev/null ||
        die "down --volumes deleted the data"
    on_host_console podman volume inspect pacioli_auth >/dev/null || die "the volume of the keys is gone"
    deploy "$second" auth
    "$clone/ops/smoke" --auth "$auth" --wallet "$wallet"
    /usr/bin/python3 "$repo/tests/delivery/load.py" check --auth "$auth" --wallet "$wallet" \
        --record "$record"
}

# Secrets are in files that root and the service may read, and nowhere else.
machine_check_secrets() {
    local secret
    while read -r secret; do
        ! on_host_console sh -c 'podman inspect pacioli_auth_api pacioli_wallet_api pacioli_postgres;
            for name in pacioli_auth_api pacioli_wallet_api pacioli_postgres; do
                podman logs $name 2>&1; done; cat /opt/pacioli/*.log' | grep -qF "$secret" ||
            die "a secret is in a log, or in what inspect shows"
        ! grep -rqF "$secret" "$work/log" || die "a secret is in the output of a script"
    done < <(grep -oE '[0-9a-f]{64}|[A-Za-z0-9+/]{43}=' "$environment" | sort -u)
    [[ -z $(on_host_console find /opt/pacioli/releases -path '*/secrets/*' -type f -perm /077) ]] ||
        die "a file with secrets on the host can be read by others"
}

package_of() { # COMMIT FILE
    local deb
    git -C "$clone" checkout --quiet --detach "$1"
    deb=$(stage Package 2>"$work/log/package.log") ||
        die "no package: $(tail -n 5 "$work/log/package.log")"
    cp "$deb" "$2"
}

# The package of the first commit, in a clean root with systemd, and an update to the second one.
machine_check_package() {
    local file
    step "Making the clean root" "$work/log/systemd.log" build_standin systemd \
        localhost/pacioli-test/systemd:1
    say "Making the packages …"
    package_of "$first" "$work/first.deb"
    package_of "$second" "$work/second.deb"
    podman rm --force "$host_name-systemd" >/dev/null 2>&1 || true
    podman run --detach --name "$host_name-systemd" --privileged --systemd=always \
        localhost/pacioli-test/systemd:1 >/dev/null
    for file in "$work/first.deb" "$work/second.deb" "$repo/tests/delivery/check-package"; do
        podman cp "$file" "$host_name-systemd:/root/${file##*/}"
    done
    podman exec "$host_name-systemd" /root/check-package /root/first.deb /root/second.deb ||
        die "the Debian package is not as it should be"
    podman rm --force "$host_name-systemd" >/dev/null 2>&1
}
