# What the scripts share: where the project is, how to speak, how to build. To be sourced.
#
# Messages go to stderr, so that a script's output stays its own. Every failure says what to do.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# Debian's Python sees Debian's packages, whatever else PATH offers.
python=/usr/bin/python3
[[ -x $python ]] || python=python3
# One cache serves every checkout of the project.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1

say() {
    if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
        printf '\e[1m%s\e[0m\n' "$*" >&2
    else
        printf '%s\n' "$*" >&2
    fi
}

fail() {
    say "$(basename "$0"): $*"
    exit 1
}

# The compilers that may run at once: a file of templates takes up to 2 GB.
compile_jobs() {
    local cores available
    cores=$(nproc)
    available=$(awk '/^MemAvailable:/ {print int($2 / 1500000)}' /proc/meminfo 2>/dev/null || echo 1)
    if ((available < 1)); then available=1; fi
    echo $((cores < available ? cores : available))
}

presets() {
    sed -n '/"buildPresets"/,$ s/.*{"name": "\([a-z]*\)".*/\1/p' "$root/CMakePresets.json"
}

configure() {
    local folder=$root/build/$1
    if [[ -f $folder/build.ninja && $folder/CMakeCache.txt -nt $root/CMakePresets.json ]]; then return; fi
    mkdir -p "$folder"
    (cd "$root" && cmake --preset "$1" -DPython3_EXECUTABLE="$(command -v "$python")") >"$folder/configure.log" 2>&1 || {
        cat "$folder/configure.log" >&2
        fail "cannot configure the preset '$1'; is a package missing? script/bootstrap installs them"
    }
    touch "$folder/CMakeCache.txt"
}

# Whether the compiler of the preset `fuzz` (cmake/Clang.cmake) is there, with libFuzzer's runtime and a C++ library that it finds.
can_fuzz() {
    local compiler
    compiler=$(command -v clang++-19 clang++-22 clang++ | head -1) || true
    [[ -n $compiler ]] && "$compiler" -fsanitize=fuzzer -x c++ -o /dev/null - 2>/dev/null <<<'
        #include <string>
        extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, std::size_t size) { return std::string(size, 0).empty() && false; }'
}

# build_preset PRESET [TARGET...]: everything, or only the targets. One build at a time in one folder.
build_preset() {
    local preset=$1 quiet=() started=$SECONDS
    shift
    presets | grep -qx "$preset" || fail "there is no preset '$preset'; there are: $(presets | tr '\n' ' ')"
    mkdir -p "$root/build/$preset"
    [[ -t 1 ]] || quiet=(--quiet)
    (
        flock 9
        configure "$preset"
        ninja -C "$root/build/$preset" -j "$(compile_jobs)" "${quiet[@]}" "$@" >&2
    ) 9>"$root/build/$preset/lock" || fail "the $preset build failed"
    if ((SECONDS - started > 2)); then say "built $preset in $((SECONDS - started)) s"; fi
}
