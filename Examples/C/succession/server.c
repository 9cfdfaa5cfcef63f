// A TLS echo server in C: OpenSSL makes the handshakes, one epoll(7) loop does the rest, and on SIGUSR2 the server hands its live
// connections to a new process of its program. Clients notice nothing.
//
//     server PORT CERTIFICATE KEY SOCKET          PORT 0: any
//
// SOCKET.PID is where a new process takes the connections, in a directory of mode 0700.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <baton_openssl.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_CLIENTS = 10000, MOST_WAITING = 1 << 20 };

// One client: in its handshake it is OpenSSL's, after that Baton's.
typedef struct client {
    int socket;
    SSL *ssl;
    baton_connection *connection;
    struct client *next, *previous;
} client;

static int loop = -1;
static client *clients;
static size_t client_count;

// Where a process takes connections.
static const char *socket_path(const char *prefix, pid_t process) {
    static char path[108];
    snprintf(path, sizeof path, "%s.%d", prefix, process);
    return path;
}

static void die(const char *what, const baton_error *error) {
    fprintf(stderr, "%s: %s\n", what, error ? error->message : strerror(errno));
    exit(1);
}

static void watch(int descriptor, uint32_t events, void *pointer, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = pointer};
    if (epoll_ctl(loop, operation, descriptor, &event) != 0) die("epoll_ctl", NULL);
}

static client *client_new(int socket) {
    client *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->socket = socket;
    made->next = clients;
    if (clients) clients->previous = made;
    clients = made;
    client_count++;
    watch(socket, EPOLLIN, made, EPOLL_CTL_ADD);
    return made;
}

// Frees what this process has of a client. Nothing reaches the peer by that but the end of the socket, if it is the last one.
static void client_free(client *gone) {
    if (gone->previous) gone->previous->next = gone->next;
    if (gone->next) gone->next->previous = gone->previous;
    if (clients == gone) clients = gone->next;
    client_count--;
    SSL_free(gone->ssl);
    baton_connection_free(gone->connection);
    close(gone->socket);
    free(gone);
}

// ---- Handshakes ------------------------------------------------------------------------------------------------------------------

static void serve(client *served);

static void accept_clients(int listener, SSL_CTX *context) {
    while (client_count < MOST_CLIENTS) {
        int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) return;
        SSL *ssl = SSL_new(context);
        client *made = NULL;
        // The order matters: transport, role, observer, and then the first byte.
        if (ssl && SSL_set_fd(ssl, socket) == 1) {
            SSL_set_accept_state(ssl);
            if (baton_openssl_observe(ssl, NULL) == BATON_OK) made = client_new(socket);
        }
        if (made) {
            made->ssl = ssl;
        } else {
            SSL_free(ssl);
            close(socket);
        }
    }
}

static void shake_hands(client *shaking) {
    ERR_clear_error();
    int result = SSL_do_handshake(shaking->ssl);
    if (result != 1) {
        switch (SSL_get_error(shaking->ssl, result)) {
            case SSL_ERROR_WANT_READ: watch(shaking->socket, EPOLLIN, shaking, EPOLL_CTL_MOD); return;
            case SSL_ERROR_WANT_WRITE: watch(shaking->socket, EPOLLOUT, shaking, EPOLL_CTL_MOD); return;
            default: client_free(shaking); return;
        }
    }
    baton_error error;
    shaking->connection = baton_openssl_adopt(shaking->ssl, &error);
    if (!shaking->connection) {
        fprintf(stderr, "a connection cannot be moved: %s\n", error.message);
        client_free(shaking);
        return;
    }
    SSL_free(shaking->ssl);
    shaking->ssl = NULL;
    serve(shaking);
}

// ---- The echo --------------------------------------------------------------------------------------------------------------------

