//! With the feature `cuda`: compiles the GPU's kernels to PTX, which the driver translates for the GPU that it finds.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const KERNELS: &str = "src/gpu/network.cu";
/// Where `scripts/cuda-toolkit.sh` puts it, in the project's folder.
const OURS: &str = "target/cuda/toolkit/bin/nvcc";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return ExitCode::SUCCESS;
    }
    println!("cargo::rerun-if-changed={KERNELS}");
    println!("cargo::rerun-if-changed={}", ours().display());
    for variable in ["NVCC", "CUDA_HOME", "CUDA_PATH", "PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let ptx = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("network.ptx");
    let compiler = compiler();
    // The first architecture that CUDA 13 knows. Multiply-adds are fused where the source says so, and nowhere else.
    let compiled = Command::new(&compiler)
        .args(["-ptx", "-arch=compute_75", "-fmad=false", KERNELS, "-o"])
        .arg(&ptx)
        .output();
    let problem = match compiled {
        Ok(output) if output.status.success() => return ExitCode::SUCCESS,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let problem = problem.trim().replace('\n', "; ");
    println!(
        "cargo::error=the feature cuda needs nvcc of CUDA 13.0 to compile {KERNELS}, and {} failed: {problem}. Run \
         scripts/cuda-toolkit.sh, or set NVCC to the compiler or CUDA_HOME to its toolkit",
        compiler.display()
    );
    ExitCode::FAILURE
}

/// `NVCC`, else that of `CUDA_HOME` or `CUDA_PATH`, else that of our script, else whatever the PATH finds.
fn compiler() -> PathBuf {
    let set = |variable| env::var_os(variable).filter(|value| !value.is_empty());
    if let Some(compiler) = set("NVCC") {
        return compiler.into();
    }
    if let Some(toolkit) = set("CUDA_HOME").or_else(|| set("CUDA_PATH")) {
        return PathBuf::from(toolkit).join("bin/nvcc");
    }
    match ours() {
        compiler if compiler.exists() => compiler,
        _ => "nvcc".into(),
    }
}

/// That of our script, whether cargo builds into the project's folder or elsewhere.
fn ours() -> PathBuf {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    here.join("../..").join(OURS)
}
