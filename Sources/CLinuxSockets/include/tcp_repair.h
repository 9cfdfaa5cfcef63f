// What Swift cannot import of the kernel's TCP interfaces: variadic ioctl(2), bit fields of struct tcp_info, the repair
// structures, and the socket diagnosis netlink protocol. Failure is a negative errno value.
#ifndef BATON_CLINUXSOCKETS_TCP_REPAIR_H
#define BATON_CLINUXSOCKETS_TCP_REPAIR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The arguments of TCP_REPAIR.
enum { BATON_REPAIR_OFF_SILENTLY = -1, BATON_REPAIR_OFF = 0, BATON_REPAIR_ON = 1 };

// The queues that TCP_REPAIR_QUEUE selects.
enum { BATON_NO_QUEUE = 0, BATON_RECEIVE_QUEUE = 1, BATON_SEND_QUEUE = 2 };

// tcpi_options.
enum { BATON_TCP_TIMESTAMPS = 1, BATON_TCP_SACK = 2, BATON_TCP_WINDOW_SCALING = 4, BATON_TCP_MICROSECONDS = 64 };

// The parts of struct tcp_info that describe the connection itself.
typedef struct {
    uint8_t state;
    uint8_t options;
    uint8_t send_scale;
    uint8_t receive_scale;
    uint32_t segments_in;
    uint64_t bytes_acknowledged;
    uint64_t bytes_received;
} baton_tcp_info;

// struct tcp_repair_window.
typedef struct {
    uint32_t last_update;      // snd_wl1: sequence number of the segment that last updated the send window
    uint32_t send_window;      // snd_wnd
    uint32_t largest_window;   // max_window
    uint32_t receive_window;   // rcv_wnd
    uint32_t last_advertised;  // rcv_wup: rcv_nxt when the receive window was last advertised
} baton_tcp_window;

// Bytes in the queues. Each count of bytes to send includes a FIN that the peer has not acknowledged.
typedef struct {
    int32_t unread;
    int32_t unacknowledged;
    int32_t unsent;
} baton_tcp_queues;

typedef struct {
    uint8_t shutdown;  // 1: no more reading, 2: no more writing
    uint8_t has_md5;
    uint8_t upper_layer;  // a TCP_ULP is attached
} baton_tcp_diagnosis;

int baton_tcp_get_info(int fd, baton_tcp_info *info);
int baton_tcp_get_queues(int fd, baton_tcp_queues *queues);

int baton_tcp_set_repair(int fd, int mode);
int baton_tcp_select_queue(int fd, int queue);
int baton_tcp_get_sequence(int fd, uint32_t *sequence);
int baton_tcp_set_sequence(int fd, uint32_t sequence);
int baton_tcp_get_timestamp(int fd, uint32_t *timestamp);
int baton_tcp_set_timestamp(int fd, uint32_t timestamp);
int baton_tcp_get_window(int fd, baton_tcp_window *window);
int baton_tcp_set_window(int fd, const baton_tcp_window *window);

// What the handshake negotiated (TCP_REPAIR_OPTIONS). A connection without window scaling is one with both scales 0.
int baton_tcp_set_negotiated(int fd, uint16_t mss, int sack, int timestamps, uint8_t send_scale,
                             uint8_t receive_scale);

// 1: TCP-AO keys are set; 0: none, or the kernel does not know TCP-AO.
int baton_tcp_has_ao(int fd);

// Asks sock_diag(7) about the connection between `local` and `remote`: network byte order addresses of 4 or 16 bytes.
int baton_tcp_diagnose(int family, const void *local, uint16_t local_port, const void *remote, uint16_t remote_port,
                       baton_tcp_diagnosis *diagnosis);

// Waits until every packet that any processor was handing to a socket when this was called has been handed over.
int baton_wait_for_packets_in_flight(void);

#endif
