// A client and a server of OpenSSL over memory, both taken over; what the C interface promises is asked of them.
//
//     memory CERTIFICATE KEY VERSION
#include <baton_openssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define check(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, error.message); \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

static baton_error error;

typedef struct pair {
    baton_connection *client, *server;
} pair;

static SSL *make(SSL_CTX *context, int is_server) {
    SSL *ssl = SSL_new(context);
    check(ssl);
    check(baton_openssl_observe(ssl, &error) == BATON_ERROR_ARGUMENT);  // it has no transport
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (is_server) SSL_set_accept_state(ssl); else SSL_set_connect_state(ssl);
    check(baton_openssl_adopt(ssl, &error) == NULL && error.code == BATON_ERROR_ARGUMENT);  // it is not observed
    check(baton_openssl_observe(ssl, &error) == BATON_OK);
    check(baton_openssl_observe(ssl, &error) == BATON_ERROR_ARGUMENT);  // it is already
    check(baton_openssl_adopt(ssl, &error) == NULL && error.code == BATON_ERROR_NOT_YET);  // it is not done
    // What is made of it is not observed, and takes nothing from it.
    SSL *copy = SSL_dup(ssl);
    check(copy && copy != ssl);
    check(baton_openssl_adopt(copy, &error) == NULL && error.code == BATON_ERROR_ARGUMENT);
    SSL_free(copy);
    return ssl;
}

// Moves what is in `output` to who reads it, at most `piece` bytes at a time.
static int pass(BIO *output, SSL *to, int piece) {
    char bytes[16384];
    int count = BIO_read(output, bytes, piece);
    return count > 0 && BIO_write(SSL_get_rbio(to), bytes, count) == count;
}

static int carry(SSL *from, SSL *to, int piece) { return pass(SSL_get_wbio(from), to, piece); }

typedef struct talk {
    SSL *client, *server;
} talk;

// - client_output: where what the client has written is read; NULL: of its own BIO.
static void finish_handshake(talk talking, BIO *client_output, int piece) {
    for (int turn = 0; turn < 10000; turn++) {
        SSL_do_handshake(talking.client);
        SSL_do_handshake(talking.server);
        int moved = pass(client_output ? client_output : SSL_get_wbio(talking.client), talking.server, piece);
        moved |= carry(talking.server, talking.client, piece);
        if (!moved && SSL_is_init_finished(talking.client) && SSL_is_init_finished(talking.server)) break;
    }
    check(SSL_is_init_finished(talking.client) && SSL_is_init_finished(talking.server));
}

static talk shake_hands(SSL_CTX *client_context, SSL_CTX *server_context, int piece) {
    talk made = {make(client_context, 0), make(server_context, 1)};
    finish_handshake(made, NULL, piece);
    return made;
}

static void hang_up(talk over) {
    SSL_free(over.client);
    SSL_free(over.server);
}

static pair connect_pair(SSL_CTX *client_context, SSL_CTX *server_context, int piece) {
    talk talking = shake_hands(client_context, server_context, piece);
    SSL *client = talking.client, *server = talking.server;
    // OpenSSL has some of this decrypted when the connection is taken: what it has, and nobody has read, comes with it.
    check(SSL_write(client, "said before", 11) == 11);
    while (carry(client, server, piece)) {}
    char first;
    check(SSL_read(server, &first, 1) == 1 && first == 's');
    pair made = {baton_openssl_adopt(client, &error), NULL};
    check(made.client);
    made.server = baton_openssl_adopt(server, &error);
    check(made.server);
    // Nobody writes twice.
    check(SSL_write(client, "x", 1) <= 0);
    check(SSL_read(server, &first, 1) <= 0);
    SSL_free(client);
    SSL_free(server);
    char rest[32];
    size_t count = 0;
    check(baton_read(made.server, rest, sizeof rest, &count, &error) == BATON_OK);
    check(count == 10 && memcmp(rest, "aid before", 10) == 0);
    return made;
}

