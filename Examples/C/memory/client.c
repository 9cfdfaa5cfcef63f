// An HTTPS GET with libuv, where TLS never sees a socket: bytes go into memory and come out of memory.
//
//     client HOST PORT PATH CAFILE
//
// The handshake is OpenSSL's, over two memory BIOs; then the connection leaves OpenSSL and is Baton's. In both halves the program asks one
// question after everything that it does: is there something to write? BIO_ctrl_pending says so in the first, baton_outgoing_count in the
// second, and nothing else has to be known about TLS: not that a read may want to write, nor that a write may want to read.
#include <baton_openssl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { MOST_AT_ONCE = 65536 };

typedef struct client {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    // The handshake: what has come in, what is to go out.
    SSL *ssl;
    BIO *in, *out;
    baton_connection *connection;
    // What libuv writes at the moment.
    uv_write_t writing;
    char outgoing[MOST_AT_ONCE];
    int is_writing;
    const char *host, *path;
    int is_over, is_broken, status;
} client;

static char incoming[MOST_AT_ONCE];

static void finish(client *ending, const char *what, const char *why) {
    if (what) {
        fflush(stdout);
        fprintf(stderr, "client: %s: %s\n", what, why);
        ending->status = 1;
    }
    ending->is_over = 1;
}

// The transport is lost: nothing more can be said.
static void break_off(client *ending, const char *what, int code) {
    ending->is_broken = 1;
    if (!ending->is_over) finish(ending, what, uv_strerror(code));
}

// ---- Something to write? ---------------------------------------------------------------------------------------------------------

// The next bytes for the wire; 0 if there are none. Those of the handshake come before those of the connection.
static size_t next_outgoing(client *asked) {
    size_t count = 0;
    if (BIO_ctrl_pending(asked->out) > 0) {
        int read = BIO_read(asked->out, asked->outgoing, MOST_AT_ONCE);
        return read > 0 ? (size_t)read : 0;
    }
    if (baton_outgoing_count(asked->connection) == 0) return 0;
    baton_outgoing(asked->connection, asked->outgoing, MOST_AT_ONCE, &count, NULL);
    // libuv writes all of it, or the connection is lost.
    baton_did_write(asked->connection, count, NULL);
    return count;
}

static void write_outgoing(client *writing);

static void written(uv_write_t *request, int status) {
    client *wrote = request->data;
    wrote->is_writing = 0;
    if (status < 0) break_off(wrote, "cannot write", status);
    write_outgoing(wrote);
}

// Called after everything that may have made bytes for the wire, and when the bytes before them are written.
static void write_outgoing(client *writing) {
    if (writing->is_writing || uv_is_closing((uv_handle_t *)&writing->tcp)) return;
    size_t count = writing->is_broken ? 0 : next_outgoing(writing);
    if (count > 0) {
        uv_buf_t buffer = uv_buf_init(writing->outgoing, (unsigned)count);
        int code = uv_write(&writing->writing, (uv_stream_t *)&writing->tcp, &buffer, 1, written);
        if (code == 0) writing->is_writing = 1; else break_off(writing, "cannot write", code);
    }
    // An alert, or our close_notify, has gone before.
    if (writing->is_over && !writing->is_writing) uv_close((uv_handle_t *)&writing->tcp, NULL);
}

// ---- The handshake ---------------------------------------------------------------------------------------------------------------

static void ask(client *asking) {
    char request[2048];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", asking->path, asking->host);
    baton_error error;
    if (length < 0 || (size_t)length >= sizeof request) {
        finish(asking, "cannot ask", "the path is too long");
    } else if (baton_write(asking->connection, request, (size_t)length, &error) != BATON_OK) {
        finish(asking, "cannot ask", error.message);
    }
}

static void shake_hands(client *shaking) {
    ERR_clear_error();
    int result = SSL_do_handshake(shaking->ssl);
    if (result != 1) {
        if (SSL_get_error(shaking->ssl, result) == SSL_ERROR_WANT_READ) return;
        long verified = SSL_get_verify_result(shaking->ssl);
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        finish(shaking, "the handshake has failed",
               verified != X509_V_OK ? X509_verify_cert_error_string(verified) : reason ? reason : "the server has ended it");
        return;
    }
    baton_error error;
    shaking->connection = baton_openssl_adopt(shaking->ssl, &error);
    if (!shaking->connection) {
        // More of it has to come first, or it cannot be taken out at all.
        if (error.code != BATON_ERROR_NOT_YET) finish(shaking, "the connection stays with OpenSSL", error.message);
        return;
    }
    ask(shaking);
}