// Does what can be done without waiting, and frees the client at its end.
static void serve(client *served) {
    char bytes[16384];
    size_t count = 0;
    int is_over = 0;
    // A client that does not read is not read either.
    while (!is_over && baton_outgoing_count(served->connection) < MOST_WAITING) {
        int code = baton_read(served->connection, bytes, sizeof bytes, &count, NULL);
        if (code == BATON_OK) {
            if (baton_write(served->connection, bytes, count, NULL) != BATON_OK) is_over = 1;
            continue;
        }
        if (code == BATON_END) baton_close(served->connection, NULL);
        if (code != BATON_WAIT) {
            is_over = 1;
            break;
        }
        code = baton_fill(served->connection, served->socket, NULL);
        if (code == BATON_WAIT) break;
        if (code != BATON_OK) is_over = 1;
    }
    int code = baton_flush(served->connection, served->socket, NULL);
    if (code < 0 || (is_over && code == BATON_OK)) {
        client_free(served);
        return;
    }
    int is_full = is_over || baton_outgoing_count(served->connection) >= MOST_WAITING;
    watch(served->socket, (code == BATON_WAIT ? EPOLLOUT : 0) | (is_full ? 0 : EPOLLIN), served, EPOLL_CTL_MOD);
}

// ---- Succession ------------------------------------------------------------------------------------------------------------------

// The new process takes what the old one hands over. Nothing more comes once that has ended, or has closed the channel between them.
static void take_arrivals(baton_inbox **inbox) {
    baton_arrival arrival;
    baton_error error;
    int code;
    while ((code = baton_inbox_take(*inbox, &arrival, &error)) == BATON_OK) {
        baton_arrival_clear(&arrival);
        client *made = client_new(arrival.socket);
        if (!made) die("no memory for a client", NULL);
        made->connection = arrival.connection;
        serve(made);
    }
    if (code == BATON_WAIT) return;
    if (code != BATON_END) die("an arrival cannot be read", &error);
    watch(baton_inbox_descriptor(*inbox), 0, NULL, EPOLL_CTL_DEL);
    baton_inbox_free(*inbox);
    *inbox = NULL;
    printf("%d has %zu connections\n", getpid(), client_count);
    fflush(stdout);
}

// Starts a new process of this program, which has the listener, and waits until it can take connections. `*channel` is to be closed
// when it has them all.
static pid_t start_successor(char **arguments, int listener, int *channel) {
    int ends[2];
    char text[2][16];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    snprintf(text[0], sizeof text[0], "%d", listener);
    snprintf(text[1], sizeof text[1], "%d", ends[1]);
    pid_t child = fork();
    if (child == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        fcntl(listener, F_SETFD, 0);
        fcntl(ends[1], F_SETFD, 0);
        setenv("SUCCESSION_LISTENER", text[0], 1);
        setenv("SUCCESSION_CHANNEL", text[1], 1);
        execv("/proc/self/exe", arguments);
        _exit(127);
    }
    close(ends[1]);
    char byte;
    if (child >= 0 && read(ends[0], &byte, 1) == 1) {
        *channel = ends[0];
        return child;
    }
    close(ends[0]);
    if (child >= 0) waitpid(child, NULL, 0);
    return -1;
}

// Offers what is at rest, as much at once as an offer takes. Returns whether all of it has been handed over.
static int offer(baton_sender *sender, baton_item *items, size_t count) {
    baton_error error;
    for (size_t done = 0; done < count;) {
        size_t some = count - done < BATON_MOST_ITEMS ? count - done : BATON_MOST_ITEMS;
        if (baton_offer(sender, items + done, some, 10000, &error) != BATON_OK) {
            fprintf(stderr, "not everything was handed over: %s\n", error.message);
            return 0;
        }
        done += some;
    }
    return 1;
}

// Hands over every connection, those in their handshake excepted. Returns whether none was refused; `*moved` says how many have gone.
static int hand_over(const char *path, size_t *moved) {
    baton_error error;
    *moved = 0;
    baton_sender *sender = baton_sender_connect(path, 5000, &error);
    if (!sender) {
        fprintf(stderr, "the new process cannot be reached: %s\n", error.message);
        return 0;
    }
    baton_item *items = calloc(client_count + 1, sizeof *items);
    client **offered = calloc(client_count + 1, sizeof *offered);
    if (!items || !offered) die("no memory for an offer", NULL);
    size_t count = 0;
    for (client *each = clients; each; each = each->next) {
        if (!each->connection || baton_suspend(each->connection, NULL) != BATON_OK) continue;
        items[count] = (baton_item){.connection = each->connection, .socket = each->socket};
        offered[count++] = each;
    }
    int is_done = offer(sender, items, count);
    for (size_t index = 0; index < count; index++) {
        if (items[index].fate == BATON_FATE_RETURNED || items[index].fate == BATON_FATE_NONE) {
            baton_resume(offered[index]->connection, NULL);
        } else {
            *moved += items[index].fate == BATON_FATE_HANDED_OVER;
            client_free(offered[index]);
        }
    }
    printf("%d has handed over %zu connections\n", getpid(), *moved);
    fflush(stdout);
    free(items);
    free(offered);
    baton_sender_free(sender);
    return is_done;
}

