# shellcheck shell=bash
# shellcheck disable=SC2154 # work, here, programs, cgroup, ipv4 and ipv6 are set by `run`
# containerd with runc, by ctr. Sourced by `run`.

# shellcheck source=tests/containers/daemon.sh
source "$here/daemon.sh"

runtime_up() { containerd_up ''; }
image_in() { import "$1" "$2" '{}'; }

c() { ctr --address "$work/containerd.sock" "$@"; }

# run_container NAME LABELS FLAG... -- ARGUMENT...: ctr calls the plug-in itself, with its own environment.
run_container() {
    local name=$1 labels=$2 flags=()
    shift 2
    while [[ $1 != -- ]]; do
        flags+=("$1")
        shift
    done
    shift
    CILIATE_LABELS=$labels c run --snapshotter native --cni --cgroup "$cgroup/$name" "${flags[@]}" local.test/deathstar:1 "$name" /deathstar "$@"
}

start() { run_container "$1" "$2" --detach -- "${@:3}"; }
start_failing() {
    local status=0
    start "$1" "$2" serve || status=$?
    c task kill -s KILL "$1" >/dev/null 2>&1 || true
    c task rm -f "$1" >/dev/null 2>&1 || true
    c container rm "$1" >/dev/null 2>&1 || true
    return "$status"
}
once() { run_container "$1" "$2" --rm -- "${@:3}"; }

# ctr forgets about CNI when a detached container goes, so this calls the plug-in as containerd's CRI does.
stop() {
    c task kill -s KILL "$1" >/dev/null 2>&1 || true
    until_true 'the task has ended' bash -c "! ctr --address '$work/containerd.sock' task ls | grep -q '^$1 .*RUNNING'"
    cni DEL CNI_CONTAINERID="default-$1" CNI_IFNAME=eth0
    c task rm -f "$1" >/dev/null 2>&1 || true
    c container rm "$1" >/dev/null
}
stop_again() { cni DEL CNI_CONTAINERID="default-$1" CNI_IFNAME=eth0; }

# ctr gives the plug-in no name, only an id of its namespace and the container's.
endpoint_name() { printf 'default-%s' "$1"; }

check_endpoint() {
    local pid
    pid=$(c task ls | awk -v name="$1" '$1 == name { print $2 }')
    local who=(CNI_CONTAINERID="default-$1" CNI_IFNAME=eth0 CNI_NETNS="/proc/$pid/ns/net")
    extra=", \"prevResult\": {\"ips\": [{\"address\": \"$ipv4/32\"}]}" cni CHECK "${who[@]}"
    nsenter --net="/proc/$pid/ns/net" ip link set eth0 down
    extra=", \"prevResult\": {\"ips\": []}" fails 101 'ciliate endpoint health' cni CHECK "${who[@]}"
    nsenter --net="/proc/$pid/ns/net" ip link set eth0 up
}

runtime_extra() {
    title 'GC deletes what nobody knows any more'
    start one org=empire serve
    start two org=empire serve
    extra=', "cni.dev/valid-attachments": [{"containerID": "default-two", "ifname": "eth0"}]' cni GC
    [[ $(endpoints) -eq 1 ]] || wrong "one endpoint should be left: $(ciliate endpoint list)"
    stop one
    stop two
    [[ $(endpoints) -eq 0 ]] || wrong "no endpoint should be left: $(ciliate endpoint list)"
}
