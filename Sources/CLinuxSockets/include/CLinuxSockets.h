#ifndef BATON_CLINUXSOCKETS_H
#define BATON_CLINUXSOCKETS_H

#ifndef __linux__
#error "Baton runs on Linux: it needs SO_PASSCRED, pidfds, memfds and SIOCOUTQ, for which this system has no counterpart"
#endif

#include "acceptance.h"
#include "capabilities.h"
#include "child.h"
#include "confinement.h"
#include "crash.h"
#include "handoff.h"
#include "nftables_batch.h"
#include "packet_devices.h"
#include "process.h"
#include "signals.h"
#include "tcp_repair.h"
#include "watching.h"

#endif
