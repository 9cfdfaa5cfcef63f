#ifndef BATON_CLINUXSOCKETS_H
#define BATON_CLINUXSOCKETS_H

#include "packet_devices.h"
#include "tcp_repair.h"

#endif
