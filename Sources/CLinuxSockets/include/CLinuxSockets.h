#ifndef BATON_CLINUXSOCKETS_H
#define BATON_CLINUXSOCKETS_H

#include "acceptance.h"
#include "capabilities.h"
#include "child.h"
#include "crash.h"
#include "handoff.h"
#include "nftables_batch.h"
#include "packet_devices.h"
#include "process.h"
#include "signals.h"
#include "tcp_repair.h"

#endif
