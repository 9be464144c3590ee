#!/bin/sh
# rustdoc of the stable toolchain that may be asked for its JSON: `cargo xtask api` calls it in rustdoc's place.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
