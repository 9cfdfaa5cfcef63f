// TAP devices, packet and raw sockets, and what is known of network interfaces. Failure is a negative errno value.
// Everything acts in the network namespace of the calling thread, or of the socket it is given.
#ifndef BATON_CLINUXSOCKETS_PACKET_DEVICES_H
#define BATON_CLINUXSOCKETS_PACKET_DEVICES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The longest interface name, without its terminator.
enum { BATON_INTERFACE_NAME_MAX = 15 };

// What precedes each frame of a TAP device: struct virtio_net_hdr. With it the kernel hands out and takes back segments as
// it has merged them, up to 64 KiB in one, with checksums still to be made.
enum { BATON_TAP_HEADER = 10 };

// Makes a TAP device that lives as long as the returned descriptor, which does not block; brings it up without an
// address, with room for `queue_length` frames. `address` gets its link-layer address (6 bytes).
int baton_tap_open(const char *name, int queue_length, uint8_t *address);

// The interface's index, and its link-layer address (6 bytes).
int baton_interface_get(const char *name, int *index, uint8_t *address);

// Sends one whole link-layer frame from the interface.
int baton_packet_socket(void);
int baton_packet_send(int fd, int index, uint16_t ether_type, const void *frame, size_t count);

// A raw socket whose writer supplies the IP header.
int baton_raw_socket(int family);
int baton_raw_send(int fd, int family, const void *destination, const void *packet, size_t count);

// Adds the address to the interface, or removes it. An IPv6 address is added without duplicate address detection, which
// would find the other host. Adding one that is there and removing one that is not succeed.
int baton_address_change(int add, int family, const void *address, int prefix_length, int index);

#endif
