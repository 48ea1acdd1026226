# shellcheck shell=bash disable=SC2034
# Sourced by the scripts beside it: which Rust, which bpf-linker, where built files go. The only place that knows.

RUST_MINIMUM=1.95
BPF_LINKER_VERSION=0.13.0
CARGO_DENY_VERSION=0.20.2
# The LLVM that Debian's rustc-web is built with; bpf-linker must link the same.
LLVM_MAJOR=22

export HOME="${HOME:-/root}"
CARGO_BIN="${CARGO_HOME:-$HOME/.cargo}/bin"
PATH="$CARGO_BIN:$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

# version_at_least HAVE WANT: compares as versions, "1.100" is above "1.95".
version_at_least() {
    [[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" == "$2" ]]
}

# rust_version COMMAND...: the release that a cargo or rustc prints, empty if it does not run.
rust_version() {
    { "$@" --version 2>/dev/null || true; } | sed -nE '1s/^[a-z]+ ([0-9.]+).*/\1/p'
}

is_recent_rust() {
    local version
    version=$(rust_version "$@")
    [[ -n "$version" ]] && version_at_least "$version" "$RUST_MINIMUM"
}

# Puts a cargo that is recent enough, with its own rustc, first on the PATH; fails if there is none.
# Order: what the user has, Debian's (rustc-web), rustup's stable.
use_rust() {
    if is_recent_rust cargo && is_recent_rust rustc; then
        return 0
    fi
    if is_recent_rust /usr/bin/cargo && is_recent_rust /usr/bin/rustc; then
        PATH="/usr/bin:$PATH"
        return 0
    fi
    if is_recent_rust rustup run stable cargo; then
        export RUSTUP_TOOLCHAIN=stable
        return 0
    fi
    return 1
}

# The kernel programs' compiler: Debian's with the library source, or a rustup nightly with rust-src (crates/bpf/build.rs
# tries them in this order too).
has_ebpf_rust() {
    local root
    if is_recent_rust /usr/bin/cargo && root=$(/usr/bin/rustc --print sysroot 2>/dev/null) \
        && [[ -e "$root/lib/rustlib/src/rust/library/core/Cargo.toml" ]]; then
        return 0
    fi
    root=$(rustup run nightly rustc --print sysroot 2>/dev/null) \
        && [[ -e "$root/lib/rustlib/src/rust/library/core/Cargo.toml" ]]
}

has_bpf_linker() {
    local version
    version=$(bpf-linker --version 2>/dev/null) || return 1
    [[ "${version##* }" == "$BPF_LINKER_VERSION" ]]
}

# Everything cargo builds: the clone's own target directory, unless the environment says otherwise.
target_dir() {
    printf '%s\n' "${CARGO_TARGET_DIR:-$(dirname -- "${BASH_SOURCE[0]}")/../target}"
}
