# shellcheck shell=bash
# shellcheck disable=SC2154  # repo and program come from common.sh
# Configures once and builds what has changed. Sourced.

preset=${PRESET:-release}
build_dir=$repo/build/$preset

check_preset() {
    case $preset in
    release | debug | asan | tsan) ;;
    *) die "PRESET must be release, debug, asan or tsan, not '$preset'" ;;
    esac
}

run_cmake() (
    # Another ops/up or ops/test may be at work in the same folder.
    exec 8>"$build_dir/lock" && flock 8 &&
        cd "$repo" &&
        { [[ -f $build_dir/build.ninja ]] || cmake --preset "$preset"; } &&
        cmake --build --preset "$preset"
)

build() { # LOG
    make_folder "$build_dir"
    check_space 512 "$build_dir"
    step "Building ($preset)" "$1" run_cmake
}
