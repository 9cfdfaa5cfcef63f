#ifndef BATON_CLINUXSOCKETS_H
#define BATON_CLINUXSOCKETS_H

#include "nftables_batch.h"
#include "packet_devices.h"
#include "tcp_repair.h"

#endif
