/* What the floors have in common: the listener, and the line that says where it listens. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

static void *must_allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        fail("calloc", ENOMEM);
    return memory;
}

/* Descriptors are below this number, so that tables are indexed by them. */
__attribute__((unused)) static size_t descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        fail("getrlimit", errno);
    return limit.rlim_cur < 65536 ? limit.rlim_cur : 65536;
}

/* Listens on the port at the end of the first argument, or on one of the system's choice. TCP_NODELAY is inherited by
 * the connections. */
static int listen_on(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : "0";
    const char *colon = strrchr(text, ':');
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(atoi(colon ? colon + 1 : text)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof address;
    int one = 1;
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0)
        fail("socket", errno);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, length) < 0)
        fail("bind", errno);
    if (listen(listener, 1024) < 0)
        fail("listen", errno);
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("listening on tcp://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

/* How many bytes are received at most at a time: the second argument. */
static size_t buffer_size(int argc, char **argv)
{
    size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    return size ? size : 16 * 1024;
}
