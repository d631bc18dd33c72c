/* An echo server on libuv.
 *
 * All connections receive into one buffer, since what is received is sent before the next receive. uv_try_write sends at
 * once; what it does not take is copied and left to uv_write, and the connection is not read from until that is gone. */
#include "common.h"
#include <uv.h>

struct connection {
    uv_tcp_t socket; /* First, so that a pointer to it is one to the connection. */
    uv_write_t request;
    char *pending; /* What uv_write still sends, or NULL. */
};

static char *buffer;
static size_t buffer_length;

static void check(const char *what, int result)
{
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, uv_strerror(result));
        exit(1);
    }
}

static void closed(uv_handle_t *handle)
{
    free(((struct connection *)handle)->pending);
    free(handle);
}

static void drop(struct connection *connection)
{
    if (!uv_is_closing((uv_handle_t *)connection))
        uv_close((uv_handle_t *)connection, closed);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *lent)
{
    (void)handle;
    (void)suggested;
    *lent = uv_buf_init(buffer, buffer_length);
}

static void received(uv_stream_t *stream, ssize_t length, const uv_buf_t *from);

static void written(uv_write_t *request, int status)
{
    struct connection *connection = request->data;
    if (status < 0) {
        drop(connection);
        return;
    }
    free(connection->pending);
    connection->pending = NULL;
    if (uv_read_start((uv_stream_t *)connection, lend_buffer, received) < 0)
        drop(connection);
}

/* Returns less than 0 if the connection is lost. */
static int write_rest(struct connection *connection, const char *bytes, size_t length)
{
    connection->pending = must_allocate(1, length);
    memcpy(connection->pending, bytes, length);
    connection->request.data = connection;
    uv_read_stop((uv_stream_t *)connection);
    uv_buf_t rest = uv_buf_init(connection->pending, length);
    return uv_write(&connection->request, (uv_stream_t *)connection, &rest, 1, written);
}

static void received(uv_stream_t *stream, ssize_t length, const uv_buf_t *from)
{
    struct connection *connection = (struct connection *)stream;
    if (length == 0)
        return;
    if (length < 0) {
        drop(connection);
        return;
    }
    uv_buf_t bytes = uv_buf_init(from->base, length);
    int sent = uv_try_write(stream, &bytes, 1);
    if (sent == UV_EAGAIN)
        sent = 0;
    if (sent < 0 || (sent < length && write_rest(connection, from->base + sent, length - sent) < 0))
        drop(connection);
}

static void connected(uv_stream_t *listener, int status)
{
    check("accept", status);
    struct connection *connection = must_allocate(1, sizeof *connection);
    check("uv_tcp_init", uv_tcp_init(listener->loop, &connection->socket));
    uv_stream_t *stream = (uv_stream_t *)connection;
    if (uv_accept(listener, stream) < 0 || uv_tcp_nodelay(&connection->socket, 1) < 0 ||
        uv_read_start(stream, lend_buffer, received) < 0)
        drop(connection);
}

int main(int argc, char **argv)
{
    uv_tcp_t listener;
    buffer_length = buffer_size(argc, argv);
    buffer = must_allocate(1, buffer_length);
    check("uv_tcp_init", uv_tcp_init(uv_default_loop(), &listener));
    check("uv_tcp_open", uv_tcp_open(&listener, listen_on(argc, argv)));
    check("uv_listen", uv_listen((uv_stream_t *)&listener, 1024, connected));
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
