#include "include/rival.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static int drain(BIO *bio, char *text) {
    int count = BIO_read(bio, text, RIVAL_PEM_SIZE - 1);
    if (count <= 0) return 0;
    text[count] = 0;
    return 1;
}

int rival_certificate(char certificate[RIVAL_PEM_SIZE], char key[RIVAL_PEM_SIZE]) {
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    BIO *out = BIO_new(BIO_s_mem());
    int ok = 0;
    if (!pair || !x509 || !out) goto done;
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 86400);
    X509_NAME *name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"benchmarks.example", -1, -1, 0);
    ok = X509_set_issuer_name(x509, name) == 1 && X509_set_pubkey(x509, pair) == 1 &&
         X509_sign(x509, pair, EVP_sha256()) > 0 && PEM_write_bio_X509(out, x509) == 1 && drain(out, certificate) &&
         PEM_write_bio_PrivateKey(out, pair, NULL, NULL, 0, NULL, NULL) == 1 && drain(out, key);
done:
    BIO_free(out);
    X509_free(x509);
    EVP_PKEY_free(pair);
    return ok;
}

static SSL_CTX *make_context(const SSL_METHOD *method, const char *suite) {
    SSL_CTX *context = SSL_CTX_new(method);
    if (!context) return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    // One BIO_read takes header and body.
    SSL_CTX_set_read_ahead(context, 1);
    // Idle buffers are given back only for the test of idle memory; in the record path they are kept, which is faster.
    if (suite && SSL_CTX_set_ciphersuites(context, suite) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

static SSL_CTX *make_server_context(const char *certificate, const char *key, const char *suite) {
    SSL_CTX *context = make_context(TLS_server_method(), suite);
    BIO *certificate_bio = BIO_new_mem_buf(certificate, -1), *key_bio = BIO_new_mem_buf(key, -1);
    X509 *x509 = PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL);
    EVP_PKEY *pair = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    int ok = context && x509 && pair && SSL_CTX_use_certificate(context, x509) == 1 &&
             SSL_CTX_use_PrivateKey(context, pair) == 1;
    X509_free(x509);
    EVP_PKEY_free(pair);
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    if (ok) return context;
    SSL_CTX_free(context);
    return NULL;
}

static SSL *make_end(SSL_CTX *context) {
    SSL *ssl = SSL_new(context);
    if (ssl) SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

static void carry(SSL *from, SSL *to) {
    uint8_t bytes[16384];
    int count;
    while ((count = BIO_read(SSL_get_wbio(from), bytes, sizeof bytes)) > 0) BIO_write(SSL_get_rbio(to), bytes, count);
}

static int shake_hands(SSL *client, SSL *server) {
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int turn = 0; turn < 10; turn++) {
        SSL_do_handshake(client);
        carry(client, server);
        SSL_do_handshake(server);
        carry(server, client);
        if (SSL_is_init_finished(client) && SSL_is_init_finished(server)) {
            // The client takes the tickets, so that nothing waits in its BIO.
            uint8_t byte;
            SSL_read(client, &byte, 1);
            return 1;
        }
    }
    return 0;
}

struct rival_pair {
    SSL_CTX *client_context, *server_context;
    SSL *client, *server;
};

rival_pair *rival_pair_new(const char *certificate, const char *key, const char *suite) {
    rival_pair *pair = calloc(1, sizeof *pair);
    if (!pair) return NULL;
    pair->client_context = make_context(TLS_client_method(), suite);
    pair->server_context = make_server_context(certificate, key, suite);
    if (pair->client_context && pair->server_context) {
        pair->client = make_end(pair->client_context);
        pair->server = make_end(pair->server_context);
        if (pair->client && pair->server && shake_hands(pair->client, pair->server)) return pair;
    }
    rival_pair_free(pair);
    return NULL;
}

void rival_pair_free(rival_pair *pair) {
    if (!pair) return;
    SSL_free(pair->client);
    SSL_free(pair->server);
    SSL_CTX_free(pair->client_context);
    SSL_CTX_free(pair->server_context);
    free(pair);
}

size_t rival_seal(rival_pair *pair, const uint8_t *plaintext, size_t count, uint8_t *wire, size_t capacity) {
    if (SSL_write(pair->client, plaintext, (int)count) != (int)count) return 0;
    // Read dry after every write, so the BIO's memory stays at one record. BIO_reset would clear all of it each time.
    int length = BIO_read(SSL_get_wbio(pair->client), wire, (int)capacity);
    return length > 0 ? (size_t)length : 0;
}

size_t rival_open(rival_pair *pair, const uint8_t *wire, size_t count, uint8_t *plaintext, size_t capacity) {
    if (BIO_write(SSL_get_rbio(pair->server), wire, (int)count) != (int)count) return 0;
    int length = SSL_read(pair->server, plaintext, (int)capacity);
    return length > 0 ? (size_t)length : 0;
}

struct rival_idle {
    SSL_CTX *client_context, *server_context;
    size_t count, capacity;
    SSL *servers[];
};

rival_idle *rival_idle_prepare(const char *certificate, const char *key, size_t capacity) {
    rival_idle *idle = calloc(1, sizeof *idle + capacity * sizeof(SSL *));
    if (!idle) return NULL;
    idle->capacity = capacity;
    idle->client_context = make_context(TLS_client_method(), NULL);
    idle->server_context = make_server_context(certificate, key, NULL);
    if (!idle->client_context || !idle->server_context) {
        rival_idle_free(idle);
        return NULL;
    }
    SSL_CTX_set_mode(idle->server_context, SSL_MODE_RELEASE_BUFFERS);
    return idle;
}

int rival_idle_add(rival_idle *idle) {
    if (idle->count == idle->capacity) return 0;
    SSL *client = make_end(idle->client_context), *server = make_end(idle->server_context);
    int ok = client && server && shake_hands(client, server);
    if (ok) {
        // One record each way, as on a connection that has been used, after which the buffers are released.
        uint8_t byte = 0;
        ok = SSL_write(client, &byte, 1) == 1;
        carry(client, server);
        ok = ok && SSL_read(server, &byte, 1) == 1 && SSL_write(server, &byte, 1) == 1;
        SSL_read(server, &byte, 1);
        // A socket BIO keeps no bytes; neither does this.
        SSL_set_bio(server, BIO_new(BIO_s_null()), BIO_new(BIO_s_null()));
        idle->servers[idle->count++] = server;
    } else {
        SSL_free(server);
    }
    SSL_free(client);
    return ok;
}

void rival_idle_free(rival_idle *idle) {
    if (!idle) return;
    for (size_t index = 0; index < idle->count; index++) SSL_free(idle->servers[index]);
    SSL_CTX_free(idle->client_context);
    SSL_CTX_free(idle->server_context);
    free(idle);
}
