# SPDX-License-Identifier: MIT OR Apache-2.0
"""A package for Spack 1.0 or later. In the folder of this repository:

    spack repo create ~/spack-packages lab                     # once; it says where packages belong
    mkdir -p ~/spack-packages/spack_repo/lab/packages/spikegrid_mpi
    cp packaging/spack/package.py ~/spack-packages/spack_repo/lab/packages/spikegrid_mpi/
    spack repo add ~/spack-packages/spack_repo/lab             # once
    spack dev-build --source-path . spikegrid-mpi@main ^openmpi    # or ^mpich
    spack load spikegrid-mpi

Tried: the syntax of this file; the tests do not build the package.
"""

from spack_repo.builtin.build_systems.makefile import MakefilePackage

from spack.package import *


class SpikegridMpi(MakefilePackage):
    """From raw calcium traces to training-ready spike grids: dF/F, CASCADE spike inference and rasterising over MPI
    ranks."""

    license("MIT OR Apache-2.0")

    version("main")

    depends_on("c", type="build")
    depends_on("rust@1.89:", type="build")
    depends_on("llvm +clang", type="build")  # libclang, for the MPI bindings
    depends_on("pkgconfig", type="build")
    depends_on("mpi")
    depends_on("hdf5@1.10.5: +shared +mpi")

    def setup_build_environment(self, env: EnvironmentModifications) -> None:
        env.set("HDF5_DIR", self.spec["hdf5"].prefix)
        env.set("MPICC", self.spec["mpi"].mpicc)
        env.set("LIBCLANG_PATH", self.spec["llvm"].prefix.lib)
        env.set("CARGO_HOME", join_path(self.stage.path, "cargo"))

    def build(self, spec, prefix):
        make("all")

    def install(self, spec, prefix):
        make("install", f"PREFIX={prefix}")

    @run_after("install")
    @on_package_attributes(run_tests=True)
    def check_install(self):
        Executable(self.prefix.bin.join("spikegrid-mpi"))("models", "list")
