#!/bin/sh
# Builds mdn with `--features cuda` on Linux x86-64, without a CUDA toolkit or a GPU:
#
#   scripts/build-cuda.sh [more `cargo build` arguments]
#   scripts/build-cuda.sh test [more `cargo test` arguments]
#
# The program opens the CUDA libraries on first use, so it also runs on machines without CUDA. It is
# written to target/x86_64-unknown-linux-gnu/release/mdn (or below CARGO_TARGET_DIR).
#
# Settings (environment):
#   CUDA_PREFIX        folder of the compiler            [~/.cache/cuda-13.0-build]
#   CUDA_COMPUTE_CAP   oldest architecture to run on     [80, Ampere]
#                      (90 becomes sm_90a, which runs on Hopper only)
set -eu
cd "$(dirname "$0")/.."

verb=build
if [ "${1:-}" = test ]; then
    verb=test
    shift
fi

prefix=${CUDA_PREFIX:-$HOME/.cache/cuda-13.0-build}
target=x86_64-unknown-linux-gnu
cuda=$prefix/nvidia/cu13

# 1. nvcc, cicc, ptxas and the headers, from Python wheels: about 105 MB to fetch, 271 MB on disk.
#    Version 13.0, since drivers of the 580 series refuse PTX of newer versions.
if [ ! -e "$prefix/.ready" ]; then
    rm -rf "$prefix/nvidia"
    python3 -m pip install --quiet --disable-pip-version-check \
        --no-deps --no-compile --only-binary=:all: --target "$prefix" \
        nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 \
        nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85

    # 2. The libraries that the linker looks for. libcudart is linked statically; the others only
    #    have to exist, since nothing is linked from them (3).
    ln -sf libcudart_static.a "$cuda/lib/libcudart.a"
    mkdir -p "$cuda/lib/stubs"
    for name in cuda nvrtc curand cublas cublasLt; do
        echo | gcc -shared -fPIC -x c - -o "$cuda/lib/stubs/lib$name.so"
    done

    # A compiler wrapper that leaves the kernels for quantised tensors empty: mdn has no such
    # tensors, and they take most of the compile time and 40 MB of the program.
    cat >"$cuda/bin/nvcc-lean" <<'LEAN'
#!/bin/sh
out='' prev='' skip='' compile=''
for a in "$@"; do
    [ "$prev" = -o ] && out=$a
    case $a in
        -c) compile=1 ;;
        *moe_*.cu | *mmvq_*.cu | *mmq_*.cu) skip=1 ;;
    esac
    prev=$a
done
[ "$compile$skip" = 11 ] && exec gcc -c -x c /dev/null -o "$out"
exec "$(dirname "$0")/nvcc" "$@"
LEAN
    chmod +x "$cuda/bin/nvcc-lean"
    touch "$prefix/.ready"
fi

export CUDA_HOME="$cuda" NVCC="$cuda/bin/nvcc-lean" PATH="$cuda/bin:$PATH"
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-80}"

# 3. candle-core enables cudarc's feature `dynamic-linking`. This cfg compiles the bindings in their
#    dlopen form anyway, and the linker drops the unused -l flags. Naming the target keeps the cfg
#    away from build scripts, in which cudarc refuses both. (RUSTFLAGS in the environment would
#    override the setting.)
flags="'--cfg', 'feature=\"dynamic-loading\"'"
for flag in ${RUSTFLAGS:-}; do flags="$flags, '$flag'"; done
unset RUSTFLAGS
exec cargo $verb --release --locked --features cuda --target "$target" \
    --config "target.$target.rustflags=[$flags]" "$@"
