/* An echo server on bare io_uring: what a server on completions costs at least.
 *
 * One thread and one ring, which waits and submits by one call a turn. Accepts and receives are multishot; received
 * buffers come from a ring of the kernel's choosing and are sent from where they lie, all those of a connection by one
 * send. A connection has one send under way at a time, so that the order of bytes is kept, and what a send does not take
 * is sent again.
 *
 * A floor is no server: a client that sends without ever reading can hold all of the buffers. */
#include "common.h"
#include <liburing.h>
#include <sys/mman.h>

#define MEMORY (16u << 20)
#define GROUP 0
#define PIECES 16

enum { ACCEPT, RECEIVE, SEND, CLOSE };

struct buffer {
    unsigned start, end; /* What is still to be sent of it. */
    int next;            /* The next received buffer of the same connection, or -1. */
};

struct connection {
    int first, last; /* Received buffers that wait to be sent, -1 if there are none. */
    unsigned open : 1, receiving : 1, sending : 1, ended : 1, listed : 1;
    struct msghdr message;
    struct iovec pieces[PIECES];
};

static struct io_uring ring;
static struct io_uring_buf_ring *provided;
static struct buffer *buffers;
static char *memory;
static unsigned count, size, returned, free_buffers;
static struct connection *connections;
static size_t descriptors;
/* Connections that have something to do at the end of the turn, each at most once. */
static int *list;
static size_t listed;

static struct io_uring_sqe *entry(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
        if (!sqe)
            fail("io_uring_get_sqe", EBUSY);
    }
    return sqe;
}

/* To be called last: preparing an entry may clear its data. */
static void mark(struct io_uring_sqe *sqe, int kind, int fd)
{
    sqe->user_data = (unsigned long long)kind << 32 | (unsigned)fd;
}

static void give_back(int id)
{
    io_uring_buf_ring_add(provided, memory + (size_t)id * size, size, id, io_uring_buf_ring_mask(count), returned++);
    free_buffers++;
}

static void add_to_list(int fd)
{
    if (!connections[fd].listed) {
        connections[fd].listed = 1;
        list[listed++] = fd;
    }
}

static void start_accept(int listener)
{
    struct io_uring_sqe *sqe = entry();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    mark(sqe, ACCEPT, listener);
}

static void start_receive(int fd)
{
    struct io_uring_sqe *sqe = entry();
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    mark(sqe, RECEIVE, fd);
    connections[fd].receiving = 1;
}

static void start_send(int fd)
{
    struct connection *connection = &connections[fd];
    struct io_uring_sqe *sqe = entry();
    int pieces = 0;
    for (int id = connection->first; id >= 0 && pieces < PIECES; id = buffers[id].next) {
        connection->pieces[pieces].iov_base = memory + (size_t)id * size + buffers[id].start;
        connection->pieces[pieces++].iov_len = buffers[id].end - buffers[id].start;
    }
    if (pieces == 1) {
        io_uring_prep_send(sqe, fd, connection->pieces[0].iov_base, connection->pieces[0].iov_len, MSG_WAITALL);
    } else {
        connection->message.msg_iov = connection->pieces;
        connection->message.msg_iovlen = pieces;
        io_uring_prep_sendmsg(sqe, fd, &connection->message, MSG_WAITALL);
    }
    mark(sqe, SEND, fd);
    connection->sending = 1;
}

static void start_close(int fd)
{
    struct io_uring_sqe *sqe = entry();
    io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    mark(sqe, CLOSE, fd);
    /* Nothing of this connection is under way any more, so the next one with its number finds a clean place. */
    connections[fd].open = 0;
}

static void drop_first(struct connection *connection)
{
    int id = connection->first;
    connection->first = buffers[id].next;
    if (connection->first < 0)
        connection->last = -1;
    give_back(id);
}

static void accepted(int listener, struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        start_accept(listener);
    if (cqe->res < 0) {
        if (cqe->res == -ECONNABORTED || cqe->res == -EINTR || cqe->res == -EAGAIN)
            return;
        fail("accept", -cqe->res);
    }
    if ((size_t)cqe->res >= descriptors)
        fail("accept", EMFILE);
    struct connection *connection = &connections[cqe->res];
    memset(connection, 0, offsetof(struct connection, message));
    connection->first = connection->last = -1;
    connection->open = 1;
    start_receive(cqe->res);
}

