# shellcheck shell=bash
# shellcheck disable=SC2154  # program comes from common.sh
# Passwords and the token secret: made once, kept in one file (0600), never on a command line and
# never printed. Sourced.

secret_names=(
    POSTGRES_SUPERUSER_PASSWORD
    AUTH_OWNER_PASSWORD AUTH_SERVICE_PASSWORD
    WALLET_OWNER_PASSWORD WALLET_SERVICE_PASSWORD
    JWT_SECRET FEED_SECRET
)

declare -A secret=()

# load_secrets FILE: fills the array `secret`; what the file lacks is made and added to it.
load_secrets() {
    local file=$1 name value text=''
    if [[ -e $file ]]; then
        [[ -r $file && -w $file ]] || die "$(id -un) cannot read and write $file"
        while IFS='=' read -r name value; do
            if [[ " ${secret_names[*]} " == *" $name "* && $value =~ ^[0-9A-Za-z]{32,}$ ]]; then
                secret[$name]=$value
            elif [[ -n $name && $name != \#* ]]; then
                die "$file has a line that is not a secret of this project: '$name'"
            fi
        done <"$file"
    fi
    for name in "${secret_names[@]}"; do
        if [[ -z ${secret[$name]:-} ]]; then
            secret[$name]=$(openssl rand -hex 32)
            [[ ${secret[$name]} =~ ^[0-9a-f]{64}$ ]] || die "openssl gave no random bytes"
            text+="$name=${secret[$name]}"$'\n'
        fi
    done
    [[ -n $text ]] || return 0
    replace_file "$file" "$(cat "$file" 2>/dev/null || true)"$'\n'"$text"
}

# replace_file FILE TEXT: 0600, whole or not at all, and untouched when it says the same already.
replace_file() {
    local text
    text=$(printf '%s' "$2" | sed '/^$/d')
    if [[ -e $1 && $(cat "$1") == "$text" ]]; then
        chmod 0600 "$1"
        return 0
    fi
    (umask 077 && printf '%s\n' "$text" >"$1.new" && sync "$1.new" && mv "$1.new" "$1") ||
        die "cannot write $1"
}
