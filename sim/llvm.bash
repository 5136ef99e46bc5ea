# Sourced by the scripts beside it: where LLVM's tools are that fit rustc.

# The path of llvm-$1 of the major version of LLVM that rustc was built with, or of a newer one:
# rustup's (component llvm-tools), or the system's.
llvm_tool() {
    local major host candidate found version
    major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    host=$(rustc -vV | sed -n 's/^host: //p')
    for candidate in "$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-$1" "llvm-$1-$major" \
        "llvm-$1-$((major + 1))" "llvm-$1"; do
        found=$(command -v "$candidate") || continue
        version=$("$found" --version | sed -n 's/.*version \([0-9]*\).*/\1/p' | head -1)
        # An older one does not know the format.
        [ "${version:-0}" -ge "$major" ] || continue
        echo "$found"
        return
    done
    echo "${0##*/}: no llvm-$1 for LLVM $major; on Debian: apt-get install llvm-$major" >&2
    return 2
}