static void received(int fd, struct io_uring_cqe *cqe)
{
    struct connection *connection = &connections[fd];
    if (cqe->res > 0) {
        int id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        buffers[id] = (struct buffer){.start = 0, .end = cqe->res, .next = -1};
        free_buffers--;
        if (connection->last >= 0)
            buffers[connection->last].next = id;
        else
            connection->first = id;
        connection->last = id;
    } else if (cqe->res != -ENOBUFS) {
        connection->ended = 1;
    }
    if (!(cqe->flags & IORING_CQE_F_MORE))
        connection->receiving = 0;
    add_to_list(fd);
}

static void sent(int fd, int result)
{
    struct connection *connection = &connections[fd];
    connection->sending = 0;
    if (result < 0) {
        while (connection->first >= 0)
            drop_first(connection);
        /* Ends the receive, if one is under way. */
        shutdown(fd, SHUT_RDWR);
        connection->ended = 1;
    }
    while (result > 0) {
        struct buffer *buffer = &buffers[connection->first];
        unsigned length = buffer->end - buffer->start;
        if ((unsigned)result < length) {
            buffer->start += result;
            break;
        }
        result -= length;
        drop_first(connection);
    }
    add_to_list(fd);
}

/* Phase two of a turn: whatever came in for a connection goes out by one send. Connections whose receive ended for want
 * of buffers stay on the list until there are some. */
static void serve_list(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < listed; i++) {
        int fd = list[i];
        struct connection *connection = &connections[fd];
        connection->listed = 0;
        if (!connection->open)
            continue;
        if (connection->first >= 0 && !connection->sending)
            start_send(fd);
        if (connection->receiving)
            continue;
        if (connection->ended) {
            if (!connection->sending && connection->first < 0)
                start_close(fd);
        } else if (free_buffers) {
            start_receive(fd);
        } else {
            connection->listed = 1;
            list[kept++] = fd;
        }
    }
    listed = kept;
    if (returned) {
        io_uring_buf_ring_advance(provided, returned);
        returned = 0;
    }
}

static void make_ring(void)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
                 IORING_SETUP_CQSIZE,
        .cq_entries = 16384,
    };
    int result = io_uring_queue_init_params(4096, &ring, &parameters);
    if (result < 0)
        fail("io_uring_queue_init_params", -result);
    io_uring_register_ring_fd(&ring);
}

static void provide_buffers(void)
{
    count = MEMORY / size;
    buffers = must_allocate(count, sizeof *buffers);
    memory = mmap(NULL, (size_t)count * size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    provided = mmap(NULL, count * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (memory == MAP_FAILED || provided == MAP_FAILED)
        fail("mmap", errno);
    struct io_uring_buf_reg registration = {
        .ring_addr = (unsigned long)provided, .ring_entries = count, .bgid = GROUP};
    int result = io_uring_register_buf_ring(&ring, &registration, 0);
    if (result < 0)
        fail("io_uring_register_buf_ring", -result);
    io_uring_buf_ring_init(provided);
    for (unsigned id = 0; id < count; id++)
        give_back(id);
    io_uring_buf_ring_advance(provided, returned);
    returned = 0;
}

static void complete(struct io_uring_cqe *cqe)
{
    int fd = (int)(unsigned)cqe->user_data;
    switch (cqe->user_data >> 32) {
    case ACCEPT:
        accepted(fd, cqe);
        break;
    case RECEIVE:
        received(fd, cqe);
        break;
    case SEND:
        sent(fd, cqe->res);
        break;
    }
}

int main(int argc, char **argv)
{
    size = buffer_size(argc, argv);
    if (size < 512 || size > MEMORY || MEMORY % size || MEMORY / size & (MEMORY / size - 1) || MEMORY / size > 32768)
        fail("the size of buffers", EINVAL);
    descriptors = descriptor_limit();
    connections = must_allocate(descriptors, sizeof *connections);
    list = must_allocate(descriptors, sizeof *list);
    make_ring();
    provide_buffers();
    int listener = listen_on(argc, argv);
    start_accept(listener);
    for (;;) {
        int result = io_uring_submit_and_wait(&ring, 1);
        if (result < 0 && result != -EINTR && result != -EBUSY)
            fail("io_uring_submit_and_wait", -result);
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            complete(cqe);
            seen++;
        }
        io_uring_cq_advance(&ring, seen);
        serve_list();
    }
}
