# shellcheck shell=bash
# shellcheck disable=SC2154 # work, here, programs, cgroup, ipv4 and ipv6 are set by `run`
# podman 4.3 with its CNI back end. Sourced by `run`.

runtime_up() {
    mkdir -p "$work/networks"
    network 1.0.0 >"$work/networks/ciltest.conflist"
    cat >"$work/containers.conf" <<TOML
[network]
network_backend = "cni"
cni_plugin_dirs = ["$work/plugins"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
TOML
    export CONTAINERS_CONF=$work/containers.conf
}

pod() {
    podman --root "$work/store" --runroot "$work/podman" --tmpdir "$work/libpod" --storage-driver vfs --runtime runc \
        --network-config-dir "$work/networks" "$@"
}

image_in() { tar -C "$1" -c . | pod import - "$2" >/dev/null 2>&1; }

# run_container NAME LABELS ARGUMENT...: the labels reach the plug-in by podman's environment.
run_container() {
    local name=$1 labels=$2
    shift 2
    # Without the limits, podman asks for more than a container of a test may have.
    CILIATE_LABELS=$labels pod run --name "$name" --network ciltest --cgroup-parent "$cgroup" \
        --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 "$@"
}

start() { run_container "$1" "$2" -d local.test/deathstar:1 /deathstar "${@:3}" >/dev/null; }
start_failing() {
    local status=0
    start "$1" "$2" serve || status=$?
    pod rm -f "$1" >/dev/null 2>&1 || true
    return "$status"
}
once() { run_container "$1" "$2" --rm local.test/deathstar:1 /deathstar "${@:3}"; }
stop() { pod rm -f -t 0 "$1" >/dev/null; }
stop_again() {
    # podman itself knows it no more; the plug-in is called as podman would.
    cni DEL CNI_CONTAINERID=0123456789abcdef CNI_IFNAME=eth0
    pod rm -f -t 0 "$1" >/dev/null 2>&1 || true
}

endpoint_name() { printf '%s' "$1"; }

check_endpoint() {
    local id netns
    id=$(pod inspect --format '{{.Id}}' "$1")
    netns=$(pod inspect --format '{{.NetworkSettings.SandboxKey}}' "$1")
    local who=(CNI_CONTAINERID="$id" CNI_IFNAME=eth0 CNI_NETNS="$netns")
    extra=", \"prevResult\": {\"ips\": [{\"address\": \"$ipv4/32\"}]}" cni CHECK "${who[@]}"
    extra=", \"prevResult\": {\"ips\": [{\"address\": \"192.0.2.9/32\"}]}" fails 101 192.0.2.9 cni CHECK "${who[@]}"
    # GC with nothing valid deletes what this network attached; with the container listed it stays.
    extra=", \"cni.dev/valid-attachments\": [{\"containerID\": \"$id\", \"ifname\": \"eth0\"}]" cni GC
    field "$1" ipv4 | grep -q . || wrong 'GC deleted an endpoint that is valid'
}

runtime_extra() {
    title 'Published ports and addresses of choice'
    ciliate delete -f "$here/../../examples/star-wars/rule1.yaml"
    run_container deathstar class=deathstar -d -p 8080:80 --ip 10.201.7.7 local.test/deathstar:1 /deathstar serve >/dev/null
    [[ $(field deathstar ipv4) == 10.201.7.7 ]] || wrong "the address should be the one asked for: $(field deathstar ipv4)"
    until_true 'the published port answers' deathstar request GET http://127.0.0.1:8080/v1/ --timeout 1
    fails 0 10.201.7.7 run_container other a=b --rm --ip 10.201.7.7 local.test/deathstar:1 /deathstar request GET http://127.0.0.1/
    pod rm -f other >/dev/null 2>&1 || true

    title 'Many at once'
    local number
    for number in {1..6}; do
        start "ship$number" "org=fleet,number=$number" serve &
    done
    wait
    [[ $(endpoints) -eq 7 ]] || wrong "7 endpoints should be there: $(ciliate endpoint list)"
    for number in {1..6}; do
        stop "ship$number" &
    done
    wait
    stop deathstar
    until_true 'all endpoints are gone' no_endpoints
}

runtime_down() { pod rm -af >/dev/null 2>&1 || true; }
