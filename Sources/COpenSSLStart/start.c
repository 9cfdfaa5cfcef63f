// The first thing that a program with this in it asks of libcrypto.
#include <openssl/crypto.h>

// exit(3), or the end of main, would have libcrypto free its tables and the state of every thread (OPENSSL_cleanup),
// while threads of event loops and of hand-offs may still use them, or free connections of their own: a use after free,
// or a double one. A process that ends gives its memory back to the kernel all the same.
__attribute__((constructor)) static void keep_libcrypto_to_the_end(void) {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}
