#ifndef BATON_CNFTABLES_SHIMS_H
#define BATON_CNFTABLES_SHIMS_H

#include <stdio.h>

#include <nftables/libnftables.h>

#endif
