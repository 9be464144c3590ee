#!/bin/sh
# Stands between cargo and rustc (RUSTC_WRAPPER): the crates that read files get libFuzzer's coverage counters, the others none.
# Counters in Burn's kernels would only make the fuzzers slow. The flags are stable; no sanitizer is used, since what is read here
# is safe Rust: broken memory is not what one looks for, but panics, wrong answers, and memory or time beyond limits.
rustc=$1
shift
case " $* " in
*" --crate-name adapter "* | *" --crate-name bundle "* | *" --crate-name checkpoint "* | *" --crate-name coco "* | *" --crate-name image "* | \
*" --crate-name metrics "* | *" --crate-name run_file "* | *" --crate-name split_table "* | *" --crate-name broken_files "* | \
*" --crate-name medseg_data "* | *" --crate-name medseg_metrics "* | *" --crate-name medseg_train "* | *" --crate-name named_tensors "* | \
*" --crate-name salt_peft "* | *" --crate-name sam_model "* | *" --crate-name sam_preprocess "* | \
*" --crate-name pytorch_reader "* | *" --crate-name png "* | *" --crate-name gif "* | *" --crate-name tiff "* | \
*" --crate-name weezl "* | *" --crate-name zune_jpeg "* | *" --crate-name zune_core "*)
    exec "$rustc" "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
    ;;
*)
    exec "$rustc" "$@"
    ;;
esac
