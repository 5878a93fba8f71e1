// SPDX-License-Identifier: Apache-2.0
// libsystemd: the journal (sd_journal_sendv) and the service manager (sd_notify, sd_listen_fds).
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
