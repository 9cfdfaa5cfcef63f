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

#endif