// What adopt says of connections that are not simply in use.
static void refuse_to_adopt(SSL_CTX *client, SSL_CTX *server, int version) {
    char bytes[16];
    size_t count;

    // A BIO of somebody else's, the filter itself having gone.
    talk one = shake_hands(client, server, 16384);
    SSL_set0_wbio(one.client, BIO_new(BIO_s_mem()));
    check(baton_openssl_adopt(one.client, &error) == NULL && error.code == BATON_ERROR_HANDSHAKE);
    check(baton_openssl_adopt(one.client, &error) == NULL && error.code == BATON_ERROR_ARGUMENT);  // it was final
    // A filter may outlive its SSL.
    BIO *kept = SSL_get_rbio(one.server);
    BIO_up_ref(kept);
    hang_up(one);
    check(BIO_write(kept, "x", 1) == 1 && BIO_read(kept, bytes, 1) == 1);
    BIO_free_all(kept);

    // A filter that was taken away for a time has missed something.
    one = shake_hands(client, server, 16384);
    kept = SSL_get_wbio(one.client);
    BIO_up_ref(kept);
    SSL_set0_wbio(one.client, BIO_new(BIO_s_mem()));
    SSL_set0_rbio(one.client, BIO_new(BIO_s_mem()));  // this one was freed
    SSL_set0_wbio(one.client, kept);
    check(baton_openssl_adopt(one.client, &error) == NULL && error.code == BATON_ERROR_HANDSHAKE);
    hang_up(one);

    // So has one that is there again, though neither it nor another was freed.
    one = shake_hands(client, server, 16384);
    kept = SSL_get_wbio(one.client);
    BIO *transport = BIO_next(kept);
    BIO_up_ref(kept);
    BIO_up_ref(transport);
    SSL_set0_wbio(one.client, transport);
    check(SSL_write(one.client, "unseen", 6) == 6);
    SSL_set0_wbio(one.client, kept);
    check(baton_openssl_adopt(one.client, &error) == NULL && error.code == BATON_ERROR_HANDSHAKE);
    hang_up(one);

    // The kernel is not to seal what the filter has to see.
    one = shake_hands(client, server, 16384);
    int controls[] = {72, 73, 76, 90};
    for (size_t index = 0; index < 4; index++) check(BIO_ctrl(SSL_get_wbio(one.client), controls[index], 1, NULL) == 0);
    // A context that was switched to.
    SSL_CTX *other = SSL_CTX_new(TLS_server_method());
    SSL_set_SSL_CTX(one.server, other);
    check(baton_openssl_adopt(one.server, &error) == NULL && error.code == BATON_ERROR_HANDSHAKE);
    check(strstr(error.message, "not prepared"));
    SSL_CTX_free(other);
    // One that is being closed.
    SSL_shutdown(one.client);
    check(baton_openssl_adopt(one.client, &error) == NULL && error.code == BATON_ERROR_HANDSHAKE);
    hang_up(one);

    // The peer's end is among what OpenSSL has read ahead.
    SSL_CTX_set_read_ahead(server, 1);
    one = shake_hands(client, server, 16384);
    check(SSL_write(one.client, "bye", 3) == 3);
    SSL_shutdown(one.client);
    while (carry(one.client, one.server, 16384)) {}
    check(SSL_read(one.server, bytes, 1) == 1 && bytes[0] == 'b');
    baton_connection *last = baton_openssl_adopt(one.server, &error);
    check(last);
    check(baton_read(last, bytes, sizeof bytes, &count, &error) == BATON_OK && count == 2 && memcmp(bytes, "ye", 2) == 0);
    check(baton_read(last, bytes, sizeof bytes, &count, &error) == BATON_END);
    check(baton_suspend(last, &error) == BATON_OK && baton_resume(last, &error) == BATON_OK);
    check(baton_read(last, bytes, sizeof bytes, &count, &error) == BATON_END);
    baton_connection_free(last);
    hang_up(one);

    // A write that was not taken, with a read behind it: the transport has room for less than a record.
    one = (talk){make(client, 0), make(server, 1)};
    BIO *output = BIO_next(SSL_get_wbio(one.client)), *small, *end;
    check(BIO_new_bio_pair(&small, 4096, &end, 0) == 1);
    BIO_set_next(SSL_get_wbio(one.client), small);
    finish_handshake(one, end, 16384);
    char record[8000] = "";
    check(SSL_write(one.client, record, sizeof record) == -1);
    check(SSL_read(one.client, bytes, 1) == -1 && SSL_want(one.client) == SSL_READING);
    check(baton_openssl_adopt(one.client, &error) == NULL && error.code == BATON_ERROR_NOT_YET);
    while (SSL_write(one.client, record, sizeof record) == -1) check(pass(end, one.server, 16384));
    last = baton_openssl_adopt(one.client, &error);
    check(last);
    baton_connection_free(last);
    BIO_set_next(SSL_get_wbio(one.client), output);
    BIO_free(small);
    BIO_free(end);
    hang_up(one);

    // A key update that is owed.
    if (version != TLS1_3_VERSION) return;
    one = shake_hands(client, server, 16384);
    check(SSL_key_update(one.client, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(one.client) == 1);
    while (carry(one.client, one.server, 16384)) {}
    check(SSL_read(one.server, bytes, 1) == -1);
    check(baton_openssl_adopt(one.server, &error) == NULL && error.code == BATON_ERROR_NOT_YET);
    check(SSL_write(one.server, "k", 1) == 1);
    last = baton_openssl_adopt(one.server, &error);
    check(last);
    baton_connection_free(last);
    hang_up(one);
}

// A callback of the application's, set behind the library's, which it calls.
static SSL_CTX_keylog_cb_func ours;
static int line_count;
static void log_line(const SSL *ssl, const char *line) {
    line_count++;
    ours(ssl, line);
}

static void deliver(baton_connection *from, baton_connection *to) {
    char bytes[1000];
    size_t count;
    for (;;) {
        check(baton_outgoing(from, bytes, sizeof bytes, &count, &error) == BATON_OK);
        if (count == 0) return;
        check(baton_did_write(from, count, &error) == BATON_OK);
        check(baton_receive(to, bytes, count, &error) == BATON_OK);
    }
}

static void say(baton_connection *from, baton_connection *to, const char *words) {
    char heard[64] = "";
    size_t count = 0;
    check(baton_read(to, heard, sizeof heard, &count, &error) == BATON_WAIT);
    check(baton_write(from, words, strlen(words), &error) == BATON_OK);
    check(baton_outgoing_count(from) > strlen(words));
    deliver(from, to);
    check(baton_read(to, heard, sizeof heard, &count, &error) == BATON_OK);
    check(count == strlen(words) && memcmp(heard, words, count) == 0);
}

static void refuse_nothing(baton_connection *connection) {
    char bytes[8];
    size_t count;
    baton_info info;
    baton_item item = {0};
    baton_arrival arrival;
    check(baton_read(NULL, bytes, 8, &count, &error) == BATON_ERROR_ARGUMENT);
    check(baton_read(connection, NULL, 8, &count, &error) == BATON_ERROR_ARGUMENT);
    check(baton_read(connection, bytes, 0, &count, &error) == BATON_ERROR_ARGUMENT);
    check(baton_read(connection, bytes, (size_t)-1, &count, &error) == BATON_ERROR_ARGUMENT);
    check(baton_read(connection, bytes, 8, NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_read(connection, bytes, 8, NULL, NULL) == BATON_ERROR_ARGUMENT);
    check(baton_write(NULL, bytes, 8, &error) == BATON_ERROR_ARGUMENT);
    check(baton_write(connection, NULL, 8, &error) == BATON_ERROR_ARGUMENT);
    check(baton_write(connection, NULL, 0, &error) == BATON_OK);
    check(baton_receive(connection, NULL, 1, &error) == BATON_ERROR_ARGUMENT);
    check(baton_receive(connection, bytes, (size_t)-1, &error) == BATON_ERROR_ARGUMENT);
    check(baton_receive_end(NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_close(NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_did_write(connection, 1, &error) == BATON_ERROR_ARGUMENT);
    check(baton_did_write(connection, (size_t)-1, &error) == BATON_ERROR_ARGUMENT);
    check(baton_outgoing(connection, NULL, 8, &count, &error) == BATON_ERROR_ARGUMENT);
    check(baton_outgoing(connection, bytes, 8, NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_fill(connection, -1, &error) == BATON_ERROR_SYSTEM && error.system_error != 0);
    check(baton_fill(NULL, 0, &error) == BATON_ERROR_ARGUMENT);
    check(baton_flush(NULL, 0, &error) == BATON_ERROR_ARGUMENT);
    check(baton_release_memory(NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_get_info(connection, NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_get_info(NULL, &info, &error) == BATON_ERROR_ARGUMENT);
    check(baton_outgoing_count(NULL) == 0 && baton_inbound_count(NULL) == 0);
    check(baton_suspend(NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_resume(NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_resume(connection, &error) == BATON_ERROR_NOT_AT_REST);
    check(baton_seal(NULL, NULL, 0, 0, NULL, 0, &count, &error) == BATON_ERROR_ARGUMENT);
    check(baton_receiver_address(NULL, NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_open(NULL, NULL, 0, &error) == NULL && error.code == BATON_ERROR_ARGUMENT);
    check(baton_sender_connect(NULL, 0, &error) == NULL && error.code == BATON_ERROR_ARGUMENT);
    check(baton_sender_connect("/nobody/here", 10, &error) == NULL && error.code == BATON_ERROR_HANDOFF);
    check(baton_offer(NULL, &item, 1, 0, &error) == BATON_ERROR_ARGUMENT);
    check(baton_offer(NULL, NULL, 1, 0, &error) == BATON_ERROR_ARGUMENT);
    check(baton_inbox_listen(NULL, &error) == NULL && error.code == BATON_ERROR_ARGUMENT);
    check(baton_inbox_listen("/dev/null/x", &error) == NULL && error.message[0]);
    check(baton_inbox_descriptor(NULL) == -1);
    check(baton_inbox_take(NULL, &arrival, &error) == BATON_ERROR_ARGUMENT);
    check(baton_inbox_stop(NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_openssl_prepare(NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_openssl_observe(NULL, &error) == BATON_ERROR_ARGUMENT);
    check(baton_openssl_adopt(NULL, &error) == NULL && error.code == BATON_ERROR_ARGUMENT);
    baton_connection_free(NULL);
    baton_receiver_free(NULL);
    baton_sender_free(NULL);
    baton_inbox_free(NULL);
    baton_arrival_clear(NULL);
}

static void move_sealed(pair *both) {
    char sealed[65536], words[64];
    uint8_t address[BATON_ADDRESS_LENGTH];
    size_t count = 0, heard = 0;
    baton_receiver *receiver = baton_receiver_new(&error), *other = baton_receiver_new(&error);
    check(receiver && other);
    check(baton_receiver_address(receiver, address, &error) == BATON_OK);
    // In the midst of a record, with plaintext that nobody has read, and ciphertext that nobody has written.
    check(baton_write(both->client, "two words", 9, &error) == BATON_OK);
    check(baton_outgoing(both->client, words, sizeof words, &count, &error) == BATON_OK);
    check(baton_receive(both->server, words, 7, &error) == BATON_OK);
    check(baton_did_write(both->client, 7, &error) == BATON_OK);
    check(baton_write(both->server, "waiting", 7, &error) == BATON_OK);

    check(baton_seal(both->server, address, sizeof address, 1000, sealed, sizeof sealed, &count, &error) ==
          BATON_ERROR_NOT_AT_REST);
    check(baton_suspend(both->server, &error) == BATON_OK);
    check(baton_suspend(both->server, &error) == BATON_OK);
    check(baton_read(both->server, words, sizeof words, &heard, &error) == BATON_ERROR_AT_REST);
    check(baton_write(both->server, "x", 1, &error) == BATON_ERROR_AT_REST);
    check(baton_outgoing_count(both->server) == 0);
    check(baton_resume(both->server, &error) == BATON_OK);
    check(baton_suspend(both->server, &error) == BATON_OK);
    check(baton_seal(both->server, address, 47, 1000, sealed, sizeof sealed, &count, &error) == BATON_ERROR_ARGUMENT);
    check(baton_seal(both->server, address, sizeof address, 60000, sealed, 10, &count, &error) == BATON_ERROR_TOO_SMALL);
    check(count > 10 && count < sizeof sealed);
    check(baton_seal(both->server, address, sizeof address, 60000, sealed, sizeof sealed, &count, &error) == BATON_OK);
    check(baton_read(both->server, words, sizeof words, &heard, &error) == BATON_ERROR_GONE);
    check(baton_suspend(both->server, &error) == BATON_ERROR_GONE);
    check(baton_resume(both->server, &error) == BATON_ERROR_GONE);
    baton_connection_free(both->server);

    // Cut anywhere, changed, by somebody else, twice: refused.
    for (size_t cut = 0; cut < count; cut += cut < 80 ? 1 : 97) {
        check(baton_open(receiver, sealed, cut, &error) == NULL && error.code == BATON_ERROR_SEAL);
    }
    sealed[count / 2] ^= 1;
    check(baton_open(receiver, sealed, count, &error) == NULL && error.code == BATON_ERROR_SEAL);
    sealed[count / 2] ^= 1;
    check(baton_open(other, sealed, count, &error) == NULL && error.code == BATON_ERROR_SEAL);
    both->server = baton_open(receiver, sealed, count, &error);
    check(both->server);
    check(baton_open(receiver, sealed, count, &error) == NULL && error.code == BATON_ERROR_SEAL);
    baton_receiver_free(receiver);
    baton_receiver_free(other);

    deliver(both->client, both->server);
    check(baton_read(both->server, words, sizeof words, &heard, &error) == BATON_OK);
    check(heard == 9 && memcmp(words, "two words", 9) == 0);
    deliver(both->server, both->client);
    check(baton_read(both->client, words, sizeof words, &heard, &error) == BATON_OK);
    check(heard == 7 && memcmp(words, "waiting", 7) == 0);
}

// Two threads use one connection as fast as they can: each call is made whole, or refused.
static void *write_often(void *connection) {
    long made = 0;
    for (int turn = 0; turn < 20000; turn++) {
        int code = baton_write(connection, "0123456789", 10, NULL);
        if (code == BATON_OK) made++;
        else if (code != BATON_ERROR_IN_USE) return (void *)-1;
    }
    return (void *)made;
}

static void share(pair *both) {
    pthread_t threads[2];
    void *made[2];
    for (int index = 0; index < 2; index++) check(pthread_create(&threads[index], NULL, write_often, both->client) == 0);
    for (int index = 0; index < 2; index++) check(pthread_join(threads[index], &made[index]) == 0);
    check((long)made[0] >= 0 && (long)made[1] >= 0);
    deliver(both->client, both->server);
    long count = 0;
    char bytes[16384];
    size_t some;
    while (baton_read(both->server, bytes, sizeof bytes, &some, &error) == BATON_OK) {
        for (size_t index = 0; index < some; index++) check(bytes[index] == '0' + (char)((count + (long)index) % 10));
        count += (long)some;
    }
    check(count == 10 * ((long)made[0] + (long)made[1]));
}

// Hands the server's side over to an inbox of this process.
static void hand_over(pair *both, uint32_t moves) {
    char folder[] = "/tmp/baton-memory-XXXXXX", path[64];
    check(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/inbox", folder);
    baton_inbox *inbox = baton_inbox_listen(path, &error);
    check(inbox);
    baton_sender *sender = baton_sender_connect(path, 60000, &error);
    check(sender);
    int sockets[2];
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    baton_item items[2] = {{.connection = both->server, .socket = sockets[0], .state = "mine", .state_count = 4}};
    items[1] = items[0];
    check(baton_offer(sender, items, 1, 60000, &error) == BATON_ERROR_NOT_AT_REST && items[0].fate == BATON_FATE_NONE);
    check(baton_suspend(both->server, &error) == BATON_OK);
    check(baton_offer(sender, items, 2, 60000, &error) == BATON_ERROR_ARGUMENT);  // it is there twice
    check(baton_offer(sender, items, 1, 60000, &error) == BATON_OK && items[0].fate == BATON_FATE_HANDED_OVER);
    check(baton_suspend(both->server, &error) == BATON_ERROR_GONE);
    baton_connection_free(both->server);
    struct pollfd waiting = {.fd = baton_inbox_descriptor(inbox), .events = POLLIN};
    baton_arrival arrival;
    check(poll(&waiting, 1, 60000) == 1);
    check(baton_inbox_take(inbox, &arrival, &error) == BATON_OK);
    check(arrival.moves == moves && arrival.state_count == 4 && memcmp(arrival.state, "mine", 4) == 0);
    both->server = arrival.connection;
    baton_arrival_clear(&arrival);
    close(arrival.socket);
    close(sockets[0]);
    close(sockets[1]);
    check(baton_inbox_take(inbox, &arrival, &error) == BATON_WAIT);
    baton_sender_free(sender);
    baton_inbox_free(inbox);
}

// More waits than a snapshot takes: the connection stays, at rest.
static void be_too_large(pair *both) {
    static char much[1 << 20];
    char sealed[64];
    uint8_t address[BATON_ADDRESS_LENGTH];
    size_t count;
    baton_receiver *receiver = baton_receiver_new(&error);
    check(receiver && baton_receiver_address(receiver, address, &error) == BATON_OK);
    for (int turn = 0; turn < 64; turn++) check(baton_write(both->client, much, sizeof much, &error) == BATON_OK);
    check(baton_suspend(both->client, &error) == BATON_OK);
    check(baton_seal(both->client, address, sizeof address, 60000, sealed, sizeof sealed, &count, &error) ==
          BATON_ERROR_TOO_LARGE);
    check(baton_resume(both->client, &error) == BATON_OK);
    check(baton_did_write(both->client, 0, &error) == BATON_OK && baton_outgoing_count(both->client) > 64 * sizeof much);
    baton_receiver_free(receiver);
}

static void end(pair *both) {
    char bytes[16];
    size_t count;
    check(baton_release_memory(both->client, &error) == BATON_OK);
    say(both->client, both->server, "still here");
    check(baton_close(both->client, &error) == BATON_OK);
    check(baton_write(both->client, "x", 1, &error) == BATON_ERROR_WRITE_CLOSED);
    deliver(both->client, both->server);
    check(baton_read(both->server, bytes, sizeof bytes, &count, &error) == BATON_END);
    check(baton_read(both->server, bytes, sizeof bytes, &count, &error) == BATON_END);
    // The server ends without a word.
    check(baton_receive_end(both->client, &error) == BATON_OK);
    check(baton_read(both->client, bytes, sizeof bytes, &count, &error) == BATON_ERROR_TRUNCATED);
    baton_connection_free(both->client);
    baton_connection_free(both->server);
}

static void break_protocol(pair *both) {
    char bytes[16];
    size_t count;
    check(baton_receive(both->server, "no TLS at all, by any means", 27, &error) == BATON_OK);
    check(baton_read(both->server, bytes, sizeof bytes, &count, &error) == BATON_ERROR_PROTOCOL && error.message[0]);
    check(baton_outgoing_count(both->server) > 0);  // the alert
    deliver(both->server, both->client);
    check(baton_read(both->client, bytes, sizeof bytes, &count, &error) == BATON_ERROR_PROTOCOL);
    baton_connection_free(both->client);
    baton_connection_free(both->server);
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    SSL_CTX *server = SSL_CTX_new(TLS_server_method()), *client = SSL_CTX_new(TLS_client_method());
    int version = strcmp(arguments[3], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    check(SSL_CTX_use_certificate_chain_file(server, arguments[1]) == 1);
    check(SSL_CTX_use_PrivateKey_file(server, arguments[2], SSL_FILETYPE_PEM) == 1);
    SSL_CTX_set_min_proto_version(client, version);
    SSL_CTX_set_max_proto_version(client, version);
    SSL_CTX_set_cipher_list(client, "ECDHE+AESGCM");
    SSL *unprepared = SSL_new(client);
    check(baton_openssl_observe(unprepared, &error) == BATON_ERROR_ARGUMENT);
    SSL_free(unprepared);
    check(baton_openssl_prepare(server, &error) == BATON_OK && baton_openssl_prepare(client, &error) == BATON_OK);
    check(baton_openssl_prepare(client, &error) == BATON_OK);
    check(strcmp(baton_version(), BATON_VERSION) == 0);

    // In pieces of every size, OpenSSL reading ahead or not.
    for (int piece = 1; piece < 16384; piece = piece * 3 + 1) {
        SSL_CTX_set_read_ahead(server, piece % 2);
        pair both = connect_pair(client, server, piece);
        baton_info info;
        check(baton_get_info(both.server, &info, &error) == BATON_OK);
        check(info.is_server == 1 && info.version == version);
        say(both.client, both.server, "there");
        say(both.server, both.client, "and back");
        move_sealed(&both);
        hand_over(&both, 2);
        hand_over(&both, 3);
        say(both.client, both.server, "there");
        say(both.server, both.client, "and back");
        end(&both);
    }
    pair both = connect_pair(client, server, 16384);
    refuse_nothing(both.client);
    share(&both);
    refuse_to_adopt(client, server, version);
    // A callback that was set meanwhile is called, and calls the library's once.
    ours = SSL_CTX_get_keylog_callback(client);
    SSL_CTX_set_keylog_callback(client, log_line);
    check(baton_openssl_prepare(client, &error) == BATON_OK);
    pair large = connect_pair(client, server, 16384);
    check(line_count > 0);
    be_too_large(&large);
    baton_connection_free(large.client);
    baton_connection_free(large.server);
    break_protocol(&both);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    printf("all as promised\n");
    return 0;
}
