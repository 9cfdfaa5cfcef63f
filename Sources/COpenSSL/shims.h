// OpenSSL 3 for Swift: the headers, and functions for what Swift cannot import (macros) or should not spell out
// (one AEAD operation is several EVP calls; here it is one).
#ifndef BATON_COPENSSL_SHIMS_H
#define BATON_COPENSSL_SHIMS_H

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/ocsp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <string.h>

// MARK: AEAD

enum { BATON_AEAD_TAG = 16, BATON_COPY_BELOW = 2048 };

// Encrypts `count` bytes of `in` and then `trailer` (a byte, or -1 for none) to `out`, followed by the 16-byte tag.
// `in` may equal `out`. Returns 1, or 0 if libcrypto failed.
static inline int baton_aead_seal(EVP_CIPHER_CTX *context, const uint8_t *nonce, const uint8_t *aad, int aad_count,
                                  const uint8_t *in, int count, int trailer, uint8_t *out) {
    int n = 0;
    uint8_t *end = out + count;
    if (EVP_EncryptInit_ex(context, NULL, NULL, NULL, nonce) != 1) return 0;
    if (aad_count > 0 && EVP_EncryptUpdate(context, NULL, &n, aad, aad_count) != 1) return 0;
    if (trailer >= 0) {
        uint8_t last = (uint8_t)trailer;
        if (count <= BATON_COPY_BELOW) {
            // One call over a contiguous run is cheaper than a second call for one byte.
            if (in != out && count > 0) memmove(out, in, (size_t)count);
            *end++ = last;
            if (EVP_EncryptUpdate(context, out, &n, out, count + 1) != 1) return 0;
        } else {
            if (EVP_EncryptUpdate(context, out, &n, in, count) != 1) return 0;
            if (EVP_EncryptUpdate(context, end, &n, &last, 1) != 1) return 0;
            end++;
        }
    } else if (count > 0 && EVP_EncryptUpdate(context, out, &n, in, count) != 1) {
        return 0;
    }
    if (EVP_EncryptFinal_ex(context, end, &n) != 1) return 0;
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, BATON_AEAD_TAG, end) == 1;
}

// Decrypts `count` bytes of `in` to `out` (which may equal `in`) and checks the tag that follows them. Returns 1, or 0
// when the tag is wrong; what was written is then unspecified and must not be used.
static inline int baton_aead_open(EVP_CIPHER_CTX *context, const uint8_t *nonce, const uint8_t *aad, int aad_count,
                                  const uint8_t *in, int count, uint8_t *out) {
    int n = 0;
    if (EVP_DecryptInit_ex(context, NULL, NULL, NULL, nonce) != 1) return 0;
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, BATON_AEAD_TAG, (void *)(in + count)) != 1) return 0;
    if (aad_count > 0 && EVP_DecryptUpdate(context, NULL, &n, aad, aad_count) != 1) return 0;
    if (count > 0 && EVP_DecryptUpdate(context, out, &n, in, count) != 1) return 0;
    return EVP_DecryptFinal_ex(context, out + count, &n) == 1;
}

// MARK: key derivation

// An HMAC that knows its digest and has no key, to be duplicated for each use: HMAC() looks the digest up by name every
// time, which costs more than the MAC. NULL if libcrypto failed.
static inline EVP_MAC_CTX *baton_hmac_new(const char *digest) {
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
    OSSL_PARAM parameters[2] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC_free(mac);
    if (context && EVP_MAC_CTX_set_params(context, parameters) == 1) return context;
    EVP_MAC_CTX_free(context);
    return NULL;
}

// HMAC of `message` to `out`, which has room for `capacity` bytes. Returns its length, or 0. `context` is not changed,
// so threads may share it.
static inline size_t baton_hmac(const EVP_MAC_CTX *context, const uint8_t *key, size_t key_count,
                                const uint8_t *message, size_t count, uint8_t *out, size_t capacity) {
    size_t written = 0;
    EVP_MAC_CTX *keyed = context ? EVP_MAC_CTX_dup(context) : NULL;
    if (!keyed || EVP_MAC_init(keyed, key, key_count, NULL) != 1 || EVP_MAC_update(keyed, message, count) != 1 ||
        EVP_MAC_final(keyed, out, &written, capacity) != 1) {
        written = 0;
    }
    EVP_MAC_CTX_free(keyed);
    return written;
}

// PRF of TLS 1.2 (RFC 5246 section 5). Returns 1 or 0.
static inline int baton_tls12_prf(const char *digest, const uint8_t *secret, size_t secret_count, const uint8_t *seed,
                                  size_t seed_count, uint8_t *out, size_t out_count) {
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int ok = 0;
    if (context) {
        OSSL_PARAM parameters[4] = {
            OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)secret, secret_count),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)seed, seed_count),
            OSSL_PARAM_construct_end(),
        };
        ok = EVP_KDF_derive(context, out, out_count, parameters) == 1;
    }
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return ok;
}

// MARK: handshake

static inline int baton_ssl_ctx_set_versions(SSL_CTX *context, int minimum, int maximum) {
    return SSL_CTX_set_min_proto_version(context, minimum) == 1 && SSL_CTX_set_max_proto_version(context, maximum) == 1;
}

// What no connection here ever does: renegotiate, compress, or keep sessions in this process.
static inline void baton_ssl_ctx_set_fixed_options(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

static inline void baton_ssl_ctx_refuse_tickets(SSL_CTX *context) { SSL_CTX_set_options(context, SSL_OP_NO_TICKET); }

// Sessions are given to the new-session callback and kept nowhere else.
static inline void baton_ssl_ctx_report_sessions(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
}

static inline int baton_ssl_ctx_set_groups(SSL_CTX *context, const char *list) {
    return SSL_CTX_set1_groups_list(context, list) == 1;
}

static inline void baton_ssl_ctx_set_server_name_callback(SSL_CTX *context, int (*callback)(SSL *, int *, void *)) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
}

static inline int baton_ssl_set_server_name(SSL *ssl, const char *name) {
    return SSL_set_tlsext_host_name(ssl, name) == 1;
}

static inline int baton_ssl_new_ex_data_index(void) { return SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL); }

// The callback that is asked for an OCSP response to send with the certificate (RFC 6066 section 8).
static inline void baton_ssl_ctx_set_status_callback(SSL_CTX *context, int (*callback)(SSL *, void *)) {
    SSL_CTX_set_tlsext_status_cb(context, callback);
}

// Sends a copy of `bytes` as the OCSP response. Returns 1 or 0.
static inline int baton_ssl_staple(SSL *ssl, const uint8_t *bytes, size_t count) {
    unsigned char *copy = OPENSSL_memdup(bytes, count);
    if (!copy) return 0;
    if (SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)count) == 1) return 1;
    OPENSSL_free(copy);
    return 0;
}

// Verifies the peer by the authorities and revocation lists in `store`, which is not taken over.
static inline int baton_ssl_set_verify_store(SSL *ssl, X509_STORE *store) {
    return SSL_set1_verify_cert_store(ssl, store) == 1;
}

// A distinguished name as RFC 2253 writes it.
static inline int baton_x509_name_print(BIO *output, const X509_NAME *name) {
    return X509_NAME_print_ex(output, name, 0, XN_FLAG_RFC2253) >= 0;
}

// The MAC of session tickets is HMAC-SHA-256 under a 32-byte key (RFC 5077 section 4). Returns 1 or 0.
static inline int baton_ticket_mac_init(EVP_MAC_CTX *mac, const uint8_t *key) {
    OSSL_PARAM parameters[3] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, 32),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

#endif
