// What the filter beneath an SSL tells, for the library's own use.
#ifndef BATON_OBSERVATION_H
#define BATON_OBSERVATION_H

#include <openssl/ssl.h>

// What is known of one SSL. The functions are Swift's.
void *baton_observation_new(int is_server);
void baton_observation_free(void *observation);
void baton_observation_sent(void *observation, const void *bytes, size_t count);
void baton_observation_received(void *observation, const void *bytes, size_t count);
void baton_observation_logged(void *observation, const char *line);

// The functions of openssl_observer.c.

// Prepares a context. Returns 1, or 0 if the library has no memory.
int baton_observer_prepare(SSL_CTX *context);
// Whether it was.
int baton_observer_is_prepared(SSL_CTX *context);
// Puts the filter beneath `ssl`. Returns 1, or 0.
int baton_observer_begin(SSL *ssl);
// The observation of `ssl`; NULL: there is none.
void *baton_observer_of(SSL *ssl);
// Whether the filters are where they were put, and none was freed meanwhile.
int baton_observer_sees_all(SSL *ssl);
// Nothing passes the filter any more, in either direction.
void baton_observer_seal_off(SSL *ssl);
// Takes what waits in memory beneath `ssl`; 0: nothing does, or it is a socket.
size_t baton_observer_take_rest(SSL *ssl, void *bytes, size_t capacity);
// Takes the observation away from `ssl`, which goes on without.
void baton_observer_end(SSL *ssl);
// Whether `ssl` has begun to write what its transport has not taken.
int baton_observer_is_writing(SSL *ssl);

#endif
