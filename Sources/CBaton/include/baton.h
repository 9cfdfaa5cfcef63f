// libbaton: a live TLS connection as a value, for C and for whatever calls C.
//
// An established TLS 1.2 or 1.3 connection is taken out of OpenSSL (`baton_openssl.h`), read and written through memory, suspended
// at any byte, and resumed by another process or handed to it over a Unix socket. The peer notices nothing.
//
// Threads: objects are independent of each other. Calls that use one connection or one sender must not overlap; one that does gets
// BATON_ERROR_IN_USE and changes nothing, and so does one with a connection that is in an offer. Calls that use one inbox or one
// receiver may overlap. Objects may be used by different threads one after the other. To free an object is no such call: no other
// may be under way.
//
// Errors: functions return a `baton_code`, or NULL where they make something. A `baton_error` says more; its pointer may be NULL.
// Nothing that a caller or a peer does ends the process, except to use what has been freed.
//
// Ownership: at most one holder of a connection may ever encrypt. What has been sealed or handed over is gone from here: every
// later call says BATON_ERROR_GONE. A copy of the process (fork(2)) must not use the connections it has copied.
#ifndef BATON_H
#define BATON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BATON_VERSION "0.2.0"

typedef enum baton_code {
    BATON_OK = 0,
    BATON_WAIT = 1,  // nothing can be done before more has come in, or gone out
    BATON_END = 2,   // the peer has ended its side in order, or nothing more comes
    BATON_ERROR_ARGUMENT = -1,       // NULL, or a number out of its range
    BATON_ERROR_IN_USE = -2,         // another thread is in a call with this object
    BATON_ERROR_AT_REST = -3,        // the connection is suspended: resume it, seal it or hand it over
    BATON_ERROR_NOT_AT_REST = -4,    // suspend the connection first
    BATON_ERROR_GONE = -5,           // the connection has been sealed or handed over
    BATON_ERROR_HANDSHAKE = -6,      // the connection cannot be taken out of OpenSSL; it stays there
    BATON_ERROR_PROTOCOL = -7,       // the peer has broken the protocol or sent an alert; ours is among the outgoing bytes
    BATON_ERROR_TRUNCATED = -8,      // the transport has ended without close_notify: data may have been cut off
    BATON_ERROR_WRITE_CLOSED = -9,   // this side has ended
    BATON_ERROR_KEY_EXHAUSTED = -10, // TLS 1.2: the key has protected as much as it may
    BATON_ERROR_TOO_SMALL = -11,     // the buffer is too small; the count says what is needed
    BATON_ERROR_SEAL = -12,          // the sealed bytes do not open: expired, for another receiver, seen before, changed
    BATON_ERROR_FORMAT = -13,        // the connection at rest is of a version or form that this library does not read
    BATON_ERROR_HANDOFF = -14,       // the other process did not take everything
    BATON_ERROR_TIMED_OUT = -15,
    BATON_ERROR_SYSTEM = -16,        // `system_error` has the errno value
    BATON_ERROR_TOO_LARGE = -17,     // more waits in the connection than can be moved; it stays at rest
    BATON_ERROR_NOT_YET = -18,       // the connection cannot be taken out of OpenSSL before that has gone on
} baton_code;

typedef struct baton_error {
    int code;           // a baton_code
    int system_error;   // an errno value, or 0
    char message[240];  // one line for people, without key material
} baton_error;

// The library's version, as BATON_VERSION was when it was built.
const char *baton_version(void);

// ---- Connections ---------------------------------------------------------------------------------------------------------------

typedef struct baton_connection baton_connection;

// Frees a connection and zeroes its secrets. The peer is told nothing: call baton_close and write what is outgoing before, unless
// the connection goes on elsewhere. NULL is passed over.
void baton_connection_free(baton_connection *connection);

// Takes ciphertext as it came from the transport, in pieces of any size. What has not been read stays in memory: stop reading the
// transport while baton_inbound_count is large.
int baton_receive(baton_connection *connection, const void *bytes, size_t count, baton_error *error);

// The transport has ended (read(2) has returned 0).
int baton_receive_end(baton_connection *connection, baton_error *error);

// Ciphertext received and not opened, in bytes; 0 for NULL.
size_t baton_inbound_count(baton_connection *connection);

// Reads plaintext. BATON_OK: `*count` bytes, at least one. BATON_WAIT: there are none yet. BATON_END: the peer's close_notify; this
// side may write still. After BATON_ERROR_PROTOCOL write what is outgoing, the alert, and free the connection.
// Key updates are followed by the way and may add to what is outgoing.
int baton_read(baton_connection *connection, void *buffer, size_t capacity, size_t *count, baton_error *error);

// Encrypts plaintext; the ciphertext is among the outgoing bytes, and grows without limit unless they are written.
int baton_write(baton_connection *connection, const void *bytes, size_t count, baton_error *error);

// Ends this side: a close_notify is among the outgoing bytes. The peer's bytes can be read still.
int baton_close(baton_connection *connection, baton_error *error);

// Ciphertext to be written to the transport, in bytes; 0 for NULL. Whenever it is not 0 there is something to write: look after
// baton_read, baton_write, baton_close, and when a connection has been resumed or has arrived.
size_t baton_outgoing_count(baton_connection *connection);

// Copies the first outgoing bytes, at most `capacity`.
int baton_outgoing(baton_connection *connection, void *buffer, size_t capacity, size_t *count, baton_error *error);

// The transport has taken the first `count` outgoing bytes.
int baton_did_write(baton_connection *connection, size_t count, baton_error *error);

