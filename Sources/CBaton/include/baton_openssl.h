// How a connection leaves OpenSSL 3, with no patch: its key log tells the secrets, and a filter BIO beneath it the records.
#ifndef BATON_OPENSSL_H
#define BATON_OPENSSL_H

#include <openssl/ssl.h>

#include "baton.h"

#ifdef __cplusplus
extern "C" {
#endif

// Makes connections of this context ones that can be observed. Call it once, before other threads have the context. A key log
// callback that is set already is called as before; one that is set later takes the place of this one.
int baton_openssl_prepare(SSL_CTX *context, baton_error *error);

// Observes a connection from before its handshake: the context is prepared, the BIOs are set, the role is (SSL_set_accept_state or
// SSL_set_connect_state), and no byte has passed. What it keeps goes with the SSL.
int baton_openssl_observe(SSL *ssl, baton_error *error);

// Takes the connection out of OpenSSL, once its handshake is done. Plaintext that OpenSSL has decrypted and nobody has read comes with
// it, and so do bytes that wait in a memory BIO for OpenSSL to read. From then on the SSL reads and writes nothing; free it with
// SSL_free, which tells the peer nothing. Bytes that OpenSSL has written to a memory BIO are the caller's to send, before those that
// baton_outgoing gives.
//
// BATON_ERROR_HANDSHAKE: the connection stays with OpenSSL, and is not observed any more. Reasons: a suite that is not AEAD with
// ephemeral keys, a write that OpenSSL has not finished, a handshake that was not seen from its first byte.
baton_connection *baton_openssl_adopt(SSL *ssl, baton_error *error);

#ifdef __cplusplus
}
#endif

#endif
