// How a connection leaves OpenSSL 3, with no patch: its key log tells the secrets, and a filter BIO beneath it the records.
#ifndef BATON_OPENSSL_H
#define BATON_OPENSSL_H

#include <openssl/ssl.h>

#include "baton.h"

#ifdef __cplusplus
extern "C" {
#endif

// Makes connections of this context ones that can be observed. Call it once, before other threads have the context, and for every
// context that connections are switched to (SSL_set_SSL_CTX). A key log callback that is set already is called as before; one that
// is set later has to call the one that SSL_CTX_get_keylog_callback gave before.
int baton_openssl_prepare(SSL_CTX *context, baton_error *error);

// Observes a connection from before its handshake: the context is prepared, the BIOs are set, the role is (SSL_set_accept_state or
// SSL_set_connect_state), and no byte has passed. What it keeps goes with the SSL.
//
// From then on the BIOs of the SSL must not be replaced. SSL_get_rbio and SSL_get_wbio give filters that pass on what is read, written
// and asked; BIO_get_data of them is the filter's, and the transport is their BIO_next. SSL_dup makes an SSL that is not observed.
int baton_openssl_observe(SSL *ssl, baton_error *error);

// Takes the connection out of OpenSSL, once its handshake is done. Plaintext that OpenSSL has decrypted and nobody has read comes with
// it, and so do bytes that wait in a memory BIO for OpenSSL to read. From then on the SSL reads and writes nothing; free it with
// SSL_free, which tells the peer nothing. Bytes that OpenSSL has written to a memory BIO are the caller's to send, before those that
// baton_outgoing gives.
//
// BATON_ERROR_NOT_YET: the connection is observed still; go on with OpenSSL, and call again. Reasons: the handshake is not done, a
// write is not finished, a key update that the peer has asked for is not written, a message has come in part.
// BATON_ERROR_HANDSHAKE: the connection stays with OpenSSL, and is not observed any more. Reasons: a suite that is not AEAD with
// ephemeral keys, a connection that is being closed, BIOs that were replaced, a context that is not prepared, a handshake that was
// not seen from its first byte.
// BATON_ERROR_PROTOCOL: the peer has broken the protocol, and the connection is lost; free the SSL.
baton_connection *baton_openssl_adopt(SSL *ssl, baton_error *error);

#ifdef __cplusplus
}
#endif

#endif
