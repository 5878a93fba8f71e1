# SPDX-License-Identifier: Apache-2.0
# ebeed: see `make help`. V=1 shows every command.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

PREFIX ?= /usr/local
DESTDIR ?=
CONFIGURATION ?= release
# Not whatever is first in PATH: the clang that comes with Swift need not compile for BPF.
CLANG ?= $(shell ls /usr/bin/clang 2>/dev/null || ls -v /usr/bin/clang-[0-9]* 2>/dev/null | tail -n 1)
STRIP ?= $(shell ls /usr/bin/llvm-strip 2>/dev/null || ls -v /usr/bin/llvm-strip-[0-9]* 2>/dev/null | tail -n 1)
# A path to Swift, where `swift` in PATH is not the one to use.
SWIFT ?=
# Options of `swift test`, such as --filter.
TEST_FLAGS ?=
# Of fuzz: one target, how long for each, or how many inputs, and an input to repeat.
FUZZ ?=
SECONDS ?=
RUNS ?=
INPUT ?=
# Of the account: see account.
STORMS ?=
SCALE ?=
EVERYBODY ?=
# Of the benchmarks: see bench.
TOOLS ?=
ROUNDS ?=
# Of the kernel matrix: see kernel-test.
CELLS ?=
RUN ?=
REFRESH ?=
RECORD ?=
# 1: a test that can't run here is a failure.
EBEE_REQUIRE_KERNEL ?=

export CLANG STRIP SWIFT EBEE_REQUIRE_KERNEL

ifeq ($(V),1)
Q :=
quiet :=
else
Q := @
quiet := --quiet
endif
say = @printf '  %-8s%s\n' '$(1)' '$(2)'

# The Swift runtime goes into the binaries: a machine that runs them needs none.
SWIFT_FLAGS := --configuration $(CONFIGURATION) --static-swift-stdlib
BUILT := .build/$(CONFIGURATION)

# The last two: newer clangs find fault with a macro of libbpf's own headers.
ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
BPF_PROGRAMS := execsnoop rmdetect
BPF_OBJECTS := $(BPF_PROGRAMS:%=Sources/CObjects/%.bpf.o)
BPF_FLAGS := -g -O2 -Wall -Wextra -Wno-unused-parameter -Wno-unknown-warning-option \
	-Wno-default-const-init-var-unsafe -Werror -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH)