// Returns whether this process has nothing left to do.
static int succeed(char **arguments, int listener) {
    int channel;
    pid_t successor = start_successor(arguments, listener, &channel);
    if (successor < 0) {
        fprintf(stderr, "a new process could not be started; this one goes on\n");
        return 0;
    }
    size_t moved;
    int is_done = hand_over(socket_path(arguments[4], successor), &moved);
    if (!is_done && moved == 0) {
        // It has no connection that would be lost with it.
        kill(successor, SIGKILL);
        waitpid(successor, NULL, 0);
    }
    // Otherwise this process goes on beside it with what is left.
    close(channel);
    return is_done;
}

// ---- The loop --------------------------------------------------------------------------------------------------------------------

static int listen_at(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1024) != 0) {
        die("cannot listen", NULL);
    }
    socklen_t length = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("listens at port %d\n", ntohs(address.sin_port));
    return listener;
}

static SSL_CTX *make_context(const char *certificate, const char *key) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    baton_error error;
    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        die("the certificate cannot be used", NULL);
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
    if (baton_openssl_prepare(context, &error) != BATON_OK) die("OpenSSL cannot be observed", &error);
    return context;
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "usage: %s PORT CERTIFICATE KEY SOCKET\n", arguments[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    loop = epoll_create1(EPOLL_CLOEXEC);
    SSL_CTX *context = make_context(arguments[2], arguments[3]);

    baton_inbox *inbox = NULL;
    int channel = -1;
    const char *given = getenv("SUCCESSION_LISTENER");
    int listener = given ? atoi(given) : listen_at(atoi(arguments[1]));
    fcntl(listener, F_SETFD, FD_CLOEXEC);
    int is_accepting = 0;

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int asked = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    watch(asked, EPOLLIN, &asked, EPOLL_CTL_ADD);

    if (given) {
        baton_error error;
        inbox = baton_inbox_listen(socket_path(arguments[4], getpid()), &error);
        if (!inbox) die("cannot take over", &error);
        watch(baton_inbox_descriptor(inbox), EPOLLIN, &inbox, EPOLL_CTL_ADD);
        channel = atoi(getenv("SUCCESSION_CHANNEL"));
        fcntl(channel, F_SETFD, FD_CLOEXEC);
        if (write(channel, "r", 1) != 1) die("the old process is gone", NULL);
        watch(channel, EPOLLIN, &channel, EPOLL_CTL_ADD);
    }
    printf("%d serves\n", getpid());
    fflush(stdout);

    struct epoll_event events[256];
    for (;;) {
        // Whoever comes while there is no room waits in the listener's queue.
        int has_room = client_count < MOST_CLIENTS;
        if (has_room != is_accepting) watch(listener, EPOLLIN, &listener, has_room ? EPOLL_CTL_ADD : EPOLL_CTL_DEL);
        is_accepting = has_room;
        int happened = epoll_wait(loop, events, 256, -1);
        for (int index = 0; index < happened; index++) {
            void *what = events[index].data.ptr;
            if (what == &listener) {
                accept_clients(listener, context);
            } else if (what == &inbox) {
                if (inbox) take_arrivals(&inbox);
            } else if (what == &channel) {
                watch(channel, 0, NULL, EPOLL_CTL_DEL);
                close(channel);
                baton_inbox_stop(inbox, NULL);
            } else if (what == &asked) {
                struct signalfd_siginfo information;
                if (read(asked, &information, sizeof information) != sizeof information) continue;
                if (succeed(arguments, listener)) return 0;
                // The events that are left may be of clients that are gone.
                break;
            } else {
                client *served = what;
                if (served->ssl) shake_hands(served); else serve(served);
            }
        }
    }
}
