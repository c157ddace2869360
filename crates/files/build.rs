//! Tells the crate whether its HDF5 can walk through the chunks of a dataset, which it can since 1.14.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(chunk_iter)");
    if std::env::var_os("DEP_HDF5_VERSION_1_14_0").is_some() {
        println!("cargo::rustc-cfg=chunk_iter");
    }
}