C_FILES := $(shell git ls-files "*.c" "*.h" 2>/dev/null || find bpf Sources Tests -name "*.[ch]")
SHELL_FILES := $(wildcard .ci/*)

# Where systemd looks, whatever PREFIX is.
SYSTEM_LIB := $(if $(filter /usr,$(PREFIX)),/usr/lib,/usr/local/lib)
SBIN := $(PREFIX)/sbin
BIN := $(PREFIX)/bin
UNITS := $(SYSTEM_LIB)/systemd/system
CONFIG := /etc/ebee/ebeed.toml
# The configuration as shipped: tells an edited $(CONFIG) from one that is not.
SHIPPED_CONFIG := $(PREFIX)/share/doc/ebee/ebeed.toml
BASH_COMPLETIONS := $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS := $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
FISH_COMPLETIONS := $(PREFIX)/share/fish/vendor_completions.d
MAN_PAGES := $(wildcard docs/man/*.[1-8])

# Everything that `install` places and `uninstall` removes, but for the configuration.
INSTALLED := $(SBIN)/ebeed $(BIN)/ebeectl $(UNITS)/ebeed.service $(UNITS)/ebeed.socket \
	$(SYSTEM_LIB)/sysusers.d/ebeed.conf $(SYSTEM_LIB)/systemd/catalog/ebeed.catalog \
	$(BASH_COMPLETIONS)/ebeectl $(ZSH_COMPLETIONS)/_ebeectl $(FISH_COMPLETIONS)/ebeectl.fish \
	$(foreach page,$(MAN_PAGES),$(PREFIX)/share/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))

# What tests preload into ebeed.
PRELOADED := $(BUILT)/libebee-faults.so $(BUILT)/libebee-tries.so

where-there = ! command -v $(1) >/dev/null || $(1)
completion = $(BUILT)/ebeectl --generate-completion-script $(1) | install -D -m 644 /dev/stdin

# On this machine, not in an image or a package, and with systemd running.
LIVE := $(if $(DESTDIR),,$(wildcard /run/systemd/system))

.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: deps bpf build run test account fuzz sanitize kernel-test bench install uninstall check clean help \
	root build-deps test-deps kernel-deps bench-deps check-deps

deps: ## install what is missing to build, test and check (apt; root only if something is)
	$(Q).ci/deps build test kernel check

root:
	@[ "$$(id -u)" = 0 ] || { echo 'ebeed must run as root: sudo make $(MAKECMDGOALS)' >&2; exit 77; }

build-deps:
	$(Q).ci/deps build

test-deps:
	$(Q).ci/deps build test kernel

kernel-deps:
	$(Q).ci/deps build kernel

bench-deps:
ifneq ($(if $(TOOLS),$(findstring bpftrace,$(TOOLS)),all),)
	$(Q).ci/deps bench || echo 'The benchmarks go on without it.' >&2
endif

check-deps:
	$(Q).ci/deps check

bpf: $(BPF_OBJECTS) ## compile the BPF programs

# DWARF goes, BTF stays: 600 KB become 60.
Sources/CObjects/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) | build-deps
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_FLAGS) -c $< -o $@
	$(Q)$(STRIP) -g $@
	@# The assembler takes them in, and nobody else knows that.
	@touch Sources/CObjects/images.S

build: build-deps bpf ## build .build/release/ebeed and .build/release/ebeectl
	$(call say,SWIFT,$(CONFIGURATION))
	$(Q).ci/swift build $(quiet) $(SWIFT_FLAGS)

run: root build ## start ebeed here and show live events until Ctrl-C (root)
	$(Q).ci/try $(BUILT)

test: test-deps build $(BUILT)/refuse.bpf.o $(PRELOADED) ## run every test that this machine can run (root for those on the kernel)
	$(Q).ci/test $(BUILT) $(TEST_FLAGS)

# STORMS='deletions,ring': only these. SCALE=0.1: so many times the events. EVERYBODY=1: other processes too.
account: root build ## let storms fall upon ebeed and account for every event (root; STORMS=NAMES SCALE=N)
	$(Q)$(BUILT)/ebee-account --programs $(BUILT) $(if $(STORMS),--storms '$(STORMS)') \
		$(if $(SCALE),--scale '$(SCALE)') $(if $(EVERYBODY),--everybody)

# CELLS='6.1/all,*/lockdown': only these. RUN=COMMAND: that in place of the suite. REFRESH=1 fetches newer kernels. RECORD=1 records what the verifier counts.
kernel-test: kernel-deps build $(BUILT)/refuse.bpf.o ## run ebeed on other kernels, in virtual machines; root for the kernel here
	$(Q)status=0; $(BUILT)/ebee-matrix --programs $(BUILT) $(if $(CELLS),--cells '$(CELLS)') \
		$(if $(RUN),--run '$(RUN)') $(if $(REFRESH),--refresh) $(if $(RECORD),--record) || status=$$?; \
	if [ "$$(id -u)" = 0 ] && [ "$$SUDO_UID" = "$$(stat -c %u .)" ]; then \
		chown -R "$$SUDO_UID:$$SUDO_GID" .build docs/coverage.md Tests/ebee-matrix/verifier.tsv; fi; exit $$status

# Makes a kernel refuse trampolines and kprobes. The headers of the kernel's interface ask for those of the architecture.
$(BUILT)/refuse.bpf.o: Tests/ebee-matrix/refuse.bpf.c | build
	$(call say,BPF,$<)
	$(Q)$(CLANG) $(BPF_FLAGS) -idirafter /usr/include/$(shell uname -m)-linux-gnu -c $< -o $@

# FUZZ=TARGET: only that one. SECONDS=N: so long for each; else RUNS=N inputs. INPUT=FILE repeats one.
fuzz: build-deps bpf ## give made-up bytes to what reads bytes (FUZZ=TARGET SECONDS=N)
	$(call say,SWIFT,fuzz targets)
	$(Q)EBEE_FUZZ=1 .ci/swift build --quiet --configuration release --scratch-path .build/fuzz --product ebee-fuzz \
		-Xcxx -fsanitize=fuzzer-no-link,address
	$(Q)EBEE_FUZZ_SECONDS='$(SECONDS)' EBEE_FUZZ_RUNS='$(RUNS)' EBEE_FUZZ_INPUT='$(INPUT)' \
		.ci/fuzz .build/fuzz/release/ebee-fuzz $(FUZZ)

# Those that need no kernel. A build for each.
sanitize: build-deps bpf ## run the unit tests with the address and the thread sanitizer
	$(Q)for sanitizer in address thread; do \
		printf '  %-8s%s\n' SWIFT "tests ($$sanitizer sanitizer)"; \
		.ci/swift build --quiet --build-tests --sanitize=$$sanitizer --scratch-path .build/$$sanitizer -Xswiftc -use-ld=lld && \
		.ci/sanitized $$sanitizer $(TEST_FLAGS) || exit; done

# Preloaded into ebeed: one fails a call of it, one tries what it may not do.
$(BUILT)/libebee-%.so: Tests/ebee-%/*.c | build
	$(call say,C,$<)
	$(Q)$(CLANG) -O2 -Wall -Wextra -Werror -shared -fPIC $< -o $@

# TOOLS='ebeed,bpftrace': only these. ROUNDS=10: so many. SCALE=0.1: so many times the events. Nothing is installed for it that runs
# by itself: where auditd is, it takes part.
bench: root build bench-deps ## measure what ebeed costs, side by side with others (root; TOOLS=NAMES ROUNDS=N SCALE=N)
	$(Q)$(BUILT)/ebee-bench --programs $(BUILT) $(if $(TOOLS),--tools '$(TOOLS)') \
		$(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(SCALE),--scale '$(SCALE)')

install: build ## install below PREFIX (/usr/local) and DESTDIR; then: systemctl enable --now ebeed
	$(call say,INSTALL,$(DESTDIR)$(PREFIX))
	$(Q)install -D -m 755 -s --strip-program=$(STRIP) $(BUILT)/ebeed $(DESTDIR)$(SBIN)/ebeed
	$(Q)install -D -m 755 -s --strip-program=$(STRIP) $(BUILT)/ebeectl $(DESTDIR)$(BIN)/ebeectl
	$(Q)install -D -m 644 systemd/ebeed.socket $(DESTDIR)$(UNITS)/ebeed.socket
	$(Q)sed 's,/usr/local/sbin/,$(SBIN)/,' systemd/ebeed.service | \
		install -D -m 644 /dev/stdin $(DESTDIR)$(UNITS)/ebeed.service
	$(Q)install -D -m 644 systemd/ebeed.sysusers $(DESTDIR)$(SYSTEM_LIB)/sysusers.d/ebeed.conf
	$(Q)install -D -m 644 systemd/ebeed.catalog $(DESTDIR)$(SYSTEM_LIB)/systemd/catalog/ebeed.catalog
	$(Q)$(foreach page,$(MAN_PAGES),install -D -m 644 $(page) \
		$(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page)) &&) :
	$(Q)$(call completion,bash) $(DESTDIR)$(BASH_COMPLETIONS)/ebeectl
	$(Q)$(call completion,zsh) $(DESTDIR)$(ZSH_COMPLETIONS)/_ebeectl
	$(Q)$(call completion,fish) $(DESTDIR)$(FISH_COMPLETIONS)/ebeectl.fish
	@# A configuration that nobody edited is replaced; an edited one stays.
	$(Q)if [ ! -e $(DESTDIR)$(CONFIG) ] || cmp -s $(DESTDIR)$(CONFIG) $(DESTDIR)$(SHIPPED_CONFIG); then \
		install -D -m 644 config/ebeed.toml $(DESTDIR)$(CONFIG); \
	elif ! cmp -s $(DESTDIR)$(CONFIG) config/ebeed.toml; then \
		echo 'Kept $(DESTDIR)$(CONFIG), which was edited; $(DESTDIR)$(SHIPPED_CONFIG) has every key of this version.'; \
	fi
	$(Q)install -D -m 644 config/ebeed.toml $(DESTDIR)$(SHIPPED_CONFIG)
ifeq ($(DESTDIR),)
	$(Q)$(call where-there,systemd-sysusers) $(SYSTEM_LIB)/sysusers.d/ebeed.conf
	$(Q)$(call where-there,journalctl) --update-catalog
endif
ifneq ($(LIVE),)
	$(Q)systemctl daemon-reload
	@echo 'Installed. To start it now and at every boot: systemctl enable --now ebeed (systemctl restart ebeed if it runs)'
endif

uninstall: ## stop ebeed and remove what install placed; an edited configuration stays
ifneq ($(LIVE),)
	$(Q)systemctl disable --quiet --now ebeed.service ebeed.socket 2>/dev/null || :
endif
	$(call say,REMOVE,$(DESTDIR)$(PREFIX))
	$(Q)rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	$(Q)if cmp -s $(DESTDIR)$(CONFIG) $(DESTDIR)$(SHIPPED_CONFIG); then rm -f $(DESTDIR)$(CONFIG); fi
	$(Q)rm -f $(DESTDIR)$(SHIPPED_CONFIG)
	$(Q)rmdir $(DESTDIR)$(dir $(SHIPPED_CONFIG)) $(DESTDIR)$(dir $(CONFIG)) 2>/dev/null || :
	$(Q)if [ -e $(DESTDIR)$(CONFIG) ]; then echo 'Kept $(DESTDIR)$(CONFIG), which was edited.'; fi
ifeq ($(DESTDIR),)
	$(Q)$(call where-there,journalctl) --update-catalog
	@if getent group ebee >/dev/null; then echo 'Kept the group ebee; groupdel ebee removes it.'; fi
endif
ifneq ($(LIVE),)
	$(Q)systemctl daemon-reload
endif

check: check-deps ## formatting and lint
	$(call say,LINT,Swift)
	$(Q).ci/swift format lint --strict --recursive --configuration .swift-format Package.swift Sources Tests
	$(call say,LINT,C)
	$(Q)clang-format --dry-run -Werror $(C_FILES)
	$(call say,LINT,shell)
	$(Q)shellcheck $(SHELL_FILES)

clean: ## remove what was built
	$(Q)rm -rf .build $(BPF_OBJECTS)

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