// ---- Something has come ----------------------------------------------------------------------------------------------------------

// Prints what the server says.
static void read_answer(client *reading) {
    char bytes[16384];
    size_t count;
    baton_error error;
    int code;
    while ((code = baton_read(reading->connection, bytes, sizeof bytes, &count, &error)) == BATON_OK) {
        fwrite(bytes, 1, count, stdout);
    }
    if (code == BATON_END) {
        baton_close(reading->connection, NULL);
        finish(reading, NULL, NULL);
    } else if (code < 0) {
        finish(reading, "the answer is not whole", error.message);
    }
}

static void received(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    client *reading = stream->data;
    if (reading->is_over || count == 0) return;
    if (count < 0 && count != UV_EOF) {
        break_off(reading, "cannot read", (int)count);
    } else if (!reading->connection) {
        if (count > 0) BIO_write(reading->in, buffer->base, (int)count); else BIO_set_mem_eof_return(reading->in, 0);
        shake_hands(reading);
        // What has come behind the handshake is in the connection already.
        if (reading->connection && !reading->is_over) read_answer(reading);
    } else {
        if (count > 0) baton_receive(reading->connection, buffer->base, (size_t)count, NULL);
        else baton_receive_end(reading->connection, NULL);
        read_answer(reading);
    }
    write_outgoing(reading);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(incoming, sizeof incoming);
}

static void connected(uv_connect_t *request, int status) {
    client *made = request->data;
    if (status < 0) {
        break_off(made, "cannot connect", status);
    } else {
        uv_read_start((uv_stream_t *)&made->tcp, lend_buffer, received);
        shake_hands(made);
    }
    write_outgoing(made);
}

// ---- The beginning ---------------------------------------------------------------------------------------------------------------

static void die(const char *what) {
    fprintf(stderr, "client: %s\n", what);
    exit(1);
}

static SSL *make_ssl(SSL_CTX *context, client *owner) {
    SSL *ssl = SSL_new(context);
    baton_error error;
    owner->in = BIO_new(BIO_s_mem());
    owner->out = BIO_new(BIO_s_mem());
    if (!ssl || !owner->in || !owner->out) die("no memory");
    // While nothing has come in, OpenSSL is to wait rather than take it for the end.
    BIO_set_mem_eof_return(owner->in, -1);
    SSL_set_bio(ssl, owner->in, owner->out);
    SSL_set_connect_state(ssl);
    SSL_set_tlsext_host_name(ssl, owner->host);
    SSL_set1_host(ssl, owner->host);
    if (baton_openssl_observe(ssl, &error) != BATON_OK) die(error.message);
    return ssl;
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "usage: %s HOST PORT PATH CAFILE\n", arguments[0]);
        return 2;
    }
    static client made = {.status = 0};
    made.host = arguments[1];
    made.path = arguments[3];
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    baton_error error;
    if (!context || SSL_CTX_load_verify_file(context, arguments[4]) != 1) die("the file of authorities cannot be read");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    if (baton_openssl_prepare(context, &error) != BATON_OK) die(error.message);
    made.ssl = make_ssl(context, &made);

    uv_loop_t *loop = uv_default_loop();
    uv_getaddrinfo_t resolving;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int code = uv_getaddrinfo(loop, &resolving, NULL, made.host, arguments[2], &hints);
    if (code != 0) die(uv_strerror(code));
    uv_tcp_init(loop, &made.tcp);
    made.tcp.data = made.connecting.data = made.writing.data = &made;
    code = uv_tcp_connect(&made.connecting, &made.tcp, resolving.addrinfo->ai_addr, connected);
    if (code != 0) die(uv_strerror(code));
    uv_freeaddrinfo(resolving.addrinfo);
    uv_run(loop, UV_RUN_DEFAULT);

    SSL_free(made.ssl);
    baton_connection_free(made.connection);
    SSL_CTX_free(context);
    return made.status;
}