// The same with a socket in place of memory. `baton_fill` reads once, at most 64 KiB, and notes the end; `baton_flush` writes what is
// outgoing. BATON_WAIT: the socket, which should be non-blocking, has nothing, or takes no more.
int baton_fill(baton_connection *connection, int socket, baton_error *error);
int baton_flush(baton_connection *connection, int socket, baton_error *error);

// Gives back buffers and cipher contexts of a connection that is idle. They come again when they are needed.
int baton_release_memory(baton_connection *connection, baton_error *error);

typedef struct baton_info {
    uint8_t is_server;
    uint16_t version;       // 0x0303: TLS 1.2, 0x0304: TLS 1.3
    uint16_t cipher_suite;  // its number on the wire
    char alpn[256];         // empty if none was agreed on
    char server_name[256];  // the name that the client asked for (SNI), cut at 255 bytes
} baton_info;

int baton_get_info(baton_connection *connection, baton_info *info, baton_error *error);

// ---- At rest -------------------------------------------------------------------------------------------------------------------

// Suspends the connection, at whatever byte it is. Write nothing more to its transport from here on, and read nothing.
int baton_suspend(baton_connection *connection, baton_error *error);

// Goes on with a connection that was suspended and neither sealed nor handed over.
int baton_resume(baton_connection *connection, baton_error *error);

// Who may open sealed connections: made new by every process that receives, and never stored, since what has been opened is
// remembered in its memory.
typedef struct baton_receiver baton_receiver;

#define BATON_ADDRESS_LENGTH 48

baton_receiver *baton_receiver_new(baton_error *error);
void baton_receiver_free(baton_receiver *receiver);

// What a sealer needs, BATON_ADDRESS_LENGTH bytes. It holds a key: whoever knows it can open what is sealed with it.
int baton_receiver_address(baton_receiver *receiver, uint8_t *address, baton_error *error);

// Seals a suspended connection for one receiver, to be opened once and within `lifetime` milliseconds. On BATON_OK the connection is
// gone from here. On BATON_ERROR_TOO_SMALL `*count` says how much room it takes, and it stays at rest. So it does on
// BATON_ERROR_TOO_LARGE: nearly 64 MiB of ciphertext may wait in it, and 1 MiB of plaintext that OpenSSL has decrypted.
int baton_seal(baton_connection *connection, const uint8_t *address, size_t address_length, uint64_t lifetime, void *buffer,
               size_t capacity, size_t *count, baton_error *error);

// Opens what was sealed for this receiver, and resumes it.
baton_connection *baton_open(baton_receiver *receiver, const void *sealed, size_t count, baton_error *error);

// ---- Handing over to another process of this machine ------------------------------------------------------------------------------

typedef struct baton_sender baton_sender;

// Connects to the process that listens at `path`: an inbox of this library, `BatonNIO`, or a `worker:` of `baton serve`. Only processes
// of the same user, and root, take part.
baton_sender *baton_sender_connect(const char *path, uint64_t timeout, baton_error *error);
void baton_sender_free(baton_sender *sender);

typedef enum baton_fate {
    BATON_FATE_NONE = 0,
    BATON_FATE_HANDED_OVER = 1,  // the receiver has it: the handle is gone; close your copy of the socket
    BATON_FATE_RETURNED = 2,     // at rest here, as before: resume it
    BATON_FATE_CLOSED = 3,       // nobody has it, because nobody could be told to let go; close your copy of the socket
} baton_fate;

typedef struct baton_item {
    baton_connection *connection;  // at rest
    int socket;                    // its transport; stays the caller's, whatever its fate
    const void *state;             // the application's own, for the receiver; not zeroed by it
    size_t state_count;
    int fate;                      // a baton_fate, set by the call
} baton_item;

#define BATON_MOST_ITEMS 16384

// Offers connections, 1 to BATON_MOST_ITEMS, and waits until each has met its fate, at most `timeout` milliseconds.
// BATON_OK: all have been handed over. Otherwise the items say which. BATON_ERROR_TOO_LARGE, as of baton_seal, names an item; nothing
// was offered then.
int baton_offer(baton_sender *sender, baton_item *items, size_t count, uint64_t timeout, baton_error *error);

typedef struct baton_inbox baton_inbox;

typedef struct baton_arrival {
    baton_connection *connection;  // resumed; the caller's
    int socket;                    // the caller's
    void *state;                   // what the sender has put beside it; baton_arrival_clear frees it
    size_t state_count;
    uint32_t moves;                // how often the connection has changed its owner
} baton_arrival;

// Listens at `path`, at most 107 bytes, in a directory of mode 0700, which is made if it is missing. A path whose listener is dead is
// taken over; one whose listener lives is not. Receiving goes on in a thread of the library's.
baton_inbox *baton_inbox_listen(const char *path, baton_error *error);

// Readable while something has arrived, for poll(2) and the like. Do not read it. -1 for NULL.
int baton_inbox_descriptor(baton_inbox *inbox);

// BATON_OK: a connection. BATON_WAIT: there is none. BATON_END: the inbox was stopped, and nothing more comes.
// Plain connections are declined: this library is for TLS.
int baton_inbox_take(baton_inbox *inbox, baton_arrival *arrival, baton_error *error);

// Frees `state`; connection and socket stay the caller's.
void baton_arrival_clear(baton_arrival *arrival);

// Takes no more. What has been accepted still arrives: go on until baton_inbox_take says BATON_END.
int baton_inbox_stop(baton_inbox *inbox, baton_error *error);

// Frees the inbox; connections in it that nobody has taken are closed, and so is what still arrives. The path is free a moment later.
void baton_inbox_free(baton_inbox *inbox);

#ifdef __cplusplus
}
#endif

#endif
