# Installs the program with its models, man pages and shell completions. The installed folder can be moved as a whole.
#
#   make install PREFIX=$HOME/.local        or a shared folder; HDF5_DIR and MPICC as for cargo build
#   make install PREFIX=/usr DESTDIR=/tmp/package
#   make install MPI=no                     one rank, for a machine without MPI
#   make install MPIO=no                    for an MPI library with a serial HDF5
#   make install FEATURES=cuda              with GPU support, see docs/gpu.md

PREFIX ?= /usr/local
CARGO ?= cargo
TARGET_DIR ?= target
DEST = $(DESTDIR)$(PREFIX)
PROGRAM = $(TARGET_DIR)/release/spikegrid-mpi

.PHONY: all install uninstall check quick test bench

all:
	$(CARGO) build --release --locked --target-dir $(TARGET_DIR) $(if $(filter no,$(MPI) $(MPIO)),--no-default-features) \
		$(if $(filter no,$(MPI)),,$(if $(filter no,$(MPIO)),--features mpi)) \
		$(if $(FEATURES),--features $(FEATURES))

install: all
	install -D -m 755 $(PROGRAM) $(DEST)/bin/spikegrid-mpi
	rm -rf $(DEST)/share/man/man1/spikegrid-mpi*.1
	$(PROGRAM) man $(DEST)/share/man/man1
	mkdir -p $(DEST)/share/bash-completion/completions $(DEST)/share/zsh/site-functions \
		$(DEST)/share/fish/vendor_completions.d $(DEST)/share/spikegrid-mpi/models
	$(PROGRAM) completions bash >$(DEST)/share/bash-completion/completions/spikegrid-mpi
	$(PROGRAM) completions zsh >$(DEST)/share/zsh/site-functions/_spikegrid-mpi
	$(PROGRAM) completions fish >$(DEST)/share/fish/vendor_completions.d/spikegrid-mpi.fish
	cp -r models/* $(DEST)/share/spikegrid-mpi/models/
	cp -r scripts/slurm $(DEST)/share/spikegrid-mpi/
	$(DEST)/bin/spikegrid-mpi --version

# Models that you put into share/spikegrid-mpi/models yourself are left there.
uninstall:
	rm -f $(DEST)/bin/spikegrid-mpi $(DEST)/share/man/man1/spikegrid-mpi*.1 \
		$(DEST)/share/bash-completion/completions/spikegrid-mpi $(DEST)/share/zsh/site-functions/_spikegrid-mpi \
		$(DEST)/share/fish/vendor_completions.d/spikegrid-mpi.fish
	for model in models/*; do rm -rf $(DEST)/share/spikegrid-mpi/$$model; done
	rm -rf $(DEST)/share/spikegrid-mpi/slurm

# For contributors, see CONTRIBUTING.md: formatting, lints and documentation; lints and unit tests; every test; speed against its floors.
check quick test bench:
	./scripts/$@.sh
