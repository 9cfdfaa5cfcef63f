// What Baton is measured against: OpenSSL's own record path and connection objects, and a bare round trip of
// descriptors. Each does what a careful user of that interface would do.
#ifndef BENCHMARKS_RIVAL_H
#define BENCHMARKS_RIVAL_H

#include <stddef.h>
#include <stdint.h>

// MARK: a certificate for both sides

enum { RIVAL_PEM_SIZE = 4096 };

// Writes a self-signed P-256 certificate and its key as PEM. Returns 1 or 0.
int rival_certificate(char certificate[RIVAL_PEM_SIZE], char key[RIVAL_PEM_SIZE]);

// MARK: OpenSSL

// A client and a server `SSL` whose TLS 1.3 handshake is done, over memory BIOs.
typedef struct rival_pair rival_pair;

// `suite` is an OpenSSL name of a TLS 1.3 suite. NULL if something failed.
rival_pair *rival_pair_new(const char *certificate, const char *key, const char *suite);
void rival_pair_free(rival_pair *pair);

// The client's SSL_write, and BIO_read of the record to `wire`. Returns the record's length, or 0.
size_t rival_seal(rival_pair *pair, const uint8_t *plaintext, size_t count, uint8_t *wire, size_t capacity);

// The server's BIO_write of a record, and SSL_read to `plaintext`. Returns the bytes read, or 0.
size_t rival_open(rival_pair *pair, const uint8_t *wire, size_t count, uint8_t *plaintext, size_t capacity);

// Server `SSL`s after their handshakes, idle: SSL_MODE_RELEASE_BUFFERS, and no BIO holds a buffer.
typedef struct rival_idle rival_idle;
rival_idle *rival_idle_prepare(const char *certificate, const char *key, size_t capacity);
// Adds one. Returns 1 or 0.
int rival_idle_add(rival_idle *idle);
void rival_idle_free(rival_idle *idle);

// MARK: descriptors

// Sends `count` descriptors with one byte over a Unix socket, waits for one byte, closes the descriptors: what handing
// them over costs at least. Returns 0, or a negative errno value.
int rival_round_trip(int socket, const int *descriptors, int count);

// Starts a thread that answers round trips on `socket` for as long as the other end lives. Returns 0.
int rival_answer_round_trips(int socket);

// MARK: processes

// Starts `program` with `arguments` (ended by NULL) and `first`, `second` as its descriptors 3 and 4. Returns its
// process id, or a negative errno value.
int rival_spawn(const char *program, char *const arguments[], int first, int second);

#endif
