/* An echo server on bare epoll: what a server on readiness costs at least.
 *
 * One thread, level-triggered. A wake-up with bytes is one recv and one send. What a send does not take is kept for the
 * connection, which is not read from until that is gone. */
#include "common.h"
#include <sys/epoll.h>

#define EVENTS 1024

struct pending {
    char *bytes; /* NULL, unless a send took less than all. */
    size_t sent, length;
};

static int poller, listener;
static struct pending *connections;
static size_t descriptors, buffer_length;
static char *buffer;

static void watch(int operation, int fd, unsigned interest)
{
    struct epoll_event event = {.events = interest, .data.fd = fd};
    if (epoll_ctl(poller, operation, fd, &event) < 0)
        fail("epoll_ctl", errno);
}

static void drop(int fd)
{
    free(connections[fd].bytes);
    memset(&connections[fd], 0, sizeof connections[fd]);
    close(fd);
}

static void accept_all(void)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN)
                return;
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            fail("accept", errno);
        }
        if ((size_t)fd >= descriptors)
            fail("accept", EMFILE);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

/* How many bytes were sent: fewer than there are if the socket is full, -1 if the connection is lost. */
static ssize_t send_some(int fd, const char *bytes, size_t length)
{
    ssize_t sent = send(fd, bytes, length, 0);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static void echo(int fd)
{
    ssize_t length = recv(fd, buffer, buffer_length, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        drop(fd);
        return;
    }
    ssize_t sent = send_some(fd, buffer, length);
    if (sent < 0) {
        drop(fd);
    } else if (sent < length) {
        struct pending *pending = &connections[fd];
        pending->bytes = must_allocate(1, length - sent);
        pending->sent = 0;
        pending->length = length - sent;
        memcpy(pending->bytes, buffer + sent, length - sent);
        watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
    }
}

static void send_pending(int fd)
{
    struct pending *pending = &connections[fd];
    ssize_t sent = send_some(fd, pending->bytes + pending->sent, pending->length - pending->sent);
    if (sent < 0) {
        drop(fd);
        return;
    }
    pending->sent += sent;
    if (pending->sent == pending->length) {
        free(pending->bytes);
        pending->bytes = NULL;
        watch(EPOLL_CTL_MOD, fd, EPOLLIN);
    }
}

int main(int argc, char **argv)
{
    static struct epoll_event events[EVENTS];
    descriptors = descriptor_limit();
    connections = must_allocate(descriptors, sizeof *connections);
    buffer_length = buffer_size(argc, argv);
    buffer = must_allocate(1, buffer_length);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        fail("epoll_create1", errno);
    listener = listen_on(argc, argv);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait", errno);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_all();
            else if (connections[fd].bytes)
                send_pending(fd);
            else
                echo(fd);
        }
    }
}
