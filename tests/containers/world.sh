# shellcheck shell=bash
# shellcheck disable=SC2154 # work, here, programs, ipv4 and ipv6 are set by `run`
# What both runtimes need: an isolated world, an image, checks. Sourced by `run`.

title() { printf '\n== %s\n' "$*"; }
wrong() {
    printf 'WRONG: %s\n' "$*"
    exit 1
}

# until_true WHAT COMMAND...: within ten seconds.
until_true() {
    local what=$1
    shift
    for _ in {1..200}; do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    wrong "$what: did not happen within ten seconds ($*)"
}

# fails CODE TEXT COMMAND...: the command must fail and say so.
fails() {
    local code=$1 text=$2 output
    shift 2
    if output=$("$@" 2>&1); then
        wrong "should have failed: $*"
    fi
    [[ $output == *"$text"* ]] || wrong "should say ${text@Q}: $output"
    [[ $1 != cni || $output == *"\"code\":$code,"* ]] || wrong "should have code $code: $output"
}

at_end() {
    local status=$?
    trap - EXIT
    if [[ $status -ne 0 ]]; then
        for log in "$work"/run/agent.log "$work"/containerd.log; do
            [[ ! -s $log ]] || { printf '\nThe end of %s:\n' "$log"; tail -n 25 "$log"; }
        done
        ciliate endpoint list 2>&1 | tail -n 20 || true
    fi
    exit "$status"
}

# Folders of runtimes that would be shared with the host become this world's own.
world() {
    trap at_end EXIT
    trap 'exit 130' INT TERM
    local folder
    mount -t tmpfs -o mode=0755 cil-test "$work"
    for folder in /run /dev/shm /var/lib/cni /etc/cni /var/lib/containers; do
        [[ ! -d $folder ]] || mount -t tmpfs -o mode=0755 cil-test "$folder"
    done
    mkdir -p "$work/bpf" "$work/run" "$work/state" "$work/plugins" /run/netns /run/lock
    mount -t bpf bpf "$work/bpf"
    # Runtimes bind namespaces to files here; the agent must see what is bound.
    mount --bind /run/netns /run/netns
    mount --make-shared /run/netns
    cp /usr/lib/cni/loopback "$programs/ciliate-cni" "$work/plugins/"
    mount --bind "$work/plugins" /usr/lib/cni
    ip link set lo up
    local name
    for name in $(compgen -e CILIATE_ || true); do unset "$name"; done
    printf 'node-name: containers\n' >"$work/ciliate.yaml"
    export CILIATE_CONFIG=$work/ciliate.yaml CILIATE_STATE_DIR=$work/state CILIATE_RUN_DIR=$work/run
    export CILIATE_BPF_ROOT=$work/bpf/ciliate PATH=$programs:/usr/sbin:$PATH
}

# The network as a plug-in list; $1 is the version of CNI.
network() {
    cat <<JSON
{"cniVersion": "$1", "name": "ciltest", "plugins": [{
    "type": "ciliate-cni", "socket": "$work/run/ciliate.sock",
    "labels": {"network": "ciltest"},
    "capabilities": {"portMappings": true, "ips": true, "io.kubernetes.cri.pod-annotations": true}
}]}
JSON
}

# cni COMMAND [KEY=VALUE...]: calls the plug-in as a runtime does.
cni() {
    local command=$1
    shift
    env CNI_COMMAND="$command" "$@" "$programs/ciliate-cni" <<JSON
{"cniVersion": "1.1.0", "name": "ciltest", "type": "ciliate-cni", "socket": "$work/run/ciliate.sock"${extra:-}}
JSON
}

# A root file system with one program and the libraries it is linked with.
image() {
    local root=$1 library
    mkdir -p "$root"
    cp "$programs/deathstar" "$root/"
    while read -r library; do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done < <(ldd "$programs/deathstar" | grep -oE '/[^ ]+')
}

endpoints() { ciliate endpoint list -o json | grep -o '"hostMac"' | wc -l; }
no_endpoints() { [[ $(endpoints) -eq 0 ]]; }
# field CONTAINER NAME: the first of that name in the endpoint's JSON.
field() { ciliate endpoint get "$(endpoint_name "$1")" -o json | sed -nE "s/^ *\"$2\": \"?([^\",]*)\"?,?$/\1/p" | head -n 1; }
listed() { ciliate endpoint get "$(endpoint_name "$1")" -o json | grep -qF -- "\"$2\"" || wrong "$1 should have the label $2"; }

# lands SHIP LABELS, is_dropped SHIP LABELS: a container asks over IPv4 and IPv6; 28 is the client's status for no
# answer in time.
lands() {
    local address output
    for address in "$ipv4" "[$ipv6]"; do
        output=$(once "$1" "$2" request POST "http://$address/v1/request-landing" --timeout 5) || wrong "$1 should have landed at $address: $output"
        [[ $output == 'Ship landed' ]] || wrong "$1 should have read: Ship landed, not: $output"
    done
}
is_dropped() {
    local address status
    for address in "$ipv4" "[$ipv6]"; do
        status=0
        once "$1" "$2" request POST "http://$address/v1/request-landing" --timeout 1 >/dev/null 2>&1 || status=$?
        [[ $status -eq 28 ]] || wrong "$1 should have heard nothing from $address (28), but ended with $status"
    done
}
